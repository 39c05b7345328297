//! Big-endian reads from a slice that can run out: every length in it is hostile.

/// A slice that is read from its front. Each read is `None` where bytes are missing, and then takes nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'b>(pub(super) &'b [u8]);

impl<'b> Reader<'b> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, bytes: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u24(&mut self) -> Option<u32> {
        self.array().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// What a length of one byte says.
    pub(super) fn vector8(&mut self) -> Option<Self> {
        self.vector(|reader| reader.u8().map(usize::from))
    }

    /// What a length of two bytes says.
    pub(super) fn vector16(&mut self) -> Option<Self> {
        self.vector(|reader| reader.u16().map(usize::from))
    }

    /// What a length of three bytes says.
    pub(super) fn vector24(&mut self) -> Option<Self> {
        self.vector(|reader| reader.u24().map(|length| length as usize))
    }

    fn vector(&mut self, length: impl FnOnce(&mut Self) -> Option<usize>) -> Option<Self> {
        let mut ahead = *self;
        let bytes = length(&mut ahead)?;
        let taken = ahead.take(bytes)?;
        *self = ahead;
        Some(Self(taken))
    }
}

#[cfg(test)]
mod tests {
    use super::Reader;

    #[test]
    fn a_read_beyond_the_end_takes_nothing() {
        let mut reader = Reader(&[0, 5, 1, 2]);
        assert!(reader.vector16().is_none());
        assert_eq!(reader.0.len(), 4);
        assert_eq!(reader.u16(), Some(5));
        assert_eq!(reader.u24(), None);
        assert_eq!(reader.u16(), Some(0x0102));
        assert!(reader.is_empty());
        assert_eq!(reader.u8(), None);
    }

    #[test]
    fn vectors_of_each_width() {
        let mut reader = Reader(&[1, 7, 0, 1, 8, 0, 0, 1, 9]);
        assert_eq!(reader.vector8().map(|r| r.0), Some(&[7][..]));
        assert_eq!(reader.vector16().map(|r| r.0), Some(&[8][..]));
        assert_eq!(reader.vector24().map(|r| r.0), Some(&[9][..]));
    }
}
