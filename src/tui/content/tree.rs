//! A tree of files that folds: folders are closed until they are opened.

use std::collections::BTreeSet;

/// A file and how large it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tui) struct TreeFile {
    /// Its path, with `/` between the names.
    pub(in crate::tui) path: String,
    /// Bytes of content.
    pub(in crate::tui) bytes: u64,
}

/// A folder or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    name: String,
    depth: usize,
    /// Of a file, its place in the list that the tree was made of.
    file: Option<usize>,
    bytes: u64,
    /// Files in a folder.
    files: usize,
    /// The node after it and all that is in it.
    end: usize,
}

/// A row of a tree as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) struct TreeRow<'t> {
    /// The node.
    pub(in crate::tui) node: usize,
    /// The last name of its path.
    pub(in crate::tui) name: &'t str,
    /// Folders around it.
    pub(in crate::tui) depth: usize,
    /// Bytes of content, of a folder in all its files.
    pub(in crate::tui) bytes: u64,
    /// What it is.
    pub(in crate::tui) kind: RowKind,
}

/// What a row of a tree stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum RowKind {
    /// A file, by its place in the list that the tree was made of.
    File(usize),
    /// A folder.
    Folder {
        /// Whether its content is shown.
        is_open: bool,
        /// Files in it, at any depth.
        files: usize,
    },
}

/// The tree of a list of files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::tui) struct FileTree {
    /// Depth first, folders before files, each by name.
    nodes: Vec<Node>,
    open: BTreeSet<usize>,
}

impl FileTree {
    /// The tree of these files. Folders of the top are open where all that is in them fits into `room` rows.
    pub(in crate::tui) fn new(files: &[TreeFile], room: usize) -> Self {
        let mut order: Vec<usize> = (0..files.len()).collect();
        // A folder comes before the files beside it: `a/b` before `a.txt`, each part by itself.
        let key = |index: &usize| {
            let mut names: Vec<(bool, String)> =
                files[*index].path.split('/').map(|name| (false, name.to_owned())).collect();
            names.iter_mut().last().into_iter().for_each(|last| last.0 = true);
            names
        };
        order.sort_by_cached_key(key);
        let mut tree = Self::default();
        let mut stack: Vec<(String, usize)> = Vec::new();
        for index in order {
            let file = &files[index];
            let names: Vec<&str> = file.path.split('/').collect();
            let (name, folders) = names.split_last().map_or(("", &[][..]), |(name, folders)| (*name, folders));
            let common = stack.iter().zip(folders).take_while(|((open, _), name)| open == *name).count();
            while stack.len() > common {
                tree.close(&mut stack);
            }
            for folder in &folders[common..] {
                stack.push(((*folder).to_owned(), tree.nodes.len()));
                tree.nodes.push(Node {
                    name: (*folder).to_owned(),
                    depth: stack.len() - 1,
                    file: None,
                    bytes: 0,
                    files: 0,
                    end: 0,
                });
            }
            let end = tree.nodes.len() + 1;
            for (_, folder) in &stack {
                let folder = &mut tree.nodes[*folder];
                folder.bytes = folder.bytes.saturating_add(file.bytes);
                folder.files += 1;
            }
            tree.nodes.push(Node {
                name: name.to_owned(),
                depth: stack.len(),
                file: Some(index),
                bytes: file.bytes,
                files: 0,
                end,
            });
        }
        while !stack.is_empty() {
            tree.close(&mut stack);
        }
        if tree.nodes.len() <= room {
            tree.open = (0..tree.nodes.len()).filter(|node| tree.nodes[*node].file.is_none()).collect();
        }
        tree
    }

    fn close(&mut self, stack: &mut Vec<(String, usize)>) {
        if let Some((_, folder)) = stack.pop() {
            self.nodes[folder].end = self.nodes.len();
        }
    }

    /// The rows that are shown.
    pub(in crate::tui) fn rows(&self) -> Vec<TreeRow<'_>> {
        let mut rows = Vec::new();
        let mut index = 0;
        while let Some(node) = self.nodes.get(index) {
            let is_open = self.open.contains(&index);
            let kind = match node.file {
                Some(file) => RowKind::File(file),
                None => RowKind::Folder { is_open, files: node.files },
            };
            rows.push(TreeRow { node: index, name: &node.name, depth: node.depth, bytes: node.bytes, kind });
            index = if node.file.is_none() && !is_open { node.end } else { index + 1 };
        }
        rows
    }

    /// Opens or closes the folder in a row; whether there is one.
    pub(in crate::tui) fn set_open(&mut self, node: usize, is_open: bool) -> bool {
        let is_folder = self.nodes.get(node).is_some_and(|node| node.file.is_none());
        match is_open {
            true if is_folder => self.open.insert(node),
            _ => self.open.remove(&node),
        };
        is_folder
    }

    /// The folder that a node is in; none at the top.
    pub(in crate::tui) fn parent(&self, node: usize) -> Option<usize> {
        let depth = self.nodes.get(node)?.depth.checked_sub(1)?;
        (0..node).rev().find(|index| self.nodes[*index].depth == depth && self.nodes[*index].file.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str], room: usize) -> FileTree {
        let file = |(index, path): (usize, &&str)| TreeFile { path: (*path).to_owned(), bytes: 1 << index };
        FileTree::new(&paths.iter().enumerate().map(file).collect::<Vec<_>>(), room)
    }

    fn shown(tree: &FileTree) -> Vec<String> {
        let row = |row: &TreeRow<'_>| {
            let mark = match row.kind {
                RowKind::File(file) => format!("#{file}"),
                RowKind::Folder { is_open: true, files } => format!("- {files}"),
                RowKind::Folder { is_open: false, files } => format!("+ {files}"),
            };
            format!("{}{} {} {mark}", "  ".repeat(row.depth), row.name, row.bytes)
        };
        tree.rows().iter().map(row).collect()
    }

    #[test]
    fn folders_come_first_and_add_up() {
        let tree = tree(&["README.md", "figures/loss.png", "figures/deep/x.svg", "figures.txt", "a"], 100);
        assert_eq!(
            shown(&tree),
            [
                "figures 6 - 2",
                "  deep 4 - 1",
                "    x.svg 4 #2",
                "  loss.png 2 #1",
                "README.md 1 #0",
                "a 16 #4",
                "figures.txt 8 #3"
            ]
        );
    }

    #[test]
    fn folders_open_and_close() {
        let mut tree = tree(&["a/b/c", "a/d", "e/f"], 3);
        assert_eq!(shown(&tree), ["a 3 + 2", "e 4 + 1"]);
        let first = tree.rows()[0].node;
        assert!(tree.set_open(first, true));
        assert_eq!(shown(&tree), ["a 3 - 2", "  b 1 + 1", "  d 2 #1", "e 4 + 1"]);
        let file = tree.rows()[2].node;
        assert!(!tree.set_open(file, true));
        assert_eq!((tree.parent(file), tree.parent(first)), (Some(first), None));
        assert!(tree.set_open(first, false));
        assert_eq!(shown(&tree), ["a 3 + 2", "e 4 + 1"]);
        assert!(!tree.set_open(99, true));
        assert_eq!(shown(&FileTree::default()), Vec::<String>::new());
    }
}
