//! How far apart numbers are that stand one after another in two files.

/// How the bytes of one number are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
}

impl Kind {
    /// Bytes of one number.
    pub(super) fn width(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 => 1,
        }
    }
}

/// The distance between two rows of numbers, as far as they were given.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Distance {
    /// Whether any byte differs.
    pub(super) differs: bool,
    /// The largest absolute difference.
    pub(super) max_abs: f64,
    /// Numbers that differ and of which one at least is not finite; no distance is known of those.
    pub(super) not_finite: u64,
    squares_of_differences: f64,
    squares_before: f64,
}

impl Distance {
    /// The length of the difference over the length of what was before; none where that was zero.
    pub(super) fn relative_l2(&self) -> Option<f64> {
        (self.squares_before > 0.0).then(|| (self.squares_of_differences / self.squares_before).sqrt())
    }

    /// Adds the numbers of two blocks of the same length, which hold whole numbers.
    pub(super) fn add(&mut self, kind: Kind, is_little_endian: bool, before: &[u8], after: &[u8]) {
        let mut each = |read: &dyn Fn(&[u8]) -> f64| {
            let (old, new) = (before.chunks_exact(kind.width()), after.chunks_exact(kind.width()));
            for (old_bytes, new_bytes) in old.zip(new) {
                self.add_one(read(old_bytes), read(new_bytes), old_bytes == new_bytes);
            }
        };
        macro_rules! read {
            ($type:ty, $to_number:expr) => {
                each(&|bytes: &[u8]| {
                    let mut array = [0; size_of::<$type>()];
                    array.copy_from_slice(bytes);
                    let value =
                        if is_little_endian { <$type>::from_le_bytes(array) } else { <$type>::from_be_bytes(array) };
                    $to_number(value)
                })
            };
        }
        match kind {
            Kind::F64 => read!(f64, |value| value),
            Kind::F32 => read!(f32, f64::from),
            Kind::F16 => read!(u16, f64_of_half),
            Kind::BF16 => read!(u16, |bits: u16| f64::from(f32::from_bits(u32::from(bits) << 16))),
            Kind::I64 => read!(i64, |value| value as f64),
            Kind::I32 => read!(i32, f64::from),
            Kind::I16 => read!(i16, f64::from),
            Kind::I8 => read!(i8, f64::from),
            Kind::U64 => read!(u64, |value| value as f64),
            Kind::U32 => read!(u32, f64::from),
            Kind::U16 => read!(u16, f64::from),
            Kind::U8 => read!(u8, f64::from),
        }
    }

    fn add_one(&mut self, before: f64, after: f64, is_same: bool) {
        if before.is_finite() {
            self.squares_before += before * before;
        }
        if is_same {
            return;
        }
        self.differs = true;
        if before.is_finite() && after.is_finite() {
            let difference = (after - before).abs();
            self.max_abs = self.max_abs.max(difference);
            self.squares_of_differences += difference * difference;
        } else {
            self.not_finite += 1;
        }
    }
}

/// The number that 16 bits stand for in IEEE 754.
fn f64_of_half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff) / 1024.0;
    sign * match exponent {
        0 => fraction * 2f64.powi(-14),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction) * 2f64.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_read() {
        let values = [0x0000, 0x3c00, 0xc000, 0x7bff, 0x0001, 0x3555, 0x7c00].map(f64_of_half);
        assert_eq!(values, [0.0, 1.0, -2.0, 65504.0, 5.960_464_477_539_063e-8, 0.333_251_953_125, f64::INFINITY]);
        assert!(f64_of_half(0x7e00).is_nan());
    }

    #[test]
    fn distances_add_up() {
        let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let mut distance = Distance::default();
        distance.add(Kind::F32, true, &bytes(&[3.0, 0.0]), &bytes(&[3.0, 0.5]));
        distance.add(Kind::F32, true, &bytes(&[4.0, f32::NAN, 1.0]), &bytes(&[3.0, f32::NAN, f32::INFINITY]));
        assert!(distance.differs);
        assert_eq!((distance.max_abs, distance.not_finite), (1.0, 1));
        assert_eq!(distance.relative_l2(), Some((1.25f64 / 26.0).sqrt()));
        let mut distance = Distance::default();
        distance.add(Kind::I16, false, &[0, 1], &[1, 0]);
        assert_eq!(distance.max_abs, 255.0);
        distance.add(Kind::BF16, true, &[0x80, 0x3f], &[0, 0x40]);
        assert_eq!(distance.max_abs, 255.0);
        assert_eq!(Distance::default().relative_l2(), None);
    }
}
