//! Numbers in either byte order, read without a panic.

/// Order of the bytes in the fields of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ByteOrder {
    /// Least byte first.
    Little,
    /// Greatest byte first.
    Big,
}

impl ByteOrder {
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    pub(super) fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }

    /// The number at `at`, or 0 where the bytes end before it.
    pub(super) fn u16_at(self, bytes: &[u8], at: usize) -> u16 {
        chunk(bytes, at).map_or(0, |chunk| self.u16(chunk))
    }

    /// The number at `at`, or 0 where the bytes end before it.
    pub(super) fn u32_at(self, bytes: &[u8], at: usize) -> u32 {
        chunk(bytes, at).map_or(0, |chunk| self.u32(chunk))
    }
}

pub(super) fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}
