//! The tests that need libtorch: trainings through the real worker, from `git ml train` to the model artifact.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests write files as users do, and may panic")]

#[path = "../it/sandbox.rs"]
mod sandbox;

mod classic;
mod evaluation;
mod images;
mod models;
mod templates;
mod training;
