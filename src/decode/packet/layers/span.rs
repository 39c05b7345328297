//! Bytes of a layer with where they lie and how many of them the capture cut off.

use crate::decode::packet::PayloadRange;

/// The bytes of a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'a> {
    /// Those that were captured.
    pub(super) bytes: &'a [u8],
    /// Where they begin in the block.
    pub(super) start: u32,
    /// Bytes of the layer that follow on the wire and are not in the capture.
    pub(super) missing: u32,
}

impl<'a> Span<'a> {
    /// Bytes on the wire.
    #[inline]
    pub(super) fn wire_bytes(self) -> u32 {
        u32::try_from(self.bytes.len())
            .unwrap_or(u32::MAX)
            .saturating_add(self.missing)
    }

    /// Where the captured bytes lie.
    #[inline]
    pub(super) fn range(self) -> PayloadRange {
        PayloadRange {
            start: self.start,
            length: u32::try_from(self.bytes.len()).unwrap_or(u32::MAX),
        }
    }

    /// Takes a header off; `None` if not all of it was captured.
    #[inline]
    pub(super) fn split<const N: usize>(self) -> Option<(&'a [u8; N], Self)> {
        let (head, bytes) = self.bytes.split_first_chunk::<N>()?;
        let rest = Self {
            bytes,
            start: self.start.wrapping_add(u32::try_from(N).unwrap_or(0)),
            missing: self.missing,
        };
        Some((head, rest))
    }

    /// What follows behind `count` bytes.
    #[inline]
    pub(super) fn skip(self, count: usize) -> Self {
        let count_32 = u32::try_from(count).unwrap_or(u32::MAX);
        let start = self.start.saturating_add(count_32);
        match self.bytes.get(count..) {
            Some(bytes) => Self {
                bytes,
                start,
                missing: self.missing,
            },
            None => Self {
                bytes: &[],
                start,
                missing: self.wire_bytes().saturating_sub(count_32),
            },
        }
    }

    /// No more than `wire_bytes` of it: what follows belongs to a lower layer (padding, checksums).
    #[inline]
    pub(super) fn limit(self, wire_bytes: u32) -> Self {
        match self.bytes.get(..wire_bytes as usize) {
            Some(bytes) => Self {
                bytes,
                missing: 0,
                ..self
            },
            None => Self {
                missing: self
                    .missing
                    .min(wire_bytes.saturating_sub(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX))),
                ..self
            },
        }
    }
}
