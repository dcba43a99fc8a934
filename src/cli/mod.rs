//! The command line: one file a command, which parses, calls and prints.

mod failure;
mod output;

pub use failure::Failure;
