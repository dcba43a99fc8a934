//! `git-ml-torch`: the worker, linked to libtorch through `tch`. The only program that is.

fn main() {}
