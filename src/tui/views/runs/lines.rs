//! The lines of the table: its rows, under headings where they are grouped.

use std::collections::BTreeSet;

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Line {
    /// A row of the sheet.
    Row(usize),
    /// The heading of a group, by its place among them.
    Group(usize),
}

/// Rows that follow each other and have a value in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tui) struct Group {
    /// The value.
    pub(in crate::tui) label: String,
    /// Its first row.
    pub(in crate::tui) first: usize,
    /// How many rows it has.
    pub(in crate::tui) rows: usize,
    /// Whether its rows are not shown.
    pub(in crate::tui) is_folded: bool,
    /// The line of its heading.
    line: usize,
}

/// The lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::tui) struct Lines {
    groups: Vec<Group>,
    count: usize,
}

impl Lines {
    /// A line for each row.
    pub(in crate::tui) fn flat(rows: usize) -> Self {
        Self { groups: Vec::new(), count: rows }
    }

    /// The lines of rows with these values, each with a heading where it differs from the one before.
    pub(in crate::tui) fn grouped(labels: impl Iterator<Item = String>, folded: &BTreeSet<String>) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for (row, label) in labels.enumerate() {
            match groups.last_mut() {
                Some(group) if group.label == label => group.rows += 1,
                _ => {
                    let is_folded = folded.contains(&label);
                    groups.push(Group { label, first: row, rows: 1, is_folded, line: 0 });
                }
            }
        }
        let mut lines = Self { groups, count: 0 };
        lines.place();
        lines
    }

    fn place(&mut self) {
        self.count = 0;
        for group in &mut self.groups {
            group.line = self.count;
            self.count += 1 + if group.is_folded { 0 } else { group.rows };
        }
    }

    /// How many lines there are.
    pub(in crate::tui) fn count(&self) -> usize {
        self.count
    }

    /// The groups; none where rows are not grouped.
    pub(in crate::tui) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// What a line is; none behind the last one.
    pub(in crate::tui) fn at(&self, line: usize) -> Option<Line> {
        if line >= self.count {
            return None;
        }
        if self.groups.is_empty() {
            return Some(Line::Row(line));
        }
        let place = self.groups.partition_point(|group| group.line <= line).checked_sub(1)?;
        let group = &self.groups[place];
        Some(if group.line == line { Line::Group(place) } else { Line::Row(group.first + line - group.line - 1) })
    }

    /// The line of a row, or of its group's heading where that is folded.
    pub(in crate::tui) fn of_row(&self, row: usize) -> usize {
        let Some(place) = self.groups.partition_point(|group| group.first <= row).checked_sub(1) else { return row };
        let group = &self.groups[place];
        if group.is_folded { group.line } else { group.line + 1 + row - group.first }
    }

    /// The group that a line belongs to.
    pub(in crate::tui) fn group_of(&self, line: usize) -> Option<usize> {
        match self.at(line)? {
            Line::Group(group) => Some(group),
            Line::Row(row) => self.groups.partition_point(|group| group.first <= row).checked_sub(1),
        }
    }

    /// The line of a group's heading.
    pub(in crate::tui) fn of_group(&self, group: usize) -> usize {
        self.groups.get(group).map_or(0, |group| group.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lead_to_rows_and_back() {
        let labels = || ["cnn", "cnn", "mlp", "", ""].into_iter().map(str::to_owned);
        let lines = Lines::grouped(labels(), &BTreeSet::from(["cnn".to_owned()]));
        let all: Vec<Line> = (0..lines.count()).filter_map(|line| lines.at(line)).collect();
        use Line::{Group, Row};
        assert_eq!(all, [Group(0), Group(1), Row(2), Group(2), Row(3), Row(4)]);
        let back: Vec<usize> = (0..5).map(|row| lines.of_row(row)).collect();
        assert_eq!(back, [0, 0, 2, 4, 5]);
        assert_eq!([lines.group_of(2), lines.group_of(5), lines.group_of(6)], [Some(1), Some(2), None]);
        assert_eq!((Lines::flat(3).at(2), Lines::flat(3).of_row(1), Lines::flat(3).at(3)), (Some(Row(2)), 1, None));
    }
}
