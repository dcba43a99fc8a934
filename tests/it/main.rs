//! The tests of the program as a whole, one module for each thing it promises.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests write files as users do, and may panic")]

mod architecture;
mod artifacts;
mod artifacts_refused;
mod bisect;
mod buckets;
mod cli;
mod completions;
mod crowd;
mod dashboard;
mod diff;
mod docs;
mod export;
mod fsck;
mod gates;
mod gc;
mod giftless;
mod hooks;
mod hostile;
mod identity;
mod import;
mod import_runs;
mod init;
mod kills;
mod lfs;
mod merging;
mod mlflow_client;
mod mlflow_rest;
mod pre_commit;
mod pre_push;
mod proxy;
mod reading;
mod registry;
mod remotes;
mod reproduce;
mod runs;
mod sandbox;
mod sharing;
mod ssh;
mod sshd;
mod supervision;
mod train;
mod trust;
mod verify;
mod work_tree;
