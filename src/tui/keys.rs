//! The one table of keys, from which keys are dispatched, the footer is written and the help is made.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Quit,
    Help,
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
    NextPane,
    PreviousPane,
    ShowRuns,
    ShowRegistry,
    Filter,
    Sort,
    ReverseSort,
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
}

/// Where a key means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// In every view, but not while text is typed.
    Anywhere,
    /// In the table of runs.
    Runs,
    /// In one run.
    Run,
    /// In the registry.
    Registry,
    /// While the help is shown.
    Help,
    /// While a filter is typed.
    Input,
}

impl Scope {
    /// The heading in the help.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Anywhere => "Everywhere",
            Self::Runs => "Runs",
            Self::Run => "One run",
            Self::Registry => "Registry",
            Self::Help => "Help",
            Self::Input => "Filter",
        }
    }

    /// The scopes whose keys count here, the nearest first.
    pub(super) fn chain(self) -> &'static [Scope] {
        match self {
            Self::Anywhere => &[Self::Anywhere],
            Self::Runs => &[Self::Runs, Self::Anywhere],
            Self::Run => &[Self::Run, Self::Anywhere],
            Self::Registry => &[Self::Registry, Self::Anywhere],
            Self::Help => &[Self::Help],
            Self::Input => &[Self::Input],
        }
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
    pub(super) keys: &'static [Key],
    pub(super) command: Command,
    /// The word in the footer; none keeps it out of there.
    pub(super) footer: Option<&'static str>,
    /// What it does, in the help.
    pub(super) help: &'static str,
}

pub(super) const fn key(character: char) -> Key {
    Key { code: KeyCode::Char(character), control: false }
}

pub(super) const fn control(character: char) -> Key {
    Key { code: KeyCode::Char(character), control: true }
}

pub(super) const fn named(code: KeyCode) -> Key {
    Key { code, control: false }
}

const fn bind(
    scope: Scope,
    keys: &'static [Key],
    command: Command,
    footer: Option<&'static str>,
    help: &'static str,
) -> Binding {
    Binding { scope, keys, command, footer, help }
}

use KeyCode::{BackTab, Backspace, Delete, Down, End, Enter, Esc, Home, Left, PageDown, PageUp, Right, Tab, Up};
use Scope::{Anywhere, Help, Input, Registry, Run, Runs};

