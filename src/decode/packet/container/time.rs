//! Timestamps of interfaces to nanoseconds since the epoch.

use crate::units::Timestamp;

/// What one unit of a timestamp is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimeResolution {
    /// 10 to the power of minus this many seconds: 6 is microseconds, 9 nanoseconds.
    Decimal(u8),
    /// 2 to the power of minus this many seconds.
    Binary(u8),
}

impl TimeResolution {
    /// Microseconds, where a container says nothing else.
    pub const MICROSECONDS: Self = Self::Decimal(6);
    /// Nanoseconds.
    pub const NANOSECONDS: Self = Self::Decimal(9);

    /// The value of `if_tsresol`: the highest bit chooses the base.
    pub(super) fn from_option(value: u8) -> Self {
        if value & 0x80 == 0 {
            Self::Decimal(value)
        } else {
            Self::Binary(value & 0x7f)
        }
    }
}

const NS_PER_S: u64 = 1_000_000_000;

/// How to make nanoseconds of the units of an interface, worked out once for each interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    Multiply(u64),
    Divide(u64),
    /// Units of 2 to the power of minus this many seconds.
    Shift(u8),
    /// Units so small that every value is 0 ns.
    Zero,
}

impl Scale {
    pub(super) fn of(resolution: TimeResolution) -> Self {
        match resolution {
            TimeResolution::Decimal(digits @ 0..=9) => {
                Self::Multiply(10_u64.saturating_pow(u32::from(9_u8.saturating_sub(digits))))
            }
            TimeResolution::Decimal(digits @ 10..=28) => {
                Self::Divide(10_u64.saturating_pow(u32::from(digits.saturating_sub(9))))
            }
            TimeResolution::Binary(bits @ 0..=94) => Self::Shift(bits),
            TimeResolution::Decimal(_) | TimeResolution::Binary(_) => Self::Zero,
        }
    }

    /// `None` where the time is out of the range of [`Timestamp`].
    #[inline]
    pub(super) fn timestamp(self, units: u64, offset_s: i64) -> Option<Timestamp> {
        let ns = match self {
            Self::Multiply(factor) => units.checked_mul(factor)?,
            Self::Divide(divisor) => units.checked_div(divisor)?,
            Self::Shift(bits) => {
                let ns = u128::from(units).checked_mul(u128::from(NS_PER_S))? >> bits;
                u64::try_from(ns).ok()?
            }
            Self::Zero => 0,
        };
        let offset_ns = offset_s.checked_mul(1_000_000_000)?;
        i64::try_from(ns).ok()?.checked_add(offset_ns).map(Timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales() {
        let cases = [
            (6, 1_500_000, 0, Some(1_500_000_000)),
            (9, 1_500_000, 0, Some(1_500_000)),
            (0, 3, 0, Some(3_000_000_000)),
            (3, 3, 2, Some(2_003_000_000)),
            (12, 1_999, 0, Some(1)),
            (28, u64::MAX, 0, Some(1)),
            (29, u64::MAX, 0, Some(0)),
            (6, 5, -1, Some(-999_995_000)),
            (0x80, 7, 0, Some(7_000_000_000)),
            (0x8a, 1024 + 512, 0, Some(1_500_000_000)),
            (0xff, u64::MAX, 0, Some(0)),
            (6, u64::MAX, 0, None),
            (6, 1, i64::MAX, None),
        ];
        for (option, units, offset_s, ns) in cases {
            let scale = Scale::of(TimeResolution::from_option(option));
            assert_eq!(
                scale.timestamp(units, offset_s).map(|time| time.0),
                ns,
                "if_tsresol {option}, {units} units"
            );
        }
    }
}
