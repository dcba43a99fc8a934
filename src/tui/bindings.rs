//! The one table of keys, from which keys are dispatched, the footer is written, and the help and the palette are made.

use ratatui::crossterm::event::KeyCode::{
    self, BackTab, Backspace, Delete, Down, End, Enter, Esc, Home, Left, PageDown, PageUp, Right, Tab, Up,
};

use super::keys::Scope::{
    self, Anywhere, Artifacts, Charts, Compare, CompareRows, Confirm, Find, Help, Palette, Picker, Registry, Run, Runs,
    Sweeps, Typing,
};
use super::keys::{Binding, Command, Key, control, key, named, named_control};

const fn bind(
    scope: Scope,
    keys: &'static [Key],
    command: Command,
    footer: Option<&'static str>,
    help: &'static str,
) -> Binding {
    Binding { scope, keys, command, footer, help }
}

/// All keys. The footer shows those of the view first, then those of everywhere, in this order.
#[rustfmt::skip]
pub(super) const BINDINGS: &[Binding] = &[
    bind(Runs, &[named(Enter), key('l'), named(Right)], Command::Open, Some("open"), "open the run"),
    bind(Runs, &[key('/')], Command::Filter, Some("filter"), "show only the runs that match a query"),
    bind(Runs, &[key('f')], Command::Find, Some("find"), "find a run by letters of its name"),
    bind(Runs, &[key('s')], Command::Sort, Some("sort"), "sort by the next column"),
    bind(Runs, &[key('S')], Command::ReverseSort, None, "sort the other way round"),
    bind(Runs, &[key('o')], Command::SortBy, None, "sort by a column of your choice"),
    bind(Runs, &[key('v')], Command::Columns, Some("columns"), "choose the columns and their order"),
    bind(Runs, &[key('b')], Command::GroupBy, Some("group"), "group the runs"),
    bind(Runs, &[key('h'), named(Left)], Command::Left, None, "fold the group"),
    bind(Runs, &[key('z')], Command::FoldAll, None, "fold all groups, or unfold them"),
    bind(Runs, &[key(' ')], Command::Mark, Some("mark"), "mark the run for comparison, or unmark it"),
    bind(Runs, &[key('c')], Command::ShowCompare, None, "compare the marked runs"),
    bind(Runs, &[key('u')], Command::UnmarkAll, None, "unmark all runs"),
    bind(Runs, &[key('N')], Command::Note, None, "write a note on the run"),
    bind(Runs, &[key('i')], Command::CopyId, None, "copy the run's id"),
    bind(Runs, &[key('I')], Command::CopyCommit, None, "copy the id of the run's commit"),
    bind(Runs, &[key('d')], Command::ShowCommit, None, "look at the run's commit with `git show`"),
    bind(Runs, &[named(Delete)], Command::Remove, None, "remove the run from the lists, after a question"),
    bind(Runs, &[named(Tab)], Command::NextView, Some("next view"), "go to the next view"),
    bind(Runs, &[named(BackTab)], Command::PreviousView, None, "go to the view before"),
    bind(Runs, &[named(Esc)], Command::Back, None, "drop the filter"),

    bind(Run, &[named(Tab), named(Right), key('l')], Command::NextPane, Some("next pane"), "go to the next pane"),
    bind(Run, &[named(BackTab), named(Left), key('h')], Command::PreviousPane, None, "go to the pane before"),
    bind(Run, &[key('n'), key('J')], Command::NextRun, Some("older"), "go to the next run of the table"),
    bind(Run, &[key('p'), key('K')], Command::PreviousRun, Some("newer"), "go to the run before it"),
    bind(Run, &[key(' ')], Command::Mark, None, "mark the run for comparison, or unmark it"),
    bind(Run, &[key('c')], Command::ShowCompare, None, "compare the marked runs"),
    bind(Run, &[key('N')], Command::Note, None, "write a note on the run"),
    bind(Run, &[key('i')], Command::CopyId, None, "copy the run's id"),
    bind(Run, &[key('I')], Command::CopyCommit, None, "copy the id of the run's commit"),
    bind(Run, &[key('d')], Command::ShowCommit, None, "look at the run's commit with `git show`"),
    bind(Run, &[named(Esc), named(Backspace)], Command::Back, Some("back"), "go back"),

    bind(Charts, &[named(Enter)], Command::Open, Some("fill"), "let the chart fill the area, or show all of them"),
    bind(Charts, &[named(Left), key('h')], Command::Left, None, "the chart at the left; the crosshair to the point before"),
    bind(Charts, &[named(Right), key('l')], Command::Right, None, "the chart at the right; the crosshair to the next point"),
    bind(Charts, &[key('/')], Command::Filter, None, "find a chart by its name"),
    bind(Charts, &[key('v')], Command::ChartCrosshair, Some("values"), "show a crosshair with the values of all lines, or hide it"),
    bind(Charts, &[key('+'), key('=')], Command::ChartZoomIn, Some("zoom"), "zoom in; the wheel does, and a drag over what to see"),
    bind(Charts, &[key('-')], Command::ChartZoomOut, None, "zoom out"),
    bind(Charts, &[key('<'), key(',')], Command::ChartPanLeft, None, "move what is seen to the left"),
    bind(Charts, &[key('>'), key('.')], Command::ChartPanRight, None, "move what is seen to the right"),
    bind(Charts, &[key('0')], Command::ChartReset, None, "show all of the axes again"),
    bind(Charts, &[key('x')], Command::ChartAxis, Some("x axis"), "by step, by time since the start, by the clock, by epoch"),
    bind(Charts, &[key('X')], Command::ChartLogX, None, "a logarithmic horizontal axis, or a linear one"),
    bind(Charts, &[key('y')], Command::ChartLogY, Some("log y"), "a logarithmic vertical axis, or a linear one"),
    bind(Charts, &[key('Y')], Command::ChartOutliers, None, "leave out the values furthest out, or show all"),
    bind(Charts, &[key('s')], Command::ChartSmoother, Some("smooth"), "smooth the lines more"),
    bind(Charts, &[key('S')], Command::ChartRougher, None, "smooth the lines less"),
    bind(Charts, &[key('t')], Command::ChartTogether, None, "training and validation in one chart, or in two"),

    bind(CompareRows, &[named(Left), key('h')], Command::Left, None, "to the left"),
    bind(CompareRows, &[named(Right), key('l')], Command::Right, None, "to the right"),
    bind(CompareRows, &[key('a')], Command::ShowSame, Some("all"), "show also what is the same, or only what differs"),

    bind(Compare, &[named(Tab)], Command::NextPane, Some("next pane"), "go to the next pane"),
    bind(Compare, &[named(BackTab)], Command::PreviousPane, None, "go to the pane before"),
    bind(Compare, &[key('n'), key('J')], Command::NextRun, Some("next run"), "compare the first run with the next one"),
    bind(Compare, &[key('p'), key('K')], Command::PreviousRun, None, "compare the first run with the one before"),
    bind(Compare, &[key('u')], Command::UnmarkAll, None, "unmark all runs"),
    bind(Compare, &[named(Esc), named(Backspace)], Command::Back, Some("back"), "go back"),

    bind(Registry, &[named(Enter)], Command::Open, Some("open"), "go to the versions; open a version's run"),
    bind(Registry, &[named(Right), key('l')], Command::Right, Some("versions"), "go to the model's versions"),
    bind(Registry, &[named(Left), key('h')], Command::Left, Some("models"), "go to the models"),
    bind(Registry, &[named(Tab)], Command::NextView, None, "go to the next view"),
    bind(Registry, &[named(BackTab)], Command::PreviousView, None, "go to the view before"),
    bind(Registry, &[named(Esc), named(Backspace)], Command::Back, None, "go back"),

    bind(Artifacts, &[named(Tab)], Command::NextView, None, "go to the next view"),
    bind(Artifacts, &[named(BackTab)], Command::PreviousView, None, "go to the view before"),
    bind(Artifacts, &[named(Esc), named(Backspace)], Command::Back, Some("back"), "go back"),

    bind(Sweeps, &[named(Tab)], Command::NextView, None, "go to the next view"),
    bind(Sweeps, &[named(BackTab)], Command::PreviousView, None, "go to the view before"),
    bind(Sweeps, &[named(Esc), named(Backspace)], Command::Back, Some("back"), "go back"),

    bind(Anywhere, &[named(Up), key('k')], Command::Up, None, "up"),
    bind(Anywhere, &[named(Down), key('j')], Command::Down, None, "down"),
    bind(Anywhere, &[named(PageUp), control('b'), control('u')], Command::PageUp, None, "a page up"),
    bind(Anywhere, &[named(PageDown), control('f'), control('d')], Command::PageDown, None, "a page down"),
    bind(Anywhere, &[named(Home), key('g')], Command::First, None, "to the start"),
    bind(Anywhere, &[named(End), key('G')], Command::Last, None, "to the end; the log follows again"),
    bind(Anywhere, &[key('1')], Command::ShowRuns, None, "go to the runs"),
    bind(Anywhere, &[key('2')], Command::ShowRegistry, None, "go to the registry"),
    bind(Anywhere, &[key('3')], Command::ShowCompare, None, "go to the comparison"),
    bind(Anywhere, &[key('4')], Command::ShowArtifacts, None, "go to the artifacts"),
    bind(Anywhere, &[key('5')], Command::ShowSweeps, None, "go to the sweeps"),
    bind(Anywhere, &[control('l')], Command::Redraw, None, "draw the screen anew"),
    bind(Anywhere, &[control('z')], Command::Suspend, None, "go to the shell; `fg` comes back"),
    bind(Anywhere, &[key(':')], Command::Palette, Some("commands"), "find a command by its words"),
    bind(Anywhere, &[key('?'), named(KeyCode::F(1))], Command::Help, Some("help"), "show the keys"),
    bind(Anywhere, &[key('q'), control('c')], Command::Quit, Some("quit"), "quit"),

    bind(Help, &[named(Esc), key('?'), key('q'), named(Enter)], Command::Back, Some("close"), "close the help"),
    bind(Help, &[named(Up), key('k')], Command::Up, None, "up"),
    bind(Help, &[named(Down), key('j')], Command::Down, None, "down"),
    bind(Help, &[named(PageUp), control('b'), control('u')], Command::PageUp, None, "a page up"),
    bind(Help, &[named(PageDown), control('f'), control('d'), key(' ')], Command::PageDown, None, "a page down"),
    bind(Help, &[control('c')], Command::Quit, None, "quit"),

    bind(Palette, &[named(Enter)], Command::Accept, Some("do it"), "do what is chosen"),
    bind(Palette, &[named(Up), control('p')], Command::Up, None, "up"),
    bind(Palette, &[named(Down), control('n')], Command::Down, None, "down"),
    bind(Palette, &[named(Esc), control('c')], Command::Back, Some("close"), "close the palette"),

    bind(Picker, &[named(Enter)], Command::Accept, Some("take"), "take what is chosen"),
    bind(Picker, &[key(' ')], Command::Toggle, Some("on or off"), "choose the line too, or not, where several can be"),
    bind(Picker, &[named_control(Up)], Command::MoveUp, None, "move the line up"),
    bind(Picker, &[named_control(Down)], Command::MoveDown, None, "move the line down"),
    bind(Picker, &[named(Up), control('p')], Command::Up, None, "up"),
    bind(Picker, &[named(Down), control('n')], Command::Down, None, "down"),
    bind(Picker, &[named(PageUp)], Command::PageUp, None, "a page up"),
    bind(Picker, &[named(PageDown)], Command::PageDown, None, "a page down"),
    bind(Picker, &[named(Esc), control('c')], Command::Back, Some("close"), "leave it as it was"),

    bind(Confirm, &[key('y'), named(Enter)], Command::Accept, Some("yes"), "do it"),
    bind(Confirm, &[key('n'), named(Esc), key('q'), control('c')], Command::Back, Some("no"), "leave it"),
    bind(Confirm, &[named(Up), key('k')], Command::Up, None, "up"),
    bind(Confirm, &[named(Down), key('j')], Command::Down, None, "down"),

    bind(Find, &[named(Enter)], Command::InputAccept, Some("stay here"), "stay at the run that was found"),
    bind(Find, &[named(Esc), control('c')], Command::InputCancel, Some("go back"), "go back to where you were"),
    bind(Find, &[named(Down), control('n'), named(Tab)], Command::Down, Some("next"), "the next run with these letters"),
    bind(Find, &[named(Up), control('p'), named(BackTab)], Command::Up, None, "the one before"),

    bind(Typing, &[named(Enter)], Command::InputAccept, Some("keep"), "keep the text"),
    bind(Typing, &[named(Esc), control('c')], Command::InputCancel, Some("drop"), "take the text back"),
    bind(Typing, &[named(Tab)], Command::Complete, Some("complete"), "complete the word, or try the next one"),
    bind(Typing, &[control('u')], Command::InputClear, Some("clear"), "erase all"),
    bind(Typing, &[control('w')], Command::InputEraseWord, Some("erase word"), "erase a word"),
    bind(Typing, &[named(Backspace), control('h')], Command::InputErase, None, "erase a character"),
    bind(Typing, &[named(Delete), control('d')], Command::InputDelete, None, "erase the character here"),
    bind(Typing, &[named(Left), control('b')], Command::InputLeft, None, "left"),
    bind(Typing, &[named(Right), control('f')], Command::InputRight, None, "right"),
    bind(Typing, &[named(Home), control('a')], Command::InputStart, None, "to the start"),
    bind(Typing, &[named(End), control('e')], Command::InputEnd, None, "to the end"),
];
