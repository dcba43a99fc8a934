//! The floors of the house, and what only one room may do.
//!
//! Each check is a pure function of a file's path and text, and is shown a file that breaks its rule, so that a check
//! that finds nothing is known to look.

use std::fs;
use std::path::Path;

/// A module imports only from lower floors: never from its own, never from above.
const FLOORS: &[&[&str]] = &[
    &["id", "files", "formats", "words"],
    &["git", "store", "config"],
    &["track"],
    &["run", "remote", "diff"],
    &["query", "registry", "sign", "train"],
    &["catalog", "init", "reach", "reproduce", "share", "import", "export", "lineage"],
    &["verify"],
    &["gate"],
    &["hooks", "mlflow", "report", "tui", "upkeep"],
    &["cli"],
    &["faults"],
];

const CLI: &[&str] = &["src/cli/", "src/bin/"];
const WORKER: &[&str] = &["src/bin/git-ml-torch/"];
const GIT: &[&str] = &["src/git/"];

#[test]
fn modules_import_only_from_lower_floors() {
    assert_eq!(over_all_sources(imports_go_down), NONE);

    let wrong = |path, text| imports_go_down(path, &tokens(text)).len();
    assert_eq!(wrong("src/store/pack.rs", "use crate::track::Pointer;"), 1, "upward");
    assert_eq!(wrong("src/store/pack.rs", "use crate::git::Repository;"), 1, "sideways");
    assert_eq!(wrong("src/store/pack.rs", "use crate::{files::Draft, git::{Head}, id, cli};"), 2, "in a group");
    assert_eq!(wrong("src/store/pack.rs", "fn f() { crate::track::f() }"), 1, "without `use`");
    assert_eq!(wrong("src/store/mod.rs", "use super::git;"), 1, "through super");
    assert_eq!(wrong("src/store/pack.rs", "mod tests { use super::super::super::run::Run; }"), 1, "from deep inside");
    assert_eq!(wrong("src/store/mod.rs", "mod tests { use super::git; }"), 0, "a module of its own");
    assert_eq!(wrong("src/store/mod.rs", "use crate::{store::pack, id::Digest}; // crate::git"), 0, "allowed");
    assert_eq!(wrong("src/cellar/mod.rs", "use crate::id::Digest;"), 1, "a room that is in no table");
}

#[test]
fn every_room_is_on_a_floor() {
    let mut rooms: Vec<String> =
        sources().iter().filter_map(|(path, _)| room(path).map(str::to_owned)).filter(|room| room != "bin").collect();
    rooms.sort();
    rooms.dedup();
    let mut floors: Vec<&str> = FLOORS.concat();
    floors.sort_unstable();
    assert_eq!(rooms, floors);
}

