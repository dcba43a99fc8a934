//! The files of artifacts as a tree, and beside it what the chosen one looks like.

mod draw;
mod load;

pub(in crate::tui) use draw::draw;
pub(in crate::tui) use load::{Answer, FileList, Request, list, look, whole};

use ratatui::layout::Rect;

use crate::id::{ArtifactId, Digest};

use super::content::preview::{Content, Preview};
use super::content::tree::{FileTree, RowKind};
use super::context::Load;
use super::keys::Command;
use super::layout::split_left;
use super::list::{held, moved};
use super::mouse::{Mouse, MouseKind};

/// Columns below which the tree and the preview take turns.
const WIDE: u16 = 76;

/// An artifact whose files are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tui) struct Root {
    /// What it is called.
    pub(in crate::tui) name: String,
    /// What it is: its type, or what a run did with it.
    pub(in crate::tui) what: String,
    /// Which it is.
    pub(in crate::tui) id: ArtifactId,
    /// Bytes of content, where that is known without its list of files.
    pub(in crate::tui) bytes: Option<u64>,
}

/// A file that is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tui) struct FileKey {
    /// Its content.
    pub(in crate::tui) digest: Digest,
    /// Its path in the artifact; for an artifact that is a file, the artifact's name.
    pub(in crate::tui) path: String,
    /// Bytes of content.
    pub(in crate::tui) bytes: u64,
    /// Characters across and down that a picture has room in.
    pub(in crate::tui) room: (u16, u16),
}

/// Which half the keys act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::tui) enum Focus {
    /// The tree.
    #[default]
    Tree,
    /// What the chosen file looks like.
    Preview,
}

/// A list of files that was loaded, folded as the user left it.
#[derive(Debug)]
struct Opened {
    list: FileList,
    tree: FileTree,
}

