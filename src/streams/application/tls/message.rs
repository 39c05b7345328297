//! Handshake messages, which may be spread over records, and records over chunks.

/// Longest handshake message that is kept; of a longer one only its beginning is read (a chain of certificates has some
/// kilobytes, and senders limit it: OpenSSL takes 100 KiB at most).
pub(super) const MAX_MESSAGE: usize = 128 << 10;

/// The handshake message that is not whole yet.
#[derive(Debug, Default)]
pub(super) struct Message {
    header: [u8; 4],
    header_bytes: u8,
    /// Bytes of the body that are still to come.
    missing: usize,
    body: Vec<u8>,
    /// The rest is skipped: what came before bytes went missing has been read.
    skip: bool,
    /// Not known where the next message begins.
    lost: bool,
}

impl Message {
    /// The next bytes; `read` is called with the type and the body of each message that is whole.
    pub(super) fn bytes(&mut self, bytes: &[u8], mut read: impl FnMut(u8, &[u8])) {
        let mut rest = bytes;
        while !rest.is_empty() && !self.lost {
            if self.missing == 0 {
                rest = self.begin(rest, &mut read);
                continue;
            }
            let (part, after) = rest.split_at(rest.len().min(self.missing));
            rest = after;
            if self.body.is_empty() && part.len() == self.missing && !self.skip {
                self.missing = 0;
                read(self.kind(), part);
                continue;
            }
            if !self.skip {
                let room = MAX_MESSAGE.saturating_sub(self.body.len());
                self.body.extend_from_slice(part.get(..room).unwrap_or(part));
            }
            self.missing -= part.len();
            if self.missing == 0 {
                self.end(&mut read);
            }
        }
    }

    /// Bytes that are missing: what is there of the message is all that will be.
    pub(super) fn gap(&mut self, bytes: usize, mut read: impl FnMut(u8, &[u8])) {
        if self.missing > 0 && !self.skip {
            read(self.kind(), &self.body);
        }
        let within = self.missing > 0 && bytes <= self.missing;
        let missing = self.missing;
        self.forget();
        if within {
            self.missing = missing - bytes;
            self.skip = self.missing > 0;
        } else {
            self.lost = true;
        }
    }

    /// A record begins, and with it a message, if it is not known where the last one ended.
    pub(super) fn record_begins(&mut self) {
        self.lost = false;
    }

    /// Begins anew.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    fn kind(&self) -> u8 {
        let [kind, ..] = self.header;
        kind
    }

    fn begin<'b>(&mut self, bytes: &'b [u8], read: &mut impl FnMut(u8, &[u8])) -> &'b [u8] {
        let have = usize::from(self.header_bytes);
        let (more, after) = bytes.split_at(bytes.len().min(self.header.len() - have));
        for (place, byte) in self.header.iter_mut().skip(have).zip(more) {
            *place = *byte;
        }
        self.header_bytes += u8::try_from(more.len()).unwrap_or_default();
        if usize::from(self.header_bytes) < self.header.len() {
            return after;
        }
        self.header_bytes = 0;
        let [kind, high, middle, low] = self.header;
        self.missing = u32::from_be_bytes([0, high, middle, low]) as usize;
        if self.missing == 0 {
            read(kind, &[]);
        }
        after
    }

    fn end(&mut self, read: &mut impl FnMut(u8, &[u8])) {
        if !std::mem::take(&mut self.skip) {
            read(self.kind(), &self.body);
        }
        self.body = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_MESSAGE, Message};

    fn read(message: &mut Message, bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut messages = Vec::new();
        message.bytes(bytes, |kind, body| messages.push((kind, body.to_vec())));
        messages
    }

    #[test]
    fn messages_may_be_cut_anywhere() {
        let bytes = b"\x0e\0\0\0\x0b\0\0\x03abc\x10\0\0\x01z";
        let whole = read(&mut Message::default(), bytes);
        assert_eq!(whole, [(14, vec![]), (11, b"abc".to_vec()), (16, b"z".to_vec())]);
        for cut in 0..=bytes.len() {
            let mut message = Message::default();
            let mut parts = read(&mut message, &bytes[..cut]);
            parts.extend(read(&mut message, &bytes[cut..]));
            assert_eq!(parts, whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_length_beyond_reason_takes_no_memory() {
        let mut message = Message::default();
        assert!(read(&mut message, b"\x0b\xff\xff\xff").is_empty());
        for _ in 0..1024 {
            assert!(read(&mut message, &[7; 4096]).is_empty());
        }
        assert!(message.body.len() <= MAX_MESSAGE);
    }

    #[test]
    fn what_stands_before_a_gap_is_read() {
        let mut message = Message::default();
        assert!(read(&mut message, b"\x01\0\0\x08abc").is_empty());
        let mut seen = Vec::new();
        message.gap(4, |kind, body| seen.push((kind, body.to_vec())));
        assert_eq!(seen, [(1, b"abc".to_vec())]);
        assert_eq!(read(&mut message, b"h\x0e\0\0\0"), [(14, vec![])]);
    }
}
