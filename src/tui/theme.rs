//! Colours: what each kind of thing looks like, on dark and light terminals, with many, few or no colours.

use ratatui::style::{Color, Modifier, Style};

use crate::run::RunStatus;

/// How many colours the terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColorDepth {
    /// None are wanted: bold, dim and reversed text only.
    None,
    /// The sixteen that the user's own palette gives.
    Sixteen,
    /// The fixed 256.
    Indexed,
    /// All.
    True,
}

/// Whether the terminal's background is dark or light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Background {
    /// Light text on a dark ground.
    Dark,
    /// Dark text on a light ground.
    Light,
}

/// The style of each kind of thing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Theme {
    /// How many colours there are, for what brings its own.
    pub(super) depth: ColorDepth,
    /// What they stand on.
    pub(super) background: Background,
    /// Plain text: the terminal's own.
    pub(super) text: Style,
    /// What matters less.
    pub(super) dim: Style,
    /// Names and headings.
    pub(super) strong: Style,
    /// Borders.
    pub(super) border: Style,
    /// The border of what the keys act on.
    pub(super) border_active: Style,
    /// The program's name, the chosen tab, keys.
    pub(super) accent: Style,
    /// The chosen tab.
    pub(super) tab: Style,
    /// The chosen row.
    pub(super) selected: Style,
    /// Good: finished, the best value.
    pub(super) good: Style,
    /// The best value of a column.
    pub(super) best: Style,
    /// Of note: crashed, a work tree with changes.
    pub(super) warn: Style,
    /// Bad: failed.
    pub(super) bad: Style,
    /// In progress.
    pub(super) live: Style,
    /// The lines of a chart.
    pub(super) lines: [Style; 4],
    /// The runs, where several are told apart.
    runs: [Style; RUN_COLORS],
}

/// How many colours there are to tell runs apart.
pub(super) const RUN_COLORS: usize = 12;

struct Hues {
    dim: Color,
    border: Color,
    accent: Color,
    selected: Option<Color>,
    good: Color,
    warn: Color,
    bad: Color,
    live: Color,
    lines: [Color; 4],
    runs: [Color; RUN_COLORS],
}

const DARK: Hues = Hues {
    dim: Color::Rgb(0x7f, 0x88, 0xa8),
    border: Color::Rgb(0x45, 0x4d, 0x6b),
    accent: Color::Rgb(0x7d, 0xa6, 0xf8),
    selected: Some(Color::Rgb(0x2b, 0x34, 0x54)),
    good: Color::Rgb(0x9a, 0xd0, 0x74),
    warn: Color::Rgb(0xe3, 0xb1, 0x68),
    bad: Color::Rgb(0xf2, 0x7a, 0x8c),
    live: Color::Rgb(0x6f, 0xce, 0xe8),
    lines: [
        Color::Rgb(0x7d, 0xa6, 0xf8),
        Color::Rgb(0xf0, 0xa3, 0x6b),
        Color::Rgb(0x9a, 0xd0, 0x74),
        Color::Rgb(0xc4, 0x98, 0xf2),
    ],
    runs: [
        Color::Rgb(0x7d, 0xa6, 0xf8),
        Color::Rgb(0xf0, 0xa3, 0x6b),
        Color::Rgb(0x9a, 0xd0, 0x74),
        Color::Rgb(0xc4, 0x98, 0xf2),
        Color::Rgb(0x6f, 0xce, 0xe8),
        Color::Rgb(0xf2, 0x7a, 0x8c),
        Color::Rgb(0xe6, 0xd0, 0x6c),
        Color::Rgb(0x5f, 0xc9, 0xa8),
        Color::Rgb(0xf2, 0xa0, 0xd0),
        Color::Rgb(0xa8, 0xb0, 0xc8),
        Color::Rgb(0xc9, 0xa2, 0x7e),
        Color::Rgb(0x8f, 0xd8, 0xff),
    ],
};

