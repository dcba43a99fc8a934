//! Datasets, training runs, a model registry and a dashboard inside a git repository, with no server.
//!
//! ARCHITECTURE.md is the map. The modules are floors of a house: each imports only from the floors below it, and
//! `tests/it/architecture.rs` holds the table and checks it.
//!
//! Architecture invariant: outside of [`cli`] and the binaries, nothing prints, and nothing reads the process's
//! environment or the home folder.

pub mod catalog;
pub mod cli;
pub mod config;
pub mod diff;
pub mod export;
#[cfg(test)]
mod faults;
pub mod files;
pub mod formats;
pub mod gate;
pub mod git;
pub mod hooks;
pub mod id;
pub mod import;
pub mod init;
pub mod lineage;
pub mod mlflow;
pub mod query;
pub mod reach;
pub mod registry;
pub mod remote;
pub mod report;
pub mod reproduce;
pub mod run;
pub mod share;
pub mod sign;
pub mod store;
pub mod track;
pub mod train;
pub mod tui;
pub mod upkeep;
pub mod verify;
pub mod words;
