//! `git ml ui`

use std::io::{self, IsTerminal};

use clap::ValueEnum;

use crate::track::Workspace;
use crate::tui::{self, Background, ColorDepth, Outcome, Theme};

use super::{Context, Failure};

/// Open the dashboard: runs as they happen, their charts and logs, and the registry
///
/// `?` shows the keys, `q` quits.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Colours for a dark or a light background
    #[arg(long, value_name = "THEME", value_enum, default_value_t = Ground::Auto)]
    theme: Ground,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Ground {
    /// What the terminal says in COLORFGBG, else dark
    Auto,
    /// For a dark background
    Dark,
    /// For a light background
    Light,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let terminal = context.variable("TERM");
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() || terminal.as_deref() == Some("dumb") {
        return Err(Failure::Usage {
            message: "the dashboard needs a terminal".to_owned(),
            hint: "`git ml log` lists the runs anywhere, with `--json` for programs".to_owned(),
        });
    }
    let workspace = context.workspace()?;
    let background = match args.theme {
        Ground::Dark => Background::Dark,
        Ground::Light => Background::Light,
        Ground::Auto => background(context.variable("COLORFGBG").as_deref()),
    };
    let depth = match context.colour {
        true => color_depth(context.variable("COLORTERM").as_deref(), terminal.as_deref()),
        false => ColorDepth::None,
    };
    let theme = Theme::new(depth, background);
    let options = tui::Options { folder: context.folder.clone(), place: place(&workspace)?, theme };
    match tui::run(&options)? {
        Outcome::Quit => Ok(()),
        Outcome::Signal(signal) => Err(Failure::Child(128 + signal)),
    }
}

/// The repository's folder and what is checked out there: `digits · main`.
fn place(workspace: &Workspace) -> Result<String, Failure> {
    let folder = workspace.repository.work_dir()?;
    let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
    let head = workspace.repository.head()?;
    Ok(match (head.branch, head.commit) {
        (Some(branch), _) => format!("{name} · {branch}"),
        (None, Some(commit)) => format!("{name} · {}", commit.short()),
        (None, None) => name.into_owned(),
    })
}

/// `COLORFGBG` is `15;0` or `0;default;15`: the background comes last, and 7 and 9 to 15 are light.
fn background(fgbg: Option<&str>) -> Background {
    let last = fgbg.and_then(|colours| colours.rsplit(';').next()?.parse::<u8>().ok());
    match last {
        Some(7 | 9..=15) => Background::Light,
        _ => Background::Dark,
    }
}

fn color_depth(colorterm: Option<&str>, terminal: Option<&str>) -> ColorDepth {
    let terminal = terminal.unwrap_or_default();
    if matches!(colorterm, Some("truecolor" | "24bit")) || terminal.ends_with("-direct") {
        ColorDepth::True
    } else if terminal.contains("256color") {
        ColorDepth::Indexed
    } else {
        ColorDepth::Sixteen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_says_what_colours_it_has() {
        assert_eq!(color_depth(Some("truecolor"), Some("xterm")), ColorDepth::True);
        assert_eq!(color_depth(None, Some("tmux-256color")), ColorDepth::Indexed);
        assert_eq!(color_depth(Some("1"), None), ColorDepth::Sixteen);
        assert_eq!([background(Some("0;15")), background(Some("15;0"))], [Background::Light, Background::Dark]);
        assert_eq!([background(Some("0;default")), background(None)], [Background::Dark, Background::Dark]);
    }
}
