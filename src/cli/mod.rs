//! The command line: one file a command, which parses, calls and prints.

mod approve;
mod ask;
mod attest;
mod bisect;
mod capture;
mod cat;
mod checkout;
mod compare;
mod complete;
mod completions;
mod context;
mod dataset;
mod diff;
mod doctor;
mod du;
mod export;
mod failure;
mod fsck;
mod gc;
mod help;
mod hook;
mod import;
mod init;
mod inputs;
mod key_value;
mod lineage;
mod log;
mod log_graph;
mod manifest;
mod merge_pointer;
mod metric;
mod mlflow;
mod model;
mod note;
mod output;
mod output_command;
mod param;
mod pre_commit;
mod pre_push;
mod recipe;
mod registry;
mod remote;
mod report;
mod reproduce;
mod rm;
mod run;
mod runs;
mod share;
mod share_live;
mod show;
mod sign;
mod status;
mod tag;
mod track;
mod train;
mod transfer;
mod trust;
mod ui;
mod untrack;
mod verify;
mod watch;

pub use failure::Failure;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, panic};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use context::Context;

/// Where help shows the options that every command has.
const GLOBAL: &str = "Global options";

/// Datasets, training runs, a model registry and a dashboard inside your git repository, with no server
#[derive(Debug, Parser)]
#[command(name = "git-ml", bin_name = "git ml", version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    /// Work as if started in this folder
    #[arg(short = 'C', value_name = "DIR", global = true, help_heading = GLOBAL)]
    folder: Option<PathBuf>,
    /// Say less
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    quiet: bool,
    /// Say more
    #[arg(short, long, global = true, conflicts_with = "quiet", help_heading = GLOBAL)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Doctor(doctor::Args),
    Trust(trust::Args),
    Track(track::Args),
    Untrack(untrack::Args),
    Status(status::Args),
    Checkout(checkout::Args),
    Diff(diff::Args),
    Manifest(manifest::Args),
    Cat(cat::Args),
    Remote(remote::Args),
    Push(transfer::PushArgs),
    Pull(transfer::PullArgs),
    Fetch(transfer::FetchArgs),
    Import(import::Args),
    Run(run::Args),
    Train(train::Args),
    Metric(metric::Args),
    Param(param::Args),
    Output(output_command::Args),
    Log(log::Args),
    Show(show::Args),
    Compare(compare::Args),
    Tag(tag::Args),
    Note(note::Args),
    Rm(rm::Args),
    Reproduce(reproduce::Args),
    Bisect(bisect::Args),
    Report(report::Args),
    Export(export::Args),
    Ui(ui::Args),
    Mlflow(mlflow::Args),
    Model(model::Args),
    Lineage(lineage::Args),
    Dataset(dataset::Args),
    Verify(verify::Args),
    Sign(sign::Args),
    Attest(attest::Args),
    Du(du::Args),
    Gc(gc::Args),
    Fsck(fsck::Args),
    Hook(hook::Args),
    Completions(completions::Args),
    #[command(hide = true)]
    ShareLive(share_live::Args),
}

/// The command line's definition, for man pages and completions.
pub fn command() -> clap::Command {
    let command = Cli::command();
    let template = help::template(&command);
    command.help_template(template)
}

/// Runs the program: parses this process's arguments, does what they say, and returns the exit code.
pub fn main() -> ExitCode {
    panic::set_hook(Box::new(report_bug));
    let arguments: Vec<OsString> = env::args_os().collect();
    // Hooks and prompts ask for it often; it takes less time than the parser to be made.
    if matches!(arguments.as_slice(), [_, only] if only == "--version" || only == "-V") {
        return match output::print_line(concat!("git-ml ", env!("CARGO_PKG_VERSION"))) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.report(),
        };
    }
    let cli = match parse(&arguments) {
        Ok(cli) => cli,
        Err(error) => return failure::report_usage(&error),
    };
    match panic::catch_unwind(|| execute(&cli)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => failure.report(),
        Err(_) => ExitCode::from(failure::BUG),
    }
}

fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let asks_for_help = |argument: &OsString| argument == "help" || argument == "-h" || argument == "--help";
    let needs_help = arguments.len() < 2 || arguments.iter().any(asks_for_help);
    let command = if needs_help { command() } else { Cli::command() };
    Cli::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

fn execute(cli: &Cli) -> Result<(), Failure> {
    let context = &Context::new(cli.folder.as_deref(), cli.quiet, cli.verbose)?;
    match &cli.command {
        Command::Init(args) => init::run(context, args),
        Command::Doctor(args) => doctor::run(context, args),
        Command::Trust(args) => trust::run(context, args),
        Command::Track(args) => track::run(context, args),
        Command::Untrack(args) => untrack::run(context, args),
        Command::Status(args) => status::run(context, args),
        Command::Checkout(args) => checkout::run(context, args),
        Command::Diff(args) => diff::run(context, args),
        Command::Manifest(args) => manifest::run(context, args),
        Command::Cat(args) => cat::run(context, args),
        Command::Remote(args) => remote::run(context, args),
        Command::Push(args) => transfer::push(context, args),
        Command::Pull(args) => transfer::pull(context, args),
        Command::Fetch(args) => transfer::fetch(context, args),
        Command::Export(args) => export::run(context, args),
        Command::Import(args) => import::run(context, args),
        Command::Run(args) => run::run(context, args),
        Command::Train(args) => train::run(context, args),
        Command::Metric(args) => metric::run(context, args),
        Command::Param(args) => param::run(context, args),
        Command::Output(args) => output_command::run(context, args),
        Command::Log(args) => log::run(context, args),
        Command::Show(args) => show::run(context, args),
        Command::Compare(args) => compare::run(context, args),
        Command::Tag(args) => tag::run(context, args),
        Command::Note(args) => note::run(context, args),
        Command::Rm(args) => rm::run(context, args),
        Command::Reproduce(args) => reproduce::run(context, args),
        Command::Bisect(args) => bisect::run(context, args),
        Command::Report(args) => report::run(context, args),
        Command::Ui(args) => ui::run(context, args),
        Command::Mlflow(args) => mlflow::run(context, args),
        Command::Model(args) => model::run(context, args),
        Command::Lineage(args) => lineage::run(context, args),
        Command::Dataset(args) => dataset::run(context, args),
        Command::Verify(args) => verify::run(context, args),
        Command::Sign(args) => sign::run(context, args),
        Command::Attest(args) => attest::run(context, args),
        Command::Du(args) => du::run(context, args),
        Command::Gc(args) => gc::run(context, args),
        Command::Fsck(args) => fsck::run(context, args),
        Command::Hook(args) => hook::run(context, args),
        Command::Completions(args) => completions::run(context, args),
        Command::ShareLive(args) => share_live::run(context, args),
    }
}

/// One line instead of a backtrace: nobody but us can use one.
fn report_bug(info: &panic::PanicHookInfo<'_>) {
    if crate::run::panic_is_caught() {
        return;
    }
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = text.unwrap_or("no message");
    let place = info.location().map(|location| format!(" ({}:{})", location.file(), location.line()));
    eprintln!("error: this is a bug in git-ml: {message}{}", place.unwrap_or_default());
    eprintln!("hint: please report it with the command that you typed; nothing that was stored is lost");
}