/// A row of the pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row<'p> {
    /// An artifact, and whether its files are shown.
    Root(usize, bool),
    /// Why an artifact's files are not there.
    Word(usize, &'p str),
    /// A folder or a file of an artifact: its node, its name, folders around it, its bytes.
    Node { root: usize, node: usize, name: &'p str, depth: usize, bytes: u64, kind: RowKind },
}

/// The state.
#[derive(Debug, Default)]
pub(in crate::tui) struct FilesPane {
    roots: Vec<Root>,
    lists: Vec<Option<Load<Opened>>>,
    is_open: Vec<bool>,
    selected: usize,
    offset: usize,
    pub(in crate::tui) focus: Focus,
    preview: Option<(FileKey, Load<Preview>)>,
    /// Rows and columns that the preview is scrolled by.
    scroll: (usize, usize),
}

impl FilesPane {
    /// Shows the files of these artifacts, the first one unfolded. What was loaded of those that stay is kept.
    pub(in crate::tui) fn show(&mut self, roots: Vec<Root>) {
        if roots == self.roots {
            return;
        }
        let before = std::mem::take(self);
        let mut known: Vec<(ArtifactId, Option<Load<Opened>>, bool)> = before
            .roots
            .iter()
            .zip(before.lists)
            .zip(before.is_open)
            .map(|((root, list), open)| (root.id, list, open))
            .collect();
        let is_first = known.is_empty();
        for (index, root) in roots.iter().enumerate() {
            let place = known.iter().position(|(id, ..)| *id == root.id);
            let (list, is_open) = place.map_or((None, is_first && index == 0), |place| {
                let (_, list, is_open) = known.swap_remove(place);
                (list, is_open)
            });
            self.lists.push(list);
            self.is_open.push(is_open);
        }
        self.roots = roots;
        (self.selected, self.offset, self.focus) = (before.selected, before.offset, before.focus);
        (self.preview, self.scroll) = (before.preview, before.scroll);
    }

    /// Shows the files of one artifact, unfolded, or none.
    pub(in crate::tui) fn show_one(&mut self, root: Option<Root>) {
        let roots: Vec<Root> = root.into_iter().collect();
        if roots != self.roots {
            let (lists, is_open) = (roots.iter().map(|_| None).collect(), vec![true; roots.len()]);
            *self = Self { roots, lists, is_open, ..Self::default() };
        }
    }

    /// Whether there is nothing to show.
    pub(in crate::tui) fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    fn rows(&self) -> Vec<Row<'_>> {
        let mut rows = Vec::new();
        for (root, (list, is_open)) in self.lists.iter().zip(&self.is_open).enumerate() {
            rows.push(Row::Root(root, *is_open));
            if !is_open {
                continue;
            }
            match list {
                None | Some(Load::Waiting) => rows.push(Row::Word(root, "loading …")),
                Some(Load::Failed(problem)) => rows.push(Row::Word(root, problem)),
                Some(Load::Ready(opened)) => {
                    rows.extend(opened.tree.rows().into_iter().map(|row| Row::Node {
                        root,
                        node: row.node,
                        name: row.name,
                        depth: row.depth,
                        bytes: row.bytes,
                        kind: row.kind,
                    }));
                    rows.extend(opened.list.remark.as_deref().map(|remark| Row::Word(root, remark)));
                }
            }
        }
        rows
    }

    /// The areas of the tree and of the preview; one of them is empty where they take turns.
    fn places(&self, area: Rect) -> (Rect, Rect) {
        let none = Rect { width: 0, height: 0, ..area };
        match self.focus {
            _ if area.width >= WIDE => split_left(area, (area.width * 2 / 5).clamp(34, 60)),
            Focus::Tree => (area, none),
            Focus::Preview => (none, area),
        }
    }

    /// The file of the chosen row.
    fn chosen(&self, area: Rect) -> Option<FileKey> {
        let Row::Node { root, kind: RowKind::File(file), .. } = self.rows().get(self.selected).copied()? else {
            return None;
        };
        let Some(Some(Load::Ready(opened))) = self.lists.get(root) else { return None };
        let entry = opened.list.files.get(file)?;
        let path = if opened.list.is_single { self.roots[root].name.clone() } else { entry.path.clone() };
        let place = if area.width >= WIDE { self.places(area).1 } else { area };
        let room = (place.width.saturating_sub(4), place.height.saturating_sub(2));
        Some(FileKey { digest: *opened.list.digests.get(file)?, path, bytes: entry.bytes, room })
    }

    /// What is shown and not there yet; it counts as asked for.
    pub(in crate::tui) fn wanted(&mut self, area: Rect) -> Vec<Request> {
        let mut requests = Vec::new();
        for ((root, list), is_open) in self.roots.iter().zip(&mut self.lists).zip(&self.is_open) {
            if *is_open && list.is_none() {
                *list = Some(Load::Waiting);
                requests.push(Request::List(root.id));
            }
        }
        let is_seen = self.places(area).1.width > 0;
        if let Some(key) = self.chosen(area).filter(|_| is_seen)
            && self.preview.as_ref().is_none_or(|(known, _)| *known != key)
        {
            let is_same = self.preview.as_ref().is_some_and(|(known, _)| known.digest == key.digest);
            self.scroll = if is_same { self.scroll } else { (0, 0) };
            self.preview = Some((key.clone(), Load::Waiting));
            requests.push(Request::Preview(key));
        }
        requests
    }

    /// What reads the chosen file for the user's editor; none where no file is chosen.
    pub(in crate::tui) fn edit(&self, area: Rect) -> Option<Request> {
        self.chosen(area).map(Request::Read)
    }

    /// Takes what was asked for, where it is still wanted.
    pub(in crate::tui) fn loaded(&mut self, answer: &Answer) {
        match answer {
            Answer::List(id, result) => {
                for (root, list) in self.roots.iter().zip(&mut self.lists) {
                    if root.id == *id && matches!(list, Some(Load::Waiting)) {
                        let open =
                            |list: &FileList| Opened { tree: FileTree::new(&list.files, 40), list: list.clone() };
                        *list = Some(result.as_ref().map(open).map_err(Clone::clone).into());
                    }
                }
            }
            Answer::Read(_) => {}
            Answer::Preview(key, result) => {
                if let Some((wanted, preview)) = &mut self.preview
                    && wanted == key
                {
                    *preview = result.clone().into();
                }
            }
        }
    }

    /// Does what a key asks for; false where it means nothing here.
    pub(in crate::tui) fn command(&mut self, command: Command, area: Rect) -> bool {
        match self.focus {
            Focus::Tree => self.tree_command(command, area),
            Focus::Preview => self.preview_command(command, area),
        }
    }

    fn tree_command(&mut self, command: Command, area: Rect) -> bool {
        let rows = self.rows();
        let (count, row) = (rows.len(), rows.get(self.selected).copied());
        let page = usize::from(area.height.saturating_sub(3));
        let is_up_or_down = matches!(
            command,
            Command::Up | Command::Down | Command::PageUp | Command::PageDown | Command::First | Command::Last
        );
        if is_up_or_down {
            self.selected = moved(self.selected, command, page, count);
            return true;
        }
        let (Command::Open | Command::Right | Command::Left) = command else { return false };
        match (command, row) {
            (Command::Left, Some(Row::Root(root, true))) | (Command::Open, Some(Row::Root(root, true))) => {
                self.is_open[root] = false;
            }
            (Command::Open | Command::Right, Some(Row::Root(root, false))) => self.is_open[root] = true,
            (Command::Right, Some(Row::Root(_, true))) => {
                self.selected = moved(self.selected, Command::Down, page, count)
            }
            (_, Some(Row::Node { root, node, kind: RowKind::Folder { is_open, .. }, .. })) => {
                let wanted = match command {
                    Command::Open => !is_open,
                    command => command == Command::Right,
                };
                match wanted == is_open {
                    true if command == Command::Left => self.select_parent(root, node),
                    true => self.selected = moved(self.selected, Command::Down, page, count),
                    false => self.fold(root, node, wanted),
                }
            }
            (Command::Left, Some(Row::Node { root, node, .. })) => self.select_parent(root, node),
            (Command::Open | Command::Right, Some(Row::Node { .. })) => self.focus = Focus::Preview,
            (Command::Left, Some(Row::Word(root, _))) => self.select_root(root),
            _ => return false,
        }
        true
    }

    fn fold(&mut self, root: usize, node: usize, is_open: bool) {
        if let Some(Some(Load::Ready(opened))) = self.lists.get_mut(root) {
            opened.tree.set_open(node, is_open);
        }
    }

    fn select_root(&mut self, root: usize) {
        let found = self.rows().iter().position(|row| matches!(row, Row::Root(found, _) if *found == root));
        self.selected = found.unwrap_or(self.selected);
    }

    fn select_parent(&mut self, root: usize, node: usize) {
        let Some(Some(Load::Ready(opened))) = self.lists.get(root) else { return };
        let Some(parent) = opened.tree.parent(node) else { return self.select_root(root) };
        let is_parent =
            |row: &Row<'_>| matches!(row, Row::Node { root: of, node, .. } if (*of, *node) == (root, parent));
        let found = self.rows().iter().position(is_parent);
        self.selected = found.unwrap_or(self.selected);
    }

    fn preview_command(&mut self, command: Command, area: Rect) -> bool {
        let page = usize::from(area.height.saturating_sub(3)).max(1);
        let (lines, columns) = self.preview_size();
        match command {
            Command::Back => self.focus = Focus::Tree,
            Command::Left if self.scroll.1 == 0 => self.focus = Focus::Tree,
            Command::Left => self.scroll.1 -= self.column_step().min(self.scroll.1),
            Command::Right => self.scroll.1 = (self.scroll.1 + self.column_step()).min(columns.saturating_sub(1)),
            Command::Up | Command::Down | Command::PageUp | Command::PageDown | Command::First | Command::Last => {
                self.scroll.0 = moved(self.scroll.0, command, page, (lines + 1).saturating_sub(page).max(1));
            }
            _ => return false,
        }
        true
    }

    fn column_step(&self) -> usize {
        match &self.preview {
            Some((_, Load::Ready(Preview { content: Content::Table(_), .. }))) => 1,
            _ => 8,
        }
    }

    /// Rows and columns of the preview.
    fn preview_size(&self) -> (usize, usize) {
        match self.preview.as_ref().and_then(|(_, preview)| preview.ready()).map(|preview| &preview.content) {
            Some(Content::Lines(lines)) => {
                let width =
                    |line: &Vec<(_, String)>| line.iter().map(|(_, text)| super::text::width(text)).sum::<usize>();
                // The widest of what can be reached soon; all of a long file would take a while.
                (lines.len(), lines.iter().skip(self.scroll.0).take(200).map(width).max().unwrap_or(0))
            }
            Some(Content::Table(grid)) => (grid.len() + 1, grid.columns()),
            Some(Content::Picture(_) | Content::Nothing) | None => (0, 0),
        }
    }

    /// Takes what was done with the mouse.
    pub(in crate::tui) fn mouse(&mut self, mouse: Mouse, area: Rect) {
        let (tree, preview) = self.places(area);
        let is_preview = mouse.is_in(preview);
        match mouse.kind {
            MouseKind::WheelUp | MouseKind::WheelDown => {
                let command = if mouse.kind == MouseKind::WheelUp { Command::Up } else { Command::Down };
                for _ in 0..3 {
                    if is_preview {
                        self.preview_command(command, area)
                    } else {
                        self.tree_command(command, area)
                    };
                }
            }
            MouseKind::Press | MouseKind::DoublePress if mouse.is_in(tree) => {
                self.focus = Focus::Tree;
                let inner = Rect { y: tree.y + 1, height: tree.height.saturating_sub(2), ..tree };
                let Some(row) = mouse.row_in(inner).map(|row| row + self.offset).filter(|row| *row < self.rows().len())
                else {
                    return;
                };
                let is_again = self.selected == row;
                self.selected = row;
                let is_fold = !matches!(self.rows().get(row), Some(Row::Node { kind: RowKind::File(_), .. }));
                if mouse.kind == MouseKind::DoublePress || (is_again && is_fold) {
                    self.tree_command(Command::Open, area);
                }
            }
            MouseKind::Press if is_preview => self.focus = Focus::Preview,
            _ => {}
        }
    }

    /// Keeps the choice on the screen.
    pub(in crate::tui) fn settle(&mut self, area: Rect) {
        let count = self.rows().len();
        self.selected = self.selected.min(count.saturating_sub(1));
        self.offset = held(self.offset, self.selected, usize::from(area.height.saturating_sub(2)), count);
    }
}
