//! A report as Markdown, as GitHub and GitLab read it.

use super::compose::{Limits, blocks};
use super::page::{Align, Block, Line, Span};
use super::{Report, Verdict};

/// The first line, by which a program finds the comment that it wrote before.
pub const MARKER: &str = "<!-- git-ml report -->";

/// Bytes that a report has at most: a comment on GitHub may have 65,536 characters, and CI may add a few.
pub const MAX_BYTES: usize = 65_000;

/// How much is shown, from all that anybody reads down to the least.
const LEVELS: [Limits; 5] = [
    Limits { entries: 50, rows: 200 },
    Limits { entries: 30, rows: 50 },
    Limits { entries: 12, rows: 20 },
    Limits { entries: 6, rows: 8 },
    Limits { entries: 3, rows: 3 },
];

/// Writes the most that fits.
pub(super) fn write(report: &Report, picture: Option<&str>) -> String {
    let whole = |limits| format!("{MARKER}\n{}", blocks_text(&blocks(report, limits), picture, usize::MAX));
    let fitting = LEVELS.iter().map(|limits| whole(*limits)).find(|text| text.len() <= MAX_BYTES);
    fitting.unwrap_or_else(|| {
        let least = LEVELS[LEVELS.len() - 1];
        format!("{MARKER}\n{}", blocks_text(&blocks(report, least), picture, MAX_BYTES - MARKER.len() - 1))
    })
}

/// Blocks as text, with an empty line between them, at most `limit` bytes: then the rest is left out, whole blocks.
fn blocks_text(blocks: &[Block], picture: Option<&str>, limit: usize) -> String {
    const CUT: &str = "\nThe rest does not fit here.\n";
    let mut text = String::new();
    for block in blocks {
        let Some(block) = block_text(block, picture) else { continue };
        if text.len() + block.len() + 1 + CUT.len() > limit {
            return text + CUT;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&block);
    }
    text
}

fn block_text(block: &Block, picture: Option<&str>) -> Option<String> {
    Some(match block {
        Block::Heading(level, line) => format!("{} {}\n", "#".repeat(usize::from(*level)), line_text(line)),
        Block::Paragraph(line) => format!("{}\n", line_text(line)),
        Block::Caution(line) => format!("> ⚠ {}\n", line_text(line)),
        Block::List(lines) => lines.iter().map(|line| format!("- {}\n", line_text(line))).collect(),
        Block::Table { columns, rows } => table_text(columns, rows),
        Block::Details(summary, inner) => {
            let inner = blocks_text(inner, picture, usize::MAX);
            format!("<details>\n<summary>{summary}</summary>\n\n{inner}\n</details>\n")
        }
        Block::Picture => format!("![Curves of the main metrics]({})\n", percent_encoded(picture?)),
    })
}

fn table_text(columns: &[(&str, Align)], rows: &[Vec<Line>]) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let rules: Vec<&str> =
        columns.iter().map(|(_, align)| if *align == Align::Right { "---:" } else { "---" }).collect();
    let mut text = format!("| {} |\n| {} |\n", names.join(" | "), rules.join(" | "));
    for row in rows {
        // A table ends a cell at every bar, also at one in code, but for one behind a backslash.
        let cells: Vec<String> = row.iter().map(|line| line_text(line).replace('|', "\\|")).collect();
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

fn line_text(line: &Line) -> String {
    line.iter().map(span_text).collect()
}

fn span_text(span: &Span) -> String {
    match span {
        Span::Words(words) => words.clone(),
        Span::Strong(words) => format!("**{words}**"),
        Span::Code(text) => code(text),
        Span::Verdict(verdict) => format!("{}{}", sign(*verdict), verdict.as_str()),
    }
}

/// A sign beside the word.
pub(super) fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "✓ ",
        Verdict::Worse => "✗ ",
        Verdict::Same => "= ",
        Verdict::Open => "",
    }
}

/// A code span that shows exactly this text: between as many backticks as it has nowhere in a row.
fn code(text: &str) -> String {
    if text.is_empty() {
        return "(empty)".to_owned();
    }
    let runs = text.split(|character| character != '`').map(str::len);
    let fence = "`".repeat(runs.max().unwrap_or(0) + 1);
    // One space on either side is taken away again, if there is one on both and something else between.
    let needs_room = text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']);
    let is_blank = text.chars().all(|character| character == ' ');
    let room = if needs_room && !is_blank { " " } else { "" };
    format!("{fence}{room}{text}{room}{fence}")
}

/// A file's name as part of a link.
fn percent_encoded(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    name.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_span_ends_where_we_end_it() {
        let cases = [
            ("plain", "`plain`"),
            ("a`b", "``a`b``"),
            ("``", "``` `` ```"),
            ("`x", "`` `x ``"),
            (" x", "`  x `"),
            ("  ", "`  `"),
            ("", "(empty)"),
            ("<b>@team #1 [x](y)</b>", "`<b>@team #1 [x](y)</b>`"),
        ];
        for (text, expected) in cases {
            assert_eq!(code(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_cell_is_one_cell() {
        let row = vec![vec![Span::code("a|b")], vec![Span::code("c\nd")]];
        let text = table_text(&[("x", Align::Left), ("y", Align::Right)], &[row]);
        assert_eq!(text, "| x | y |\n| --- | ---: |\n| `a\\|b` | `c\\nd` |\n");
    }

    #[test]
    fn a_picture_s_name_cannot_leave_its_link() {
        assert_eq!(percent_encoded("a (1)].svg"), "a%20%281%29%5D.svg");
    }
}