const LIGHT: Hues = Hues {
    dim: Color::Rgb(0x6a, 0x70, 0x82),
    border: Color::Rgb(0xb4, 0xba, 0xc8),
    accent: Color::Rgb(0x1f, 0x5f, 0xc4),
    selected: Some(Color::Rgb(0xd6, 0xe2, 0xf7)),
    good: Color::Rgb(0x2f, 0x7d, 0x2a),
    warn: Color::Rgb(0x9a, 0x62, 0x00),
    bad: Color::Rgb(0xc0, 0x2c, 0x44),
    live: Color::Rgb(0x00, 0x76, 0x94),
    lines: [
        Color::Rgb(0x1f, 0x5f, 0xc4),
        Color::Rgb(0xc2, 0x5a, 0x10),
        Color::Rgb(0x2f, 0x7d, 0x2a),
        Color::Rgb(0x80, 0x3a, 0xb8),
    ],
    runs: [
        Color::Rgb(0x1f, 0x5f, 0xc4),
        Color::Rgb(0xc2, 0x5a, 0x10),
        Color::Rgb(0x2f, 0x7d, 0x2a),
        Color::Rgb(0x80, 0x3a, 0xb8),
        Color::Rgb(0x00, 0x76, 0x94),
        Color::Rgb(0xc0, 0x2c, 0x44),
        Color::Rgb(0x8a, 0x70, 0x00),
        Color::Rgb(0x0d, 0x7d, 0x62),
        Color::Rgb(0xb0, 0x30, 0x7f),
        Color::Rgb(0x5a, 0x62, 0x72),
        Color::Rgb(0x7a, 0x52, 0x30),
        Color::Rgb(0x2a, 0x8f, 0xd0),
    ],
};

/// The sixteen are the user's own choice, so the same names serve both grounds.
const SIXTEEN: Hues = Hues {
    dim: Color::DarkGray,
    border: Color::DarkGray,
    accent: Color::Blue,
    selected: None,
    good: Color::Green,
    warn: Color::Yellow,
    bad: Color::Red,
    live: Color::Cyan,
    lines: [Color::Blue, Color::Yellow, Color::Green, Color::Magenta],
    runs: [
        Color::Blue,
        Color::Yellow,
        Color::Green,
        Color::Magenta,
        Color::Cyan,
        Color::Red,
        Color::LightBlue,
        Color::LightYellow,
        Color::LightGreen,
        Color::LightMagenta,
        Color::LightCyan,
        Color::LightRed,
    ],
};

impl Theme {
    /// The styles for a terminal.
    pub fn new(depth: ColorDepth, background: Background) -> Self {
        let hues = match background {
            Background::Dark => DARK,
            Background::Light => LIGHT,
        };
        let theme = match depth {
            ColorDepth::None => Self::colourless(),
            ColorDepth::Sixteen => Self::from_hues(&SIXTEEN, |color| color),
            ColorDepth::Indexed => Self::from_hues(&hues, nearest_indexed),
            ColorDepth::True => Self::from_hues(&hues, |color| color),
        };
        Self { depth, background, ..theme }
    }

    /// Gives one kind of thing a colour of the user's own, written as a name, a number or `#7da6f8`. Where there are no
    /// colours, or fewer than that, it stays as it is. Fails with what is wrong.
    pub fn set(&mut self, name: &str, value: &str, depth: ColorDepth) -> Result<(), String> {
        let color: Color = value.trim().parse().map_err(|_| "that is no colour".to_owned())?;
        let color = match (depth, color) {
            (ColorDepth::Indexed, Color::Rgb(..)) => nearest_indexed(color),
            _ => color,
        };
        let is_shown = match depth {
            ColorDepth::None => false,
            ColorDepth::Sixteen => !matches!(color, Color::Rgb(..) | Color::Indexed(16..)),
            ColorDepth::Indexed | ColorDepth::True => true,
        };
        let mut untouched = *self;
        let theme = if is_shown { self } else { &mut untouched };
        let places: Vec<&mut Style> = match name {
            "dim" => vec![&mut theme.dim],
            "border" => vec![&mut theme.border],
            "accent" => vec![&mut theme.accent, &mut theme.tab, &mut theme.border_active],
            "good" => vec![&mut theme.good, &mut theme.best],
            "warn" => vec![&mut theme.warn],
            "bad" => vec![&mut theme.bad],
            "live" => vec![&mut theme.live],
            "selected" => {
                theme.selected = Style::new().bg(color);
                Vec::new()
            }
            _ => return Err("there is nothing of that name".to_owned()),
        };
        places.into_iter().for_each(|place| *place = place.fg(color));
        Ok(())
    }

    fn from_hues(hues: &Hues, map: fn(Color) -> Color) -> Self {
        let ink = |color| Style::new().fg(map(color));
        let selected = match hues.selected {
            Some(color) => Style::new().bg(map(color)),
            None => Style::new().add_modifier(Modifier::REVERSED),
        };
        Self {
            depth: ColorDepth::True,
            background: Background::Dark,
            text: ink(Color::Reset),
            dim: ink(hues.dim),
            strong: ink(Color::Reset).add_modifier(Modifier::BOLD),
            border: ink(hues.border),
            border_active: ink(hues.accent),
            accent: ink(hues.accent),
            tab: ink(hues.accent).add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            selected,
            good: ink(hues.good),
            best: ink(hues.good).add_modifier(Modifier::BOLD),
            warn: ink(hues.warn),
            bad: ink(hues.bad),
            live: ink(hues.live),
            lines: hues.lines.map(ink),
            runs: hues.runs.map(ink),
        }
    }

