//! A report as one HTML file: no script, no link, nothing from elsewhere.

use super::compose::{Limits, blocks};
use super::page::{Align, Block, Line, Span};
use super::{Report, Verdict, markdown};

/// A page has room for more than a comment.
const LIMITS: Limits = Limits { entries: 500, rows: 2000 };

const STYLE: &str = include_str!("report.css");

/// Writes the page.
pub(super) fn write(report: &Report) -> String {
    let picture = report.picture();
    let body: String = blocks(report, LIMITS).iter().map(|block| block_text(block, picture.as_deref())).collect();
    // Should anything get through, the page still cannot run or fetch it.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>git ml report</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

fn block_text(block: &Block, picture: Option<&str>) -> String {
    match block {
        Block::Heading(level, line) => {
            // The page's own heading is the first level.
            let level = level - 1;
            format!("<h{level}>{}</h{level}>\n", line_text(line))
        }
        Block::Paragraph(line) => format!("<p>{}</p>\n", line_text(line)),
        Block::Caution(line) => format!("<p class=\"caution\">⚠ {}</p>\n", line_text(line)),
        Block::List(lines) => {
            let items: String = lines.iter().map(|line| format!("<li>{}</li>\n", line_text(line))).collect();
            format!("<ul>\n{items}</ul>\n")
        }
        Block::Table { columns, rows } => table_text(columns, rows),
        Block::Details(summary, inner) => {
            let inner: String = inner.iter().map(|block| block_text(block, picture)).collect();
            format!("<details>\n<summary>{}</summary>\n{inner}</details>\n", escape(summary))
        }
        Block::Picture => picture.map(|picture| format!("<figure>\n{picture}</figure>\n")).unwrap_or_default(),
    }
}

fn table_text(columns: &[(&str, Align)], rows: &[Vec<Line>]) -> String {
    let class = |align: Align| if align == Align::Right { " class=\"number\"" } else { "" };
    let heads: String = columns
        .iter()
        .map(|(name, align)| format!("<th scope=\"col\"{}>{}</th>", class(*align), escape(name)))
        .collect();
    let row = |row: &Vec<Line>| {
        let cell =
            |(line, (_, align)): (&Line, &(&str, Align))| format!("<td{}>{}</td>", class(*align), line_text(line));
        format!("<tr>{}</tr>\n", row.iter().zip(columns).map(cell).collect::<String>())
    };
    let rows: String = rows.iter().map(row).collect();
    format!("<div class=\"wide\"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n")
}

fn line_text(line: &Line) -> String {
    line.iter().map(span_text).collect()
}

fn span_text(span: &Span) -> String {
    match span {
        Span::Words(words) => escape(words),
        Span::Strong(words) => format!("<strong>{}</strong>", escape(words)),
        Span::Code(text) if text.is_empty() => "(empty)".to_owned(),
        Span::Code(text) => format!("<code>{}</code>", escape(text)),
        Span::Verdict(Verdict::Open) => String::new(),
        Span::Verdict(verdict) => {
            format!("<span class=\"{0}\">{1}{0}</span>", verdict.as_str(), markdown::sign(*verdict))
        }
    }
}

/// Text between tags or in a quoted attribute, in HTML and in XML.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}
