//! The word that somebody meant.

/// A word as an error repeats it.
pub(super) fn shown(word: &str) -> String {
    word.escape_debug().take(60).collect()
}

/// The known word that is nearest to one that is not known, if any is near.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    // The distance takes time by the product of the lengths.
    if word.len() > 20 {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let distances = known.iter().map(|known| (strsim::damerau_levenshtein(&word, known), *known));
    let (distance, near) = distances.min()?;
    // Of three letters two others make another word.
    (distance <= 2 && distance < near.len().min(word.len())).then_some(near)
}