/// All keys. The footer shows those of the view first, then those of everywhere, in this order.
#[rustfmt::skip]
pub(super) const BINDINGS: &[Binding] = &[
    bind(Runs, &[named(Enter), key('l'), named(Right)], Command::Open, Some("open"), "open the run"),
    bind(Runs, &[key('/')], Command::Filter, Some("filter"), "show only the runs that match a query"),
    bind(Runs, &[key('s')], Command::Sort, Some("sort"), "sort by the next column"),
    bind(Runs, &[key('S')], Command::ReverseSort, None, "sort the other way round"),
    bind(Runs, &[named(Tab), key('2')], Command::ShowRegistry, Some("registry"), "go to the registry"),
    bind(Runs, &[named(Esc)], Command::Back, None, "drop the filter"),

    bind(Run, &[named(Tab), named(Right), key('l')], Command::NextPane, Some("next pane"), "go to the next pane"),
    bind(Run, &[named(BackTab), named(Left), key('h')], Command::PreviousPane, None, "go to the pane before"),
    bind(Run, &[key('n'), key('J')], Command::Right, Some("older"), "go to the next run of the table"),
    bind(Run, &[key('p'), key('K')], Command::Left, Some("newer"), "go to the run before it"),
    bind(Run, &[named(Esc), named(Backspace)], Command::Back, Some("back"), "go back"),
    bind(Run, &[key('1')], Command::ShowRuns, None, "go to the runs"),
    bind(Run, &[key('2')], Command::ShowRegistry, None, "go to the registry"),

    bind(Registry, &[named(Enter)], Command::Open, Some("open"), "go to the versions; open a version's run"),
    bind(Registry, &[named(Right), key('l')], Command::Right, Some("versions"), "go to the model's versions"),
    bind(Registry, &[named(Left), key('h')], Command::Left, Some("models"), "go to the models"),
    bind(Registry, &[named(Tab), key('1')], Command::ShowRuns, Some("runs"), "go to the runs"),
    bind(Registry, &[named(Esc), named(Backspace)], Command::Back, None, "go back"),

    bind(Anywhere, &[named(Up), key('k')], Command::Up, None, "up"),
    bind(Anywhere, &[named(Down), key('j')], Command::Down, None, "down"),
    bind(Anywhere, &[named(PageUp), control('b'), control('u')], Command::PageUp, None, "a page up"),
    bind(Anywhere, &[named(PageDown), control('f'), control('d')], Command::PageDown, None, "a page down"),
    bind(Anywhere, &[named(Home), key('g')], Command::First, None, "to the start"),
    bind(Anywhere, &[named(End), key('G')], Command::Last, None, "to the end; the log follows again"),
    bind(Anywhere, &[control('l')], Command::Redraw, None, "draw the screen anew"),
    bind(Anywhere, &[control('z')], Command::Suspend, None, "go to the shell; `fg` comes back"),
    bind(Anywhere, &[key('?'), named(KeyCode::F(1))], Command::Help, Some("help"), "show the keys"),
    bind(Anywhere, &[key('q'), control('c')], Command::Quit, Some("quit"), "quit"),

    bind(Help, &[named(Esc), key('?'), key('q'), named(Enter)], Command::Back, Some("close"), "close the help"),
    bind(Help, &[named(Up), key('k')], Command::Up, None, "up"),
    bind(Help, &[named(Down), key('j')], Command::Down, None, "down"),
    bind(Help, &[control('c')], Command::Quit, None, "quit"),

    bind(Input, &[named(Enter)], Command::InputAccept, Some("keep"), "keep the filter"),
    bind(Input, &[named(Esc), control('c')], Command::InputCancel, Some("drop"), "take the filter back"),
    bind(Input, &[control('u')], Command::InputClear, Some("clear"), "erase all"),
    bind(Input, &[control('w')], Command::InputEraseWord, Some("erase word"), "erase a word"),
    bind(Input, &[named(Backspace), control('h')], Command::InputErase, None, "erase a character"),
    bind(Input, &[named(Delete), control('d')], Command::InputDelete, None, "erase the character here"),
    bind(Input, &[named(Left), control('b')], Command::InputLeft, None, "left"),
    bind(Input, &[named(Right), control('f')], Command::InputRight, None, "right"),
    bind(Input, &[named(Home), control('a')], Command::InputStart, None, "to the start"),
    bind(Input, &[named(End), control('e')], Command::InputEnd, None, "to the end"),
];

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
            KeyCode::Char(c) => c.to_string(),
            Enter => "Enter".to_owned(),
            Esc => "Esc".to_owned(),
            Tab => "Tab".to_owned(),
            BackTab => "Shift-Tab".to_owned(),
            Backspace => "Backspace".to_owned(),
            Delete => "Del".to_owned(),
            Up => "↑".to_owned(),
            Down => "↓".to_owned(),
            Left => "←".to_owned(),
            Right => "→".to_owned(),
            Home => "Home".to_owned(),
            End => "End".to_owned(),
            PageUp => "PgUp".to_owned(),
            PageDown => "PgDn".to_owned(),
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

/// The key and the word of each hint that the footer of a scope shows.
pub(super) fn footer(scope: Scope) -> Vec<(String, &'static str)> {
    let lines = scope.chain().iter().flat_map(|scope| BINDINGS.iter().filter(move |line| line.scope == *scope));
    lines.filter_map(|line| Some((line.keys.first()?.label(), line.footer?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPES: [Scope; 6] = [Anywhere, Runs, Run, Registry, Help, Input];

    #[test]
    fn no_key_means_two_things_in_a_view() {
        for scope in SCOPES {
            let lines = BINDINGS.iter().filter(|line| scope.chain().contains(&line.scope));
            let keys: Vec<Key> = lines.flat_map(|line| line.keys.iter().copied()).collect();
            for (index, key) in keys.iter().enumerate() {
                assert!(!keys[..index].contains(key), "{} twice in {}", key.label(), scope.title());
            }
        }
    }

    #[test]
    fn every_binding_has_keys_and_help() {
        for line in BINDINGS {
            assert!(!line.keys.is_empty() && !line.help.is_empty(), "{:?}", line.command);
        }
    }

    #[test]
    fn every_view_says_how_to_leave_it() {
        for scope in [Runs, Run, Registry] {
            let hints = footer(scope);
            assert!(hints.iter().any(|(_, word)| *word == "quit"), "{}", scope.title());
            assert!(hints.iter().any(|(_, word)| *word == "help"), "{}", scope.title());
        }
    }

    #[test]
    fn typed_characters_are_never_commands() {
        let printing = BINDINGS.iter().filter(|line| line.scope == Input).flat_map(|line| line.keys);
        assert!(!printing.into_iter().any(|key| matches!(key.code, KeyCode::Char(_)) && !key.control));
    }
}
