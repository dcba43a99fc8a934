//! Readable names of runs: `brave-otter-12`.

use super::RunError;
use crate::id::RunId;

const ADJECTIVES: [&str; 96] = [
    "able", "agile", "amber", "ample", "azure", "balmy", "bold", "brave", "breezy", "bright", "brisk", "bronze",
    "calm", "candid", "careful", "cheery", "civil", "clear", "clever", "cobalt", "coral", "cosmic", "cozy", "crisp",
    "curious", "daring", "dapper", "deft", "eager", "early", "earnest", "elegant", "exact", "fair", "famous", "fine",
    "fleet", "fluent", "fond", "frank", "fresh", "gentle", "gifted", "glad", "golden", "grand", "happy", "hardy",
    "honest", "humble", "ideal", "jade", "jolly", "joyful", "keen", "kind", "lively", "loyal", "lucid", "lucky",
    "mellow", "merry", "mild", "modest", "neat", "nimble", "noble", "opal", "patient", "placid", "plucky", "polite",
    "prime", "proud", "quick", "quiet", "ready", "robust", "rosy", "sage", "scarlet", "serene", "sharp", "silver",
    "smart", "snug", "solid", "spry", "steady", "sunny", "swift", "tidy", "vivid", "warm", "wise", "witty",
];

const ANIMALS: [&str; 96] = [
    "albatross",
    "alpaca",
    "antelope",
    "badger",
    "bat",
    "bear",
    "beaver",
    "bee",
    "bison",
    "bobcat",
    "buffalo",
    "camel",
    "caribou",
    "cat",
    "cheetah",
    "chipmunk",
    "condor",
    "cougar",
    "coyote",
    "crane",
    "cricket",
    "crow",
    "deer",
    "dingo",
    "dolphin",
    "dove",
    "dragonfly",
    "duck",
    "eagle",
    "egret",
    "elk",
    "falcon",
    "ferret",
    "finch",
    "firefly",
    "fox",
    "frog",
    "gazelle",
    "gecko",
    "gibbon",
    "goat",
    "goose",
    "gopher",
    "hare",
    "hawk",
    "hedgehog",
    "heron",
    "horse",
    "ibex",
    "ibis",
    "iguana",
    "jackal",
    "jaguar",
    "jay",
    "kestrel",
    "kiwi",
    "koala",
    "lark",
    "lemur",
    "leopard",
    "lion",
    "llama",
    "lynx",
    "macaw",
    "magpie",
    "marmot",
    "marten",
    "mole",
    "moose",
    "mouse",
    "narwhal",
    "newt",
    "ocelot",
    "orca",
    "oriole",
    "osprey",
    "otter",
    "owl",
    "panda",
    "panther",
    "parrot",
    "pelican",
    "penguin",
    "puffin",
    "puma",
    "rabbit",
    "raven",
    "robin",
    "salmon",
    "seal",
    "sparrow",
    "squirrel",
    "swan",
    "tiger",
    "turtle",
    "wolf",
];

/// The name of a run that was given none, out of its id's random digits.
pub fn name_of(run_id: &RunId) -> String {
    // The first six bytes are the time; the last byte chooses the run's folder in the tree, and is random too.
    let bytes = run_id.as_bytes();
    let random = u32::from_be_bytes([bytes[11], bytes[12], bytes[13], bytes[14]]) as usize;
    let adjective = ADJECTIVES[random % ADJECTIVES.len()];
    let animal = ANIMALS[random / ADJECTIVES.len() % ANIMALS.len()];
    let number = random / (ADJECTIVES.len() * ANIMALS.len()) % 999 + 1;
    format!("{adjective}-{animal}-{number}")
}

/// Refuses a name that a user gives a run where it could be taken for something else.
pub(super) fn check(name: &str) -> Result<(), RunError> {
    let problem = if name.is_empty() {
        "it is empty"
    } else if name.len() > 128 {
        "it is longer than 128 bytes"
    } else if name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        "it has a space or a control character"
    } else if name.starts_with(['@', '-']) {
        "it begins with `@` or `-`"
    } else if name.contains(':') {
        "it has a `:`, which targets use"
    } else {
        return Ok(());
    };
    Err(RunError::BadName { name: name.escape_debug().take(60).collect(), problem })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_readable_and_seldom_the_same() {
        let names: BTreeSet<_> = (0..2000).map(|_| name_of(&RunId::generate())).collect();
        assert!(names.len() > 1990, "{}", names.len());
        assert!(names.iter().all(|name| name.split('-').count() == 3 && check(name).is_ok()));
    }

    #[test]
    fn words_are_sorted_and_unique() {
        assert!(ANIMALS.is_sorted_by(|a, b| a < b));
        assert_eq!(ADJECTIVES.iter().collect::<BTreeSet<_>>().len(), ADJECTIVES.len());
    }

    #[test]
    fn names_that_could_be_taken_for_something_else_are_refused() {
        for name in ["", "a b", "@", "-x", "run:1", "a\nb", &"x".repeat(129)] {
            assert!(check(name).is_err(), "{name}");
        }
        assert!(check("my-run_1.2").is_ok());
    }
}
