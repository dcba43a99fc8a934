//! Keys and commands: what is pressed, what it asks for, and where it means something.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::bindings::BINDINGS;

/// What a key, or a line of the palette, asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Quit,
    Help,
    Palette,
    Back,
    Suspend,
    Redraw,
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Left,
    Right,
    Open,
    Toggle,
    MoveUp,
    MoveDown,
    Accept,
    NextPane,
    PreviousPane,
    NextView,
    PreviousView,
    ShowRuns,
    ShowRegistry,
    ShowCompare,
    ShowArtifacts,
    ShowSweeps,
    NextRun,
    PreviousRun,
    Mark,
    UnmarkAll,
    Note,
    Remove,
    Next,
    Previous,
    NextMetric,
    SwitchBase,
    Edit,
    ShowOverview,
    ShowCharts,
    ShowLog,
    ShowFiles,
    ShowSystem,
    ShowCode,
    Register,
    Promote,
    PointAlias,
    RollBack,
    RemoveAlias,
    FilterHistory,
    ShowOrigin,
    Filter,
    Sort,
    ReverseSort,
    SortBy,
    GroupBy,
    Columns,
    FoldAll,
    Find,
    Complete,
    CopyId,
    CopyCommit,
    ShowCommit,
    InputAccept,
    InputCancel,
    InputErase,
    InputDelete,
    InputEraseWord,
    InputClear,
    InputLeft,
    InputRight,
    InputStart,
    InputEnd,
    ChartAxis,
    ChartLogX,
    ChartLogY,
    ChartOutliers,
    ChartSmoother,
    ChartRougher,
    ChartTogether,
    ChartZoomIn,
    ChartZoomOut,
    ChartPanLeft,
    ChartPanRight,
    ChartReset,
    ChartCrosshair,
    ShowSame,
}

/// Where a key means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// In every view, but not while text is typed or an overlay is open.
    Anywhere,
    /// In the table of runs.
    Runs,
    /// In one run.
    Run,
    /// In one run, but for its charts.
    RunText,
    /// In a run's charts.
    RunCharts,
    /// In a run's log.
    RunLog,
    /// Among the files of a run.
    RunFiles,
    /// In a run's code.
    RunCode,
    /// Among runs side by side.
    Compare,
    /// In a table or a list of the comparison.
    CompareRows,
    /// In the charts of the comparison.
    CompareCharts,
    /// In charts, wherever they are.
    Charts,
    /// In the registry.
    Registry,
    /// Among the artifacts.
    Artifacts,
    /// Among the sweeps.
    Sweeps,
    /// While the help is shown.
    Help,
    /// In the command palette.
    Palette,
    /// In a list to choose from.
    Picker,
    /// At a question.
    Confirm,
    /// While a run's name is looked for.
    Find,
    /// While a line of text is typed.
    Typing,
}

impl Scope {
    /// All of them, as the help shows them.
    pub(super) const ALL: [Self; 21] = [
        Self::Runs,
        Self::Run,
        Self::RunText,
        Self::RunCharts,
        Self::RunLog,
        Self::RunFiles,
        Self::RunCode,
        Self::Charts,
        Self::Compare,
        Self::CompareRows,
        Self::CompareCharts,
        Self::Registry,
        Self::Artifacts,
        Self::Sweeps,
        Self::Anywhere,
        Self::Typing,
        Self::Find,
        Self::Picker,
        Self::Palette,
        Self::Confirm,
        Self::Help,
    ];

    /// The heading in the help.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Anywhere => "Everywhere",
            Self::Runs => "Runs",
            Self::Run => "One run",
            Self::RunText => "One run: moving",
            Self::RunCharts => "A run's charts",
            Self::RunLog => "A run's log",
            Self::RunFiles => "A run's files",
            Self::RunCode => "A run's code",
            Self::Compare => "Compare",
            Self::CompareRows => "Compare: tables and lists",
            Self::CompareCharts => "Compare: charts",
            Self::Charts => "Charts",
            Self::Registry => "Registry",
            Self::Artifacts => "Artifacts",
            Self::Sweeps => "Sweeps",
            Self::Help => "Help",
            Self::Palette => "Commands",
            Self::Picker => "Choosing",
            Self::Confirm => "Questions",
            Self::Find => "Finding a run",
            Self::Typing => "Typing",
        }
    }

    /// The scopes whose keys count here, the nearest first.
    pub(super) fn chain(self) -> &'static [Scope] {
        match self {
            Self::Anywhere => &[Self::Anywhere],
            Self::Runs => &[Self::Runs, Self::Anywhere],
            Self::Run => &[Self::Run, Self::Anywhere],
            Self::RunText => &[Self::RunText, Self::Run, Self::Anywhere],
            Self::RunCharts => &[Self::Charts, Self::Run, Self::Anywhere],
            Self::RunLog => &[Self::RunLog, Self::RunText, Self::Run, Self::Anywhere],
            Self::RunFiles => &[Self::RunFiles, Self::RunText, Self::Run, Self::Anywhere],
            Self::RunCode => &[Self::RunCode, Self::RunText, Self::Run, Self::Anywhere],
            Self::Compare => &[Self::Compare, Self::Anywhere],
            Self::CompareRows => &[Self::CompareRows, Self::Compare, Self::Anywhere],
            Self::CompareCharts => &[Self::Charts, Self::Compare, Self::Anywhere],
            Self::Charts => &[Self::Charts, Self::Anywhere],
            Self::Registry => &[Self::Registry, Self::Anywhere],
            Self::Artifacts => &[Self::Artifacts, Self::Anywhere],
            Self::Sweeps => &[Self::Sweeps, Self::Anywhere],
            Self::Help => &[Self::Help],
            Self::Palette => &[Self::Palette, Self::Typing],
            Self::Picker => &[Self::Picker, Self::Typing],
            Self::Confirm => &[Self::Confirm],
            Self::Find => &[Self::Find, Self::Typing],
            Self::Typing => &[Self::Typing],
        }
    }

    /// Whether characters are text here.
    pub(super) fn takes_text(self) -> bool {
        self.chain().contains(&Self::Typing)
    }
}

