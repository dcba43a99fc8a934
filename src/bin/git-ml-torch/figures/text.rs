//! How wide texts are, and texts that fit.

/// The advance of each printable ASCII character of DejaVu Sans, in 2048ths of the size.
const ADVANCES: [u16; 95] = [
    651, 821, 942, 1716, 1303, 1946, 1597, 563, 799, 799, 1024, 1716, 651, 739, 651, 690, 1303, 1303, 1303, 1303, 1303,
    1303, 1303, 1303, 1303, 1303, 690, 690, 1716, 1716, 1716, 1087, 2048, 1401, 1405, 1430, 1577, 1294, 1178, 1587,
    1540, 604, 604, 1343, 1141, 1767, 1532, 1612, 1235, 1612, 1423, 1300, 1251, 1499, 1401, 2025, 1403, 1251, 1403,
    799, 690, 799, 1716, 1024, 1024, 1255, 1300, 1126, 1300, 1260, 721, 1300, 1298, 569, 569, 1186, 569, 1995, 1298,
    1253, 1300, 1300, 842, 1067, 803, 1298, 1212, 1675, 1212, 1212, 1075, 1303, 690, 1303, 1716,
];
/// What a character counts that is in no font of ours: nearly the widest there are.
const OTHER: u16 = 2048;
/// Stands for what was left out. The font has no other.
const GAP: &str = "...";

/// The width of a text of this size.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let advance =
        |c: char| (c as usize).checked_sub(32).and_then(|index| ADVANCES.get(index)).copied().unwrap_or(OTHER);
    text.chars().map(|c| f64::from(advance(c))).sum::<f64>() * size / 2048.0
}

/// The widest of some texts.
pub(super) fn widest<'t>(texts: impl IntoIterator<Item = &'t str>, size: f64) -> f64 {
    texts.into_iter().map(|text| width(text, size)).fold(0.0, f64::max)
}

/// The text, without its middle where it is too wide: names often differ at the end only.
pub(super) fn shorten(text: &str, size: f64, most: f64) -> String {
    let text = one_line(text);
    if width(&text, size) <= most {
        return text;
    }
    let characters: Vec<char> = text.chars().collect();
    let kept = |count: usize| -> String {
        let start = characters[..count.div_ceil(2)].iter();
        start.copied().chain(GAP.chars()).chain(characters[characters.len() - count / 2..].iter().copied()).collect()
    };
    let fitting = (1..characters.len()).rev().map(kept).find(|shorter| width(shorter, size) <= most);
    fitting.unwrap_or_else(|| characters[..1].iter().collect())
}

/// Up to `lines` lines of the text's beginning.
pub(super) fn wrap(text: &str, size: f64, most: f64, lines: usize) -> Vec<String> {
    let mut wrapped = vec![String::new()];
    // More than this fits in no line.
    let start: String = text.chars().take(lines * 400).collect();
    for word in one_line(&start).split(' ') {
        let line = wrapped.last().cloned().unwrap_or_default();
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if width(&longer, size) <= most || line.is_empty() {
            wrapped.pop();
            wrapped.push(longer);
        } else if wrapped.len() < lines {
            wrapped.push(word.to_owned());
        } else {
            // What is left out has to be seen, so it takes the place of the last words.
            let mut kept = line.as_str();
            while width(&format!("{kept} {GAP}"), size) > most {
                let Some((shorter, _)) = kept.rsplit_once(' ') else { break };
                kept = shorter;
            }
            let ended = format!("{kept} {GAP}");
            wrapped.pop();
            wrapped.push(ended);
            break;
        }
    }
    wrapped.into_iter().map(|line| shorten(&line, size, most)).collect()
}

fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    words.join(" ")
}

/// A count with its thousands apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// For the text of an XML element; characters that XML cannot have are left out.
pub(super) fn escape(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}')).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_made_to_fit() {
        assert_eq!(width("", 11.0), 0.0);
        assert!((width("0000", 2048.0) - 5212.0).abs() < 1e-9);
        assert_eq!(shorten("cat", 11.0, 100.0), "cat");
        let name = "hare_of_the_northern_woods_in_winter";
        let short = shorten(name, 11.0, 100.0);
        assert!(short.starts_with("hare") && short.ends_with("winter") && short.contains(GAP), "{short}");
        assert!(width(&short, 11.0) <= 100.0);
        assert_eq!(shorten("日本", 11.0, 3.0), "日");
        assert_eq!(wrap("one two\nthree four", 10.0, 60.0, 2), ["one two", "three four"]);
        assert_eq!(wrap("one two three four", 10.0, 60.0, 1), ["one two ..."]);
        assert_eq!(wrap("one two three four", 10.0, 48.0, 1), ["one ..."]);
        assert_eq!((count(7), count(1234), count(1_234_567)), ("7".into(), "1,234".into(), "1,234,567".into()));
    }
}
