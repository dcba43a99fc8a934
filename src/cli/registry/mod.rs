//! What `git ml model` and `git ml dataset` do.

pub(super) mod moves;
