//! How the table of runs and what opens above it look, at a small, a usual and a large size.

use super::super::fixture::Desk;
use super::super::keys::{Key, key};
use super::pictures::{buffer, text};
use super::{DOWN, ENTER, LARGE, SMALL, TAB};

const TINY: (u16, u16) = (60, 15);

/// The screen after some keys, some text and more keys.
fn picture(before: &[Key], typed: &str, after: &[Key], size: (u16, u16)) -> String {
    let mut desk = Desk::new(size);
    desk.keys(before);
    desk.type_text(typed);
    desk.keys(after);
    text(&buffer(&desk.app, size))
}

#[test]
fn runs_tiny_with_marks() {
    insta::assert_snapshot!(picture(&[key(' '), DOWN, key(' ')], "", &[], TINY), @"");
}

#[test]
fn grouped_small() {
    insta::assert_snapshot!(picture(&[key('b')], "experiment", &[ENTER, DOWN], SMALL), @"");
}

#[test]
fn grouped_tiny_and_folded() {
    insta::assert_snapshot!(picture(&[key('b')], "params.lr", &[ENTER, key('z')], TINY), @"");
}

#[test]
fn columns_to_choose_tiny() {
    insta::assert_snapshot!(picture(&[key('v')], "acc", &[], TINY), @"");
}

#[test]
fn columns_to_choose_small() {
    insta::assert_snapshot!(picture(&[key('v'), DOWN, key(' ')], "", &[], SMALL), @"");
}

#[test]
fn the_palette_small() {
    insta::assert_snapshot!(picture(&[key(':')], "sort", &[], SMALL), @"");
}

#[test]
fn a_completion_small() {
    insta::assert_snapshot!(picture(&[key('/')], "metrics.v", &[TAB], SMALL), @"");
}

#[test]
fn a_name_that_is_looked_for_tiny() {
    insta::assert_snapshot!(picture(&[key('f')], "cedar", &[], TINY), @"");
}

#[test]
fn a_filter_large() {
    let whole = picture(&[key('/')], "status = 'failed'", &[ENTER], LARGE);
    let lines: Vec<&str> = whole.lines().collect();
    insta::assert_snapshot!([&lines[..6], &lines[47..]].concat().join("\n"), @"");
}
