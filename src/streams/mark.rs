//! Places and times as a live connection keeps them: half the size of what a record says.

use crate::decode::packet::{FrameRef, Packet};
use crate::units::{InputId, Timestamp};

/// Bits for the frame number: a file with more frames than that has more than 16 TB.
const FRAME_BITS: u32 = 40;
const MAX_FRAME: u64 = (1 << FRAME_BITS) - 1;
const MAX_INPUT: u32 = (1 << (u64::BITS - FRAME_BITS)) - 1;

/// Stands for "no time" (simple packet blocks have none).
const NO_TIME: i64 = i64::MIN;

/// A packet of the past: when and where. The default is "none": frames count from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    time: i64,
    place: u64,
}

impl Mark {
    /// Of this packet.
    pub(super) fn of(packet: &Packet) -> Self {
        Self::new(packet.time, packet.at)
    }

    /// Of this place and time.
    pub(super) fn new(time: Option<Timestamp>, at: FrameRef) -> Self {
        Self {
            time: time.map_or(NO_TIME, |time| time.0),
            place: (u64::from(at.input.0.min(MAX_INPUT)) << FRAME_BITS) | at.frame.clamp(1, MAX_FRAME),
        }
    }

    /// True if there was such a packet.
    pub(super) fn is_some(self) -> bool {
        self.place != 0
    }

    /// True if there was none.
    pub(super) fn is_none(self) -> bool {
        self.place == 0
    }

    /// When, if it has a time.
    pub(super) fn time(self) -> Option<Timestamp> {
        (self.is_some() && self.time != NO_TIME).then_some(Timestamp(self.time))
    }

    /// Where.
    pub(super) fn at(self) -> FrameRef {
        FrameRef {
            input: InputId(u32::try_from(self.place >> FRAME_BITS).unwrap_or(MAX_INPUT)),
            frame: self.place & MAX_FRAME,
        }
    }

    /// When and where, if it was and has a time.
    pub(super) fn known(self) -> Option<(Timestamp, FrameRef)> {
        self.time().map(|time| (time, self.at()))
    }

    /// Nanoseconds from an earlier packet to this one; `None` if either has no time or time ran backward.
    pub(super) fn since(self, earlier: Self) -> Option<u64> {
        let (to, from) = (self.time()?, earlier.time()?);
        u64::try_from(to.0.saturating_sub(from.0)).ok()
    }

    /// This one, or `other` if this is none.
    pub(super) fn or(self, other: Self) -> Self {
        if self.is_some() { self } else { other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_bounds() {
        let at = FrameRef {
            input: InputId(7),
            frame: 1 << 33,
        };
        let mark = Mark::new(Some(Timestamp(-5)), at);
        assert_eq!(mark.known(), Some((Timestamp(-5), at)));
        assert_eq!(Mark::new(None, at).known(), None);
        assert_eq!(Mark::new(None, at).at(), at);
        assert!(Mark::default().is_none());
        let far = Mark::new(
            None,
            FrameRef {
                input: InputId(u32::MAX),
                frame: u64::MAX,
            },
        );
        assert_eq!(far.at().frame, MAX_FRAME);
        assert_eq!(far.at().input.0, MAX_INPUT);
        assert_eq!(mark.since(Mark::new(Some(Timestamp(-7)), at)), Some(2));
        assert_eq!(mark.since(Mark::new(Some(Timestamp(7)), at)), None);
    }
}
