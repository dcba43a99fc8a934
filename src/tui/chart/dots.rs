//! A grid of dots, two across and four down in each character.

/// The dots of one plot; each character remembers which line drew in it last.
#[derive(Debug, Clone)]
pub(in crate::tui) struct Dots {
    columns: usize,
    rows: usize,
    cells: Vec<(u8, usize)>,
}

/// The bit of each dot in a braille character, by row and column.
const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

impl Dots {
    /// An empty grid of so many characters.
    pub(in crate::tui) fn new(columns: usize, rows: usize) -> Self {
        Self { columns, rows, cells: vec![(0, 0); columns * rows] }
    }

    /// Dots across.
    pub(in crate::tui) fn width(&self) -> usize {
        self.columns * 2
    }

    /// Dots down.
    pub(in crate::tui) fn height(&self) -> usize {
        self.rows * 4
    }

    /// Draws a dot.
    pub(in crate::tui) fn set(&mut self, x: usize, y: usize, line: usize) {
        if x < self.width() && y < self.height() {
            let cell = &mut self.cells[y / 4 * self.columns + x / 2];
            *cell = (cell.0 | BITS[y % 4][x % 2], line);
        }
    }

    /// Whether a dot is drawn.
    #[cfg(test)]
    pub(super) fn is_set(&self, x: usize, y: usize) -> bool {
        self.cells[y / 4 * self.columns + x / 2].0 & BITS[y % 4][x % 2] != 0
    }

    /// Draws what of a straight line between two places lies in the grid; places are counted in dots, and may be
    /// anywhere.
    pub(in crate::tui) fn stroke(&mut self, from: (f64, f64), to: (f64, f64), line: usize) {
        if self.cells.is_empty() {
            return;
        }
        let corner = ((self.width() - 1) as f64, (self.height() - 1) as f64);
        let Some((from, to)) = clipped(from, to, corner) else { return };
        let round = |(x, y): (f64, f64)| (x.round() as i64, y.round() as i64);
        let ((mut x, mut y), (end_x, end_y)) = (round(from), round(to));
        // Bresenham's.
        let (delta_x, delta_y) = ((end_x - x).abs(), -(end_y - y).abs());
        let (step_x, step_y) = ((end_x - x).signum(), (end_y - y).signum());
        let mut error = delta_x + delta_y;
        loop {
            if let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) {
                self.set(x, y, line);
            }
            if (x, y) == (end_x, end_y) {
                return;
            }
            let doubled = 2 * error;
            if doubled >= delta_y {
                error += delta_y;
                x += step_x;
            }
            if doubled <= delta_x {
                error += delta_x;
                y += step_y;
            }
        }
    }

    /// The character at a place and the line that drew in it last; none where nothing was drawn.
    pub(in crate::tui) fn character(&self, column: usize, row: usize) -> Option<(char, usize)> {
        let (bits, line) = *self.cells.get(row * self.columns + column)?;
        (bits != 0).then(|| (char::from_u32(0x2800 + u32::from(bits)).unwrap_or(' '), line))
    }
}

/// The part of a straight line that lies between the origin and `corner`, after Liang and Barsky (1984); none where no
/// part of it does, or it leads nowhere.
fn clipped(from: (f64, f64), to: (f64, f64), corner: (f64, f64)) -> Option<((f64, f64), (f64, f64))> {
    if ![from.0, from.1, to.0, to.1].into_iter().all(f64::is_finite) {
        return None;
    }
    let (delta_x, delta_y) = (to.0 - from.0, to.1 - from.1);
    let (mut enter, mut leave): (f64, f64) = (0.0, 1.0);
    let sides = [(-delta_x, from.0), (delta_x, corner.0 - from.0), (-delta_y, from.1), (delta_y, corner.1 - from.1)];
    for (toward, room) in sides {
        if toward == 0.0 {
            if room < 0.0 {
                return None;
            }
        } else if toward < 0.0 {
            enter = enter.max(room / toward);
        } else {
            leave = leave.min(room / toward);
        }
    }
    let at = |part: f64| {
        let place = (from.0 + part * delta_x, from.1 + part * delta_y);
        (place.0.clamp(0.0, corner.0), place.1.clamp(0.0, corner.1))
    };
    (enter <= leave).then(|| (at(enter), at(leave)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_make_characters() {
        let mut dots = Dots::new(2, 1);
        dots.stroke((0.0, 0.0), (3.0, 3.0), 1);
        dots.stroke((100.0, 100.0), (101.0, 100.0), 0);
        assert_eq!([dots.character(0, 0), dots.character(1, 0)], [Some(('⠑', 1)), Some(('⢄', 1))]);
        assert_eq!((Dots::new(1, 1).character(0, 0), Dots::new(0, 0).character(5, 5)), (None, None));
    }

    #[test]
    fn strokes_are_cut_at_the_edges() {
        let mut dots = Dots::new(4, 2);
        // From far away through the middle: costs no more than the grid is wide, and hits the same dots.
        dots.stroke((-1e12, 4.0), (1e12, 4.0), 0);
        assert!((0..8).all(|x| dots.is_set(x, 4) && !dots.is_set(x, 3)));
        let corner = (7.0, 7.0);
        assert_eq!(clipped((-7.0, 0.0), (7.0, 14.0), corner), Some(((0.0, 7.0), (0.0, 7.0))));
        assert_eq!(clipped((-9.0, 0.0), (7.0, 16.0), corner), None);
        assert_eq!(clipped((f64::NAN, 0.0), (1.0, 1.0), corner), None);
        assert_eq!(clipped((2.0, 9.0), (3.0, 9.0), corner), None);
        dots.stroke((f64::INFINITY, 0.0), (1.0, 1.0), 0);
        Dots::new(0, 3).stroke((0.0, 0.0), (1.0, 1.0), 0);
    }
}