/// A key as it is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) code: KeyCode,
    pub(super) control: bool,
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Binding {
    pub(super) scope: Scope,
    /// Without keys, the palette alone has it.
    pub(super) keys: &'static [Key],
    pub(super) command: Command,
    /// The word in the footer; none keeps it out of there.
    pub(super) footer: Option<&'static str>,
    /// What it does, in the help and in the palette.
    pub(super) help: &'static str,
}

/// A key that types a character.
pub(super) const fn key(character: char) -> Key {
    Key { code: KeyCode::Char(character), control: false }
}

/// A key that is pressed with Ctrl.
pub(super) const fn control(character: char) -> Key {
    Key { code: KeyCode::Char(character), control: true }
}

/// A key that has a name.
pub(super) const fn named(code: KeyCode) -> Key {
    Key { code, control: false }
}

/// A key that has a name, pressed with Ctrl.
pub(super) const fn named_control(code: KeyCode) -> Key {
    Key { code, control: true }
}

impl Key {
    /// The key of an event; none for those that no table could name (with Alt, say).
    pub(super) fn of(event: &KeyEvent) -> Option<Self> {
        if event.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER | KeyModifiers::META) {
            return None;
        }
        Some(Self { code: event.code, control: event.modifiers.contains(KeyModifiers::CONTROL) })
    }

    /// The character that the key types, if it types one.
    pub(super) fn character(&self) -> Option<char> {
        match self.code {
            KeyCode::Char(character) if !self.control => Some(character),
            _ => None,
        }
    }

    /// The name for people.
    pub(super) fn label(&self) -> String {
        let name = match self.code {
            KeyCode::Char(' ') => "Space".to_owned(),
            KeyCode::Char(c) => c.to_string(),
            KeyCode::Enter => "Enter".to_owned(),
            KeyCode::Esc => "Esc".to_owned(),
            KeyCode::Tab => "Tab".to_owned(),
            KeyCode::BackTab => "Shift-Tab".to_owned(),
            KeyCode::Backspace => "Backspace".to_owned(),
            KeyCode::Delete => "Del".to_owned(),
            KeyCode::Up => "↑".to_owned(),
            KeyCode::Down => "↓".to_owned(),
            KeyCode::Left => "←".to_owned(),
            KeyCode::Right => "→".to_owned(),
            KeyCode::Home => "Home".to_owned(),
            KeyCode::End => "End".to_owned(),
            KeyCode::PageUp => "PgUp".to_owned(),
            KeyCode::PageDown => "PgDn".to_owned(),
            KeyCode::F(number) => format!("F{number}"),
            other => format!("{other:?}"),
        };
        if self.control { format!("Ctrl-{}", name.to_uppercase()) } else { name }
    }
}

/// What a key asks for in a scope.
pub(super) fn command(scope: Scope, key: Key) -> Option<Command> {
    let found = |scope: &Scope| BINDINGS.iter().find(|line| line.scope == *scope && line.keys.contains(&key));
    scope.chain().iter().find_map(found).map(|line| line.command)
}

/// The lines of the table that count in a scope, the nearest first.
pub(super) fn lines(scope: Scope) -> impl Iterator<Item = &'static Binding> {
    scope.chain().iter().flat_map(|scope| BINDINGS.iter().filter(move |line| line.scope == *scope))
}

/// The key, the word and the command of each hint that the footer of a scope shows.
pub(super) fn footer(scope: Scope) -> Vec<(String, &'static str)> {
    lines(scope).filter_map(|line| Some((line.keys.first()?.label(), line.footer?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_a_view() {
        for scope in Scope::ALL {
            // In a list that is searched by typing, the list's own keys come before those of the text.
            let own = lines(scope).filter(|line| line.scope == scope || !scope.takes_text());
            let keys: Vec<Key> = own.flat_map(|line| line.keys.iter().copied()).collect();
            for (index, key) in keys.iter().enumerate() {
                assert!(!keys[..index].contains(key), "{} twice in {}", key.label(), scope.title());
            }
        }
    }

    #[test]
    fn every_line_says_what_it_does() {
        for line in BINDINGS {
            assert!(!line.help.is_empty(), "{:?}", line.command);
            assert!(line.footer.is_none() || !line.keys.is_empty(), "{:?} has a hint and no key", line.command);
        }
    }

    #[test]
    fn every_view_says_how_to_leave_it() {
        for scope in [Scope::Runs, Scope::Run, Scope::Compare, Scope::Registry, Scope::Artifacts, Scope::Sweeps] {
            let hints = footer(scope);
            assert!(hints.iter().any(|(_, word)| *word == "quit"), "{}", scope.title());
            assert!(hints.iter().any(|(_, word)| *word == "help"), "{}", scope.title());
        }
    }

    #[test]
    fn typed_characters_are_never_commands() {
        for scope in [Scope::Typing, Scope::Palette] {
            let printing = lines(scope).flat_map(|line| line.keys);
            assert!(!printing.into_iter().any(|key| matches!(key.code, KeyCode::Char(_)) && !key.control));
        }
    }
}
