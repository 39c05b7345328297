//! Istio's metadata exchange: a magic number, a length of four bytes, and that much of metadata before the rest
//! (`source/extensions/filters/network/metadata_exchange` in Envoy).

/// The longest header that is skipped; metadata of a workload has some hundreds of bytes.
const MAX_LENGTH: u32 = 1 << 20;

/// A header that is not over yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PeerExchange {
    header: [u8; 8],
    header_bytes: u8,
    remaining: u32,
}

impl PeerExchange {
    /// How many bytes complete the header and its metadata; `None` while they do not, or where it is too long.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut taken = 0;
        for byte in bytes {
            if usize::from(self.header_bytes) == self.header.len() {
                break;
            }
            if let Some(place) = self.header.get_mut(usize::from(self.header_bytes)) {
                *place = *byte;
            }
            self.header_bytes += 1;
            taken += 1;
            if usize::from(self.header_bytes) == self.header.len() {
                let [.., a, b, c, d] = self.header;
                let length = u32::from_be_bytes([a, b, c, d]);
                self.remaining = if length > MAX_LENGTH { u32::MAX } else { length };
            }
        }
        if usize::from(self.header_bytes) < self.header.len() {
            return None;
        }
        let rest = bytes.len() - taken;
        let skipped = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(rest);
        self.remaining -= u32::try_from(skipped).unwrap_or(self.remaining);
        (self.remaining == 0).then_some(taken + skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::PeerExchange;

    #[test]
    fn metadata_is_skipped_however_it_is_cut() {
        let bytes = b"\x3d\x23\x04\x67\0\0\0\x03abcGET /";
        for cut in 0..11 {
            let mut state = PeerExchange::default();
            assert_eq!(state.bytes(&bytes[..cut]), None, "cut at {cut}");
            assert_eq!(state.bytes(&bytes[cut..]), Some(11 - cut));
        }
    }
}
