//! Colours of others, brought down to those that a terminal has.

use ratatui::style::{Color, Style};

use crate::tui::theme::{Background, ColorDepth, Theme, nearest_indexed};

/// The sixteen as xterm has them; a user's own may differ, and nobody can ask.
const SIXTEEN: [([u8; 3], Color); 16] = [
    ([0, 0, 0], Color::Black),
    ([205, 0, 0], Color::Red),
    ([0, 205, 0], Color::Green),
    ([205, 205, 0], Color::Yellow),
    ([0, 0, 238], Color::Blue),
    ([205, 0, 205], Color::Magenta),
    ([0, 205, 205], Color::Cyan),
    ([229, 229, 229], Color::Gray),
    ([127, 127, 127], Color::DarkGray),
    ([255, 0, 0], Color::LightRed),
    ([0, 255, 0], Color::LightGreen),
    ([255, 255, 0], Color::LightYellow),
    ([92, 92, 255], Color::LightBlue),
    ([255, 0, 255], Color::LightMagenta),
    ([0, 255, 255], Color::LightCyan),
    ([255, 255, 255], Color::White),
];

/// The nearest colour that a terminal has; none where it has none.
pub(in crate::tui) fn of_rgb([red, green, blue]: [u8; 3], depth: ColorDepth) -> Option<Color> {
    match depth {
        ColorDepth::None => None,
        ColorDepth::Sixteen => Some(nearest_of_sixteen([red, green, blue])),
        ColorDepth::Indexed => Some(nearest_indexed(Color::Rgb(red, green, blue))),
        ColorDepth::True => Some(Color::Rgb(red, green, blue)),
    }
}

/// A style of a program's own in the colours that a terminal has; bold and the like stay.
pub(in crate::tui) fn adapted(style: Style, depth: ColorDepth) -> Style {
    let adapt = |color: Color| match (color, depth) {
        (_, ColorDepth::None) => None,
        (Color::Rgb(red, green, blue), depth) => of_rgb([red, green, blue], depth),
        (Color::Indexed(index), ColorDepth::Sixteen) => Some(nearest_of_sixteen(of_indexed(index))),
        (color, _) => Some(color),
    };
    Style { fg: style.fg.and_then(adapt), bg: style.bg.and_then(adapt), ..style }
}

/// A colour between the worst (0) and the best (1): viridis (Smith and van der Walt, 2015) without its ends, which are
/// hard to see on dark grounds or on light ones. Whoever sees no colours sees them get lighter, or darker on light
/// grounds.
pub(in crate::tui) fn shade(share: f64, theme: &Theme) -> Style {
    const VIRIDIS: [[u8; 3]; 7] =
        [[68, 1, 84], [72, 68, 135], [49, 104, 142], [33, 144, 140], [53, 183, 121], [144, 215, 67], [253, 231, 37]];
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    match theme.depth {
        ColorDepth::None => theme.dim,
        ColorDepth::Sixteen => [theme.lines[3], theme.lines[0], theme.live, theme.good][(share * 3.0).round() as usize],
        depth => {
            let (from, to) = match theme.background {
                Background::Dark => (1.0, 6.0),
                Background::Light => (4.5, 0.0),
            };
            let place = from + (to - from) * share;
            let below = (place.floor() as usize).min(VIRIDIS.len() - 2);
            let part = place - below as f64;
            let mix = |channel: usize| {
                let (low, high) = (f64::from(VIRIDIS[below][channel]), f64::from(VIRIDIS[below + 1][channel]));
                (low + (high - low) * part).round() as u8
            };
            Style { fg: of_rgb([mix(0), mix(1), mix(2)], depth), ..Style::new() }
        }
    }
}

fn nearest_of_sixteen(rgb: [u8; 3]) -> Color {
    let distance = |other: [u8; 3]| {
        // The eye tells greens best and blues worst.
        let weights = [3, 6, 1];
        rgb.iter()
            .zip(other)
            .zip(weights)
            .map(|((one, other), by)| by * u32::from(one.abs_diff(other)).pow(2))
            .sum::<u32>()
    };
    SIXTEEN.into_iter().min_by_key(|(other, _)| distance(*other)).map_or(Color::Reset, |(_, color)| color)
}

/// What the 256 are: the sixteen, a cube of 216 and 24 greys.
fn of_indexed(index: u8) -> [u8; 3] {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let level = |place: u8| LEVELS[usize::from(place % 6)];
    match index {
        0..16 => SIXTEEN[usize::from(index)].0,
        16..232 => [level((index - 16) / 36), level((index - 16) / 6), level(index - 16)],
        232.. => [8 + 10 * (index - 232); 3],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_come_down_to_what_there_is() {
        let orange = [250, 130, 20];
        let found = [ColorDepth::None, ColorDepth::Sixteen, ColorDepth::Indexed, ColorDepth::True];
        assert_eq!(
            found.map(|depth| of_rgb(orange, depth)),
            [None, Some(Color::Yellow), Some(Color::Indexed(208)), Some(Color::Rgb(250, 130, 20))]
        );
        assert_eq!(of_indexed(208), [255, 135, 0]);
        assert_eq!(
            [of_indexed(9), of_indexed(16), of_indexed(231), of_indexed(255)],
            [[255, 0, 0], [0, 0, 0], [255, 255, 255], [238, 238, 238]]
        );
    }

    #[test]
    fn shades_go_from_the_worst_to_the_best() {
        let fg = |share, depth, background| shade(share, &Theme::new(depth, background)).fg;
        let dark = |share| fg(share, ColorDepth::True, Background::Dark);
        assert_eq!(
            [dark(0.0), dark(1.0), dark(f64::NAN)],
            [Some(Color::Rgb(72, 68, 135)), Some(Color::Rgb(253, 231, 37)), Some(Color::Rgb(72, 68, 135))]
        );
        assert_eq!(fg(1.0, ColorDepth::True, Background::Light), Some(Color::Rgb(68, 1, 84)));
        assert_eq!(fg(1.0, ColorDepth::Sixteen, Background::Dark), Some(Color::Green));
        assert_eq!(fg(0.5, ColorDepth::None, Background::Dark), Some(Color::Reset));
    }

    #[test]
    fn styles_keep_what_needs_no_colour() {
        let style = Style::new().fg(Color::Rgb(255, 0, 0)).bg(Color::Indexed(21)).bold();
        assert_eq!(adapted(style, ColorDepth::None), Style::new().bold());
        assert_eq!(adapted(style, ColorDepth::Sixteen), Style::new().fg(Color::LightRed).bg(Color::Blue).bold());
        assert_eq!(
            adapted(style, ColorDepth::Indexed),
            Style::new().fg(Color::Indexed(196)).bg(Color::Indexed(21)).bold()
        );
        assert_eq!(adapted(style, ColorDepth::True), style);
        let own = Style::new().fg(Color::Green);
        assert_eq!(adapted(own, ColorDepth::Sixteen), own);
    }
}
