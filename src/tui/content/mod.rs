//! The content of files and logs, made ready for a screen: bounded in size and memory, and with nothing in it that a
//! terminal would obey. What is slow here (decoding, parsing) is done by the threads that load.

pub(in crate::tui) mod ansi;
pub(in crate::tui) mod colors;
pub(in crate::tui) mod grid;
pub(in crate::tui) mod highlight;
pub(in crate::tui) mod log;
pub(in crate::tui) mod picture;
pub(in crate::tui) mod preview;
pub(in crate::tui) mod tree;