#[test]
fn only_git_names_git2_and_gix_and_starts_git() {
    assert_eq!(over_all_sources(git_stays_inside), NONE);

    let wrong = |path, text| git_stays_inside(path, &tokens(text)).len();
    assert_eq!(wrong("src/track/mod.rs", "use gix::ObjectId;"), 1);
    assert_eq!(wrong("src/cli/log.rs", "fn f(r: &git2::Repository) {}"), 1);
    assert_eq!(wrong("src/run/mod.rs", r#"Command::new("git").arg("status");"#), 1);
    assert_eq!(wrong("src/run/mod.rs", r#"// gix::open; Command::new("git")"#), 0);
    assert_eq!(wrong("src/run/mod.rs", r#"let text = "git2::Repository"; crate::git::gix;"#), 0);
    assert_eq!(wrong("src/git/mod.rs", r#"use gix::open; Command::new("git");"#), 0);
}

#[test]
fn only_the_worker_names_tch() {
    assert_eq!(over_all_sources(tch_stays_inside), NONE);

    let wrong = |path, text| tch_stays_inside(path, &tokens(text)).len();
    assert_eq!(wrong("src/train/mod.rs", "use tch::Tensor;"), 1);
    assert_eq!(wrong("src/train/mod.rs", "use torch_sys as sys;"), 1);
    assert_eq!(wrong("src/bin/git-ml-torch/main.rs", "use tch::Tensor;"), 0);
}

#[test]
fn only_the_command_line_prints_and_reads_the_environment() {
    assert_eq!(over_all_sources(library_is_quiet), NONE);

    let wrong = |path, text| library_is_quiet(path, &tokens(text)).len();
    assert_eq!(wrong("src/run/mod.rs", r#"fn f() { println!("x"); eprint!("y") }"#), 2);
    assert_eq!(wrong("src/run/mod.rs", r#"fn f() { std::env::var("HOME"); }"#), 1);
    assert_eq!(wrong("src/run/mod.rs", "use std::env; fn f() { env::current_dir(); }"), 2);
    assert_eq!(wrong("src/run/mod.rs", r#"fn f() -> &str { env!("CARGO_PKG_VERSION"); std::env::consts::OS }"#), 0);
    assert_eq!(wrong("src/run/mod.rs", r#"#[cfg(test)] mod tests { fn f() { println!("x") } }"#), 0);
    assert_eq!(wrong("src/run/mod.rs", r#"#[cfg(test)] mod tests {} fn f() { println!("x") }"#), 1);
    assert_eq!(wrong("src/run/tests.rs", r#"fn f() { println!("x") }"#), 0);
    assert_eq!(wrong("src/run/mod.rs", "fn f() { x.map(std::env::split_paths) }"), 0);
    assert_eq!(wrong("src/cli/log.rs", r#"fn f() { println!("x"); std::env::var("HOME"); }"#), 0);
}

#[test]
fn comments_strings_and_lifetimes_are_told_from_code() {
    let text = "a /* b /* c */ d */ e // f\n\"g \\\" h\" r#\"i \" j\"# 'k' '\\'' 'l: m::n b\"o\" '\"' p";
    let words = tokens(text).into_iter().filter_map(|(_, token)| match token {
        Token::Word(word) => Some(word),
        _ => None,
    });
    assert_eq!(words.collect::<Vec<_>>(), ["a", "e", "m", "n", "p"]);
}

const NONE: &[String] = &[];

type Check = fn(&str, &[(usize, Token)]) -> Vec<String>;

fn over_all_sources(check: Check) -> Vec<String> {
    sources().iter().flat_map(|(path, text)| check(path, &tokens(text))).collect()
}

/// Every Rust file below `src`, by its path from the package's top.
fn sources() -> Vec<(String, String)> {
    fn collect(folder: &Path, files: &mut Vec<(String, String)>) {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let shown = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
                files.push((shown, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files.len() > 20, "the sources were not found");
    files
}

/// The room a file is in: `store` for `src/store/pack.rs`, `id` for `src/id.rs`; none for `src/lib.rs`.
fn room(path: &str) -> Option<&str> {
    let path = path.strip_prefix("src/")?;
    let room = path.split_once('/').map_or_else(|| path.trim_end_matches(".rs"), |(room, _)| room);
    (room != "lib").then_some(room)
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&room))
}

fn is_in(path: &str, folders: &[&str]) -> bool {
    folders.iter().any(|folder| path.starts_with(folder))
}

fn imports_go_down(path: &str, code: &[(usize, Token)]) -> Vec<String> {
    let Some(own) = room(path).filter(|room| *room != "bin") else { return Vec::new() };
    let Some(floor) = floor_of(own) else { return vec![format!("{path}: `{own}` is on no floor")] };
    imports(path, code)
        .into_iter()
        .filter(|(_, name)| name != own && floor_of(name).is_some_and(|other| other >= floor))
        .map(|(line, name)| format!("{path}:{line}: `{own}` is on floor {floor} and must not name `{name}`"))
        .collect()
}

/// What stands after `crate::`, or after as many `super::` as lead to the crate's root.
fn imports(path: &str, code: &[(usize, Token)]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let folders = path.matches('/').count();
    let file_depth = if path.ends_with("/mod.rs") { folders - 1 } else { folders };
    // One entry an open brace: whether it is that of a `mod`.
    let mut braces: Vec<bool> = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let (_, token) = &code[at];
        let depth = file_depth + braces.iter().filter(|is_module| **is_module).count();
        let mut supers = 0;
        match token {
            Token::Sign('{') => braces.push(at >= 2 && code[at - 2].1.is("mod")),
            Token::Sign('}') => drop(braces.pop()),
            Token::Word(word) if word == "super" => {
                while code.get(at).is_some_and(|(_, token)| token.is("super")) && is_path_sign(code, at + 1) {
                    supers += 1;
                    at += 2;
                }
                if supers == depth {
                    found.extend(names_at(code, at));
                }
            }
            Token::Word(word) if (word == "crate" || word == "git_ml") && is_path_sign(code, at + 1) => {
                found.extend(names_at(code, at + 2));
            }
            _ => {}
        }
        at = if supers > 0 { at } else { at + 1 };
    }
    found
}

/// The word at `at`, or the first words of the members of the group there.
fn names_at(code: &[(usize, Token)], at: usize) -> Vec<(usize, String)> {
    match code.get(at) {
        Some((line, Token::Word(word))) => vec![(*line, word.clone())],
        Some((_, Token::Sign('{'))) => {
            let mut names = Vec::new();
            let mut depth = 0;
            let mut starts = false;
            for (line, token) in &code[at..] {
                match token {
                    Token::Sign('{') => (depth, starts) = (depth + 1, depth == 0),
                    Token::Sign('}') if depth == 1 => break,
                    Token::Sign('}') => depth -= 1,
                    Token::Sign(',') => starts = depth == 1,
                    Token::Word(word) if starts => {
                        names.push((*line, word.clone()));
                        starts = false;
                    }
                    _ => {}
                }
            }
            names
        }
        _ => Vec::new(),
    }
}

fn git_stays_inside(path: &str, code: &[(usize, Token)]) -> Vec<String> {
    if is_in(path, GIT) {
        return Vec::new();
    }
    let mut found = crates_named(path, code, &["git2", "gix"]);
    for window in code.windows(5) {
        let [(line, command), _, (_, new), _, (_, Token::Text(program))] = window else { continue };
        if command.is("Command") && new.is("new") && program == "git" {
            found.push(format!("{path}:{line}: only `git` starts git"));
        }
    }
    found
}

fn tch_stays_inside(path: &str, code: &[(usize, Token)]) -> Vec<String> {
    if is_in(path, WORKER) { Vec::new() } else { crates_named(path, code, &["tch", "torch_sys"]) }
}

/// Where a crate's name starts a path.
fn crates_named(path: &str, code: &[(usize, Token)], crates: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, (line, token)) in code.iter().enumerate() {
        let Token::Word(word) = token else { continue };
        let after_use = at > 0 && code[at - 1].1.is("use");
        let after_path = at > 0 && code[at - 1].1 == Token::Sign(':');
        if crates.contains(&word.as_str()) && (after_use || (is_path_sign(code, at + 1) && !after_path)) {
            found.push(format!("{path}:{line}: `{word}` does not belong here"));
        }
    }
    found
}

fn library_is_quiet(path: &str, code: &[(usize, Token)]) -> Vec<String> {
    // A room's tests stand in its `tests.rs` or `tests/`, and `faults` has nothing else.
    if is_in(path, CLI) || is_in(path, &["src/faults/"]) || path.contains("/tests/") || path.ends_with("/tests.rs") {
        return Vec::new();
    }
    let mut found = Vec::new();
    let code = without_tests(code);
    for (at, (line, token)) in code.iter().enumerate() {
        let Token::Word(word) = token else { continue };
        let next_is = |sign| code.get(at + 1).is_some_and(|(_, token)| *token == Token::Sign(sign));
        if matches!(word.as_str(), "print" | "println" | "eprint" | "eprintln" | "dbg") && next_is('!') {
            found.push(format!("{path}:{line}: the library never prints"));
        }
        let imported = at >= 2 && code[at - 2].1.is("std") && next_is(';');
        // What these give is the same in every environment.
        let is_pure = |token: &Token| ["consts", "split_paths", "join_paths"].iter().any(|name| token.is(name));
        let used = is_path_sign(&code, at + 1) && !code.get(at + 2).is_some_and(|(_, token)| is_pure(token));
        if word == "env" && (imported || used) {
            found.push(format!("{path}:{line}: the library never reads the environment"));
        }
    }
    found
}

fn is_path_sign(code: &[(usize, Token)], at: usize) -> bool {
    code.get(at).is_some_and(|(_, token)| *token == Token::Sign(':'))
}

/// The code without the modules behind `#[cfg(test)]`.
fn without_tests(code: &[(usize, Token)]) -> Vec<(usize, Token)> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let is_test = code[at..].len() > 8
            && code[at].1 == Token::Sign('#')
            && code[at + 2].1.is("cfg")
            && code[at + 4].1.is("test")
            && code[at + 7..].iter().take(3).any(|(_, token)| token.is("mod"));
        if !is_test {
            kept.push(code[at].clone());
            at += 1;
            continue;
        }
        let mut depth = 0;
        while at < code.len() {
            match code[at].1 {
                Token::Sign('{') => depth += 1,
                Token::Sign('}') => depth -= 1,
                _ => {}
            }
            let ended = code[at].1 == Token::Sign(';') || (depth == 0 && code[at].1 == Token::Sign('}'));
            at += 1;
            if ended {
                break;
            }
        }
    }
    kept
}

/// A piece of code; `::` is one sign, `:`, so that a path is words with one sign between them.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    /// A string's content.
    Text(String),
    Sign(char),
}

impl Token {
    fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(own) if own == word)
    }
}

/// The words, strings and signs of some Rust, each with its line. Comments, characters and lifetimes are left out.
fn tokens(text: &str) -> Vec<(usize, Token)> {
    let characters: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    let look = |at: usize| characters.get(at).copied().unwrap_or('\0');
    while at < characters.len() {
        let start = at;
        let started = line;
        match look(at) {
            '/' if look(at + 1) == '/' => {
                while at < characters.len() && look(at) != '\n' {
                    at += 1;
                }
            }
            '/' if look(at + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (look(at), look(at + 1)) {
                        ('/', '*') => (at, depth) = (at + 2, depth + 1),
                        ('*', '/') => (at, depth) = (at + 2, depth - 1),
                        _ => at += 1,
                    }
                    if depth == 0 || at >= characters.len() {
                        break;
                    }
                }
            }
            '"' => {
                at += 1;
                while at < characters.len() && look(at) != '"' {
                    at += if look(at) == '\\' { 2 } else { 1 };
                }
                at += 1;
                let end = (at - 1).min(characters.len());
                found.push((started, Token::Text(characters[start + 1..end].iter().collect())));
            }
            '\'' if look(at + 1) == '\\' => {
                at += 3;
                while at < characters.len() && look(at) != '\'' {
                    at += 1;
                }
                at += 1;
            }
            '\'' if look(at + 2) == '\'' => at += 3,
            '\'' => {
                at += 1;
                while look(at).is_alphanumeric() || look(at) == '_' {
                    at += 1;
                }
            }
            character if character.is_alphabetic() || character == '_' => {
                while look(at).is_alphanumeric() || look(at) == '_' {
                    at += 1;
                }
                let word: String = characters[start..at].iter().collect();
                let hashes = (at..).take_while(|at| look(*at) == '#').count();
                if matches!(word.as_str(), "r" | "br" | "cr") && look(at + hashes) == '"' {
                    at += hashes + 1;
                    let body = at;
                    while at < characters.len() && !(look(at) == '"' && (1..=hashes).all(|next| look(at + next) == '#'))
                    {
                        at += 1;
                    }
                    found.push((started, Token::Text(characters[body..at].iter().collect())));
                    at += 1 + hashes;
                } else if !(matches!(word.as_str(), "b" | "c") && matches!(look(at), '"' | '\'')) {
                    found.push((started, Token::Word(word)));
                }
            }
            ':' if look(at + 1) == ':' => {
                at += 2;
                found.push((started, Token::Sign(':')));
            }
            // A colon of its own must not look like a path's.
            ':' => at += 1,
            character => {
                at += 1;
                if !character.is_whitespace() {
                    found.push((started, Token::Sign(character)));
                }
            }
        }
        line += characters[start..at.min(characters.len())].iter().filter(|character| **character == '\n').count();
    }
    found
}