    fn colourless() -> Self {
        // The terminal's own colour, also where a border was drawn before.
        let plain = Style::new().fg(Color::Reset);
        let bold = plain.add_modifier(Modifier::BOLD);
        let dim = plain.add_modifier(Modifier::DIM);
        Self {
            depth: ColorDepth::None,
            background: Background::Dark,
            text: plain,
            dim,
            strong: bold,
            border: dim,
            border_active: plain,
            accent: bold,
            tab: bold.add_modifier(Modifier::UNDERLINED),
            selected: plain.add_modifier(Modifier::REVERSED),
            good: plain,
            best: bold.add_modifier(Modifier::UNDERLINED),
            warn: plain,
            bad: bold,
            live: bold,
            lines: [plain, dim, bold, plain],
            runs: std::array::from_fn(|index| [plain, dim, bold][index % 3]),
        }
    }

    /// How a run looks where several are told apart, by its colour: see [`Context::color`](super::context::Context::color).
    pub(super) fn run(&self, color: usize) -> Style {
        self.runs[color % RUN_COLORS]
    }

    /// How a run's status looks.
    pub(super) fn status(&self, status: RunStatus) -> Style {
        match status {
            RunStatus::Running => self.live,
            RunStatus::Finished => self.good,
            RunStatus::Failed => self.bad,
            RunStatus::Crashed | RunStatus::Killed => self.warn,
        }
    }
}

/// The nearest of the 216 colours of the cube and the 24 greys.
pub(super) fn nearest_indexed(color: Color) -> Color {
    let Color::Rgb(red, green, blue) = color else { return color };
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let nearest = |value: u8| (0..6usize).min_by_key(|&level| LEVELS[level].abs_diff(value)).unwrap_or(0);
    let distance = |r: u8, g: u8, b: u8| {
        let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
        square(r, red) + square(g, green) + square(b, blue)
    };
    let (r, g, b) = (nearest(red), nearest(green), nearest(blue));
    let cube = (16 + 36 * r + 6 * g + b, distance(LEVELS[r], LEVELS[g], LEVELS[b]));
    let greys = (0..24usize).map(|step| {
        let level = u8::try_from(8 + 10 * step).unwrap_or(u8::MAX);
        (232 + step, distance(level, level, level))
    });
    let best = greys.chain([cube]).min_by_key(|(_, far)| *far).unwrap_or(cube);
    Color::Indexed(u8::try_from(best.0).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_brought_down_to_the_256() {
        assert_eq!(nearest_indexed(Color::Rgb(255, 0, 0)), Color::Indexed(196));
        assert_eq!(nearest_indexed(Color::Rgb(128, 128, 128)), Color::Indexed(244));
    }

    #[test]
    fn a_users_own_colours_count_where_there_are_as_many() {
        let mut theme = Theme::new(ColorDepth::True, Background::Dark);
        assert_eq!(theme.set("accent", "#ff0000", ColorDepth::True), Ok(()));
        assert_eq!((theme.accent.fg, theme.tab.fg), (Some(Color::Rgb(255, 0, 0)), theme.accent.fg));
        assert_eq!(theme.set("selected", "17", ColorDepth::True), Ok(()));
        assert_eq!(theme.selected.bg, Some(Color::Indexed(17)));
        assert!(theme.set("accent", "reddish", ColorDepth::True).is_err());
        assert!(theme.set("sky", "blue", ColorDepth::True).is_err());
        for depth in [ColorDepth::None, ColorDepth::Sixteen] {
            let mut theme = Theme::new(depth, Background::Dark);
            let before = theme;
            assert_eq!((theme.set("bad", "#123456", depth), theme), (Ok(()), before));
        }
    }

    #[test]
    fn without_colours_there_are_none() {
        let theme = Theme::new(ColorDepth::None, Background::Light);
        let styles = [theme.text, theme.dim, theme.selected, theme.best, theme.bad, theme.tab, theme.lines[1]];
        assert!(styles.iter().all(|style| style.fg == Some(Color::Reset) && style.bg.is_none()));
    }
}
