//! `git ml ui`

use std::io::{self, IsTerminal};

use clap::ValueEnum;

use crate::track::Workspace;
use crate::tui::{self, Background, ColorDepth, Outcome, Theme};

use super::{Context, Failure};

/// Open the dashboard: runs as they happen, their charts and logs, and the registry
///
/// `?` shows the keys, `q` quits. Colours of one's own stand in git's configuration: `git config --global
/// ml.ui.color.accent '#7da6f8'`, and in the same way `dim`, `border`, `selected`, `good`, `warn`, `bad` and `live`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Colours for a dark or a light background [default: what git's `ml.ui.theme` says, else auto]
    #[arg(long, value_name = "THEME", value_enum)]
    theme: Option<Ground>,
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
    let settings = workspace.repository.config_below("ml.ui");
    let background = match args.theme.map_or_else(|| configured_ground(&settings), Ok)? {
        Ground::Dark => Background::Dark,
        Ground::Light => Background::Light,
        Ground::Auto => background(context.variable("COLORFGBG").as_deref()),
    };
    let depth = match context.colour {
        true => color_depth(context.variable("COLORTERM").as_deref(), terminal.as_deref()),
        false => ColorDepth::None,
    };
    let mut theme = Theme::new(depth, background);
    for (key, value) in &settings {
        if let Some(name) = key.strip_prefix("color.") {
            theme.set(name, value, depth).map_err(|problem| Failure::Usage {
                message: format!("git's configuration has `ml.ui.color.{name} = {value}`, and {problem}"),
                hint: "a colour is a name such as `lightblue`, a number up to 255, or `#7da6f8`".to_owned(),
            })?;
        }
    }
    let options = tui::Options { folder: context.folder.clone(), place: place(&workspace)?, theme };
    match tui::run(&options)? {
        Outcome::Quit => Ok(()),
        Outcome::Signal(signal) => Err(Failure::Child(128 + signal)),
    }
}

/// What `ml.ui.theme` says.
fn configured_ground(settings: &[(String, String)]) -> Result<Ground, Failure> {
    let Some((_, word)) = settings.iter().rev().find(|(key, _)| key == "theme") else { return Ok(Ground::Auto) };
    Ground::from_str(word, true).map_err(|_| Failure::Usage {
        message: format!("git's configuration has `ml.ui.theme = {word}`"),
        hint: "it is `auto`, `dark` or `light`".to_owned(),
    })
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
    fn the_theme_of_the_configuration_is_one_of_three() {
        let settings = |word: &str| [("theme".to_owned(), "dark".to_owned()), ("theme".to_owned(), word.to_owned())];
        assert_eq!(configured_ground(&settings("Light")).unwrap(), Ground::Light, "the last one counts");
        assert_eq!(configured_ground(&[]).unwrap(), Ground::Auto);
        assert!(configured_ground(&settings("pink")).is_err());
    }

    #[test]
    fn the_terminal_says_what_colours_it_has() {
        assert_eq!(color_depth(Some("truecolor"), Some("xterm")), ColorDepth::True);
        assert_eq!(color_depth(None, Some("tmux-256color")), ColorDepth::Indexed);
        assert_eq!(color_depth(Some("1"), None), ColorDepth::Sixteen);
        assert_eq!([background(Some("0;15")), background(Some("15;0"))], [Background::Light, Background::Dark]);
        assert_eq!([background(Some("0;default")), background(None)], [Background::Dark, Background::Dark]);
    }
}
