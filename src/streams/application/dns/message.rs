//! A DNS message, as far as it goes.

use crate::decode::packet::Address;
use crate::streams::application::reader::Reader;

/// Longest name as text: 255 bytes in the message (RFC 1035 section 3.1), and dots escaped.
const MAX_NAME: usize = 255;
/// Labels and pointers of one name that are followed. A pointer must point backwards, so this is only a second bound.
const MAX_STEPS: usize = 128;
/// Most records of each section of a message that only its bytes tell.
const MAX_RECORDS: u16 = 64;
/// Addresses that are kept.
const MAX_ADDRESSES: usize = 8;

const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;

/// What a message says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::streams::application) struct Message {
    pub(in crate::streams::application) id: u16,
    pub(in crate::streams::application) answer: bool,
    pub(in crate::streams::application) truncated: bool,
    pub(in crate::streams::application) response_code: u8,
    /// The first question: lower case, without the final dot; empty without a question.
    pub(in crate::streams::application) name: String,
    pub(in crate::streams::application) record_type: u16,
    pub(in crate::streams::application) addresses: Vec<Address>,
    /// True if the message ended where it said.
    pub(in crate::streams::application) whole: bool,
}

/// The header (section 4.1.1): id, flags, counts of questions, answers, authorities, additional records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    id: u16,
    flags: u16,
    counts: [u16; 4],
}

impl Header {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            id: reader.u16()?,
            flags: reader.u16()?,
            counts: [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?],
        })
    }

    /// True for what a stub resolver sends and gets: a standard query with one question. Asked where the port is none of
    /// DNS.
    fn is_plain(self) -> bool {
        let [questions, answers, authorities, additional] = self.counts;
        let answer = self.flags & 0x8000 != 0;
        self.flags & 0x7840 == 0
            && questions == 1
            && answers.max(authorities).max(additional) <= MAX_RECORDS
            && (answer || (self.flags & 0x060f == 0 && answers == 0))
    }
}

impl Message {
    /// Reads a message; `None` if it is none. A message that is cut says what its beginning says.
    pub(in crate::streams::application) fn read(bytes: &[u8]) -> Option<Self> {
        Self::read_if(bytes, |_| true)
    }

    /// Reads a message where nothing but its bytes says that it is one: it must be plain and exactly as long as it says.
    pub(in crate::streams::application) fn read_unhinted(bytes: &[u8]) -> Option<Self> {
        Self::read_if(bytes, Header::is_plain).filter(|message| message.whole && !message.name.is_empty())
    }

    fn read_if(bytes: &[u8], accept: impl FnOnce(Header) -> bool) -> Option<Self> {
        let mut reader = Reader(bytes);
        let header = Header::read(&mut reader).filter(|header| accept(*header))?;
        let [.., low] = header.flags.to_be_bytes();
        let mut message = Self {
            id: header.id,
            answer: header.flags & 0x8000 != 0,
            truncated: header.flags & 0x0200 != 0,
            response_code: low & 0x0f,
            ..Self::default()
        };
        message.whole = message.sections(bytes, reader, header.counts).is_some();
        Some(message)
    }

    /// Questions and records, whose counts are believed as long as there are bytes; `None` where they run out of bytes, or bytes are left.
    fn sections<'b>(&mut self, bytes: &'b [u8], mut reader: Reader<'b>, counts: [u16; 4]) -> Option<()> {
        let [questions, answers, authorities, additional] = counts;
        for number in 0..questions {
            let name = (number == 0).then_some(&mut self.name);
            read_name(bytes, &mut reader, name)?;
            let record_type = reader.u16()?;
            let _class = reader.u16()?;
            if number == 0 {
                self.record_type = record_type;
            }
        }
        for _ in 0..answers {
            let (record_type, data) = record(bytes, &mut reader)?;
            self.address(record_type, data);
        }
        for _ in 0..u32::from(authorities) + u32::from(additional) {
            record(bytes, &mut reader)?;
        }
        reader.is_empty().then_some(())
    }

    fn address(&mut self, record_type: u16, data: &[u8]) {
        if self.addresses.len() == MAX_ADDRESSES {
            return;
        }
        let address = match record_type {
            TYPE_A => <[u8; 4]>::try_from(data).ok().map(Address::v4),
            TYPE_AAAA => <[u8; 16]>::try_from(data).ok().map(Address),
            _ => None,
        };
        self.addresses.extend(address);
    }
}

/// A resource record (section 4.1.3): its type and data.
fn record<'b>(message: &'b [u8], reader: &mut Reader<'b>) -> Option<(u16, &'b [u8])> {
    read_name(message, reader, None)?;
    let record_type = reader.u16()?;
    let _class = reader.u16()?;
    let _time_to_live = reader.u32()?;
    Some((record_type, reader.vector16()?.0))
}

/// A name (section 4.1.4), written to `text` if that is wanted. Compression pointers must point to before themselves.
fn read_name<'b>(message: &'b [u8], reader: &mut Reader<'b>, mut text: Option<&mut String>) -> Option<()> {
    let mut jumped: Option<Reader<'b>> = None;
    let mut lowest = message.len().checked_sub(reader.0.len())?;
    for _ in 0..MAX_STEPS {
        let cursor = jumped.as_mut().unwrap_or(reader);
        let length = cursor.u8()?;
        match length {
            0 => return Some(()),
            1..=63 => {
                let label = cursor.take(usize::from(length))?;
                if let Some(text) = text.as_deref_mut() {
                    push_label(text, label);
                }
            }
            0xc0.. => {
                let place = usize::from(length & 0x3f) << 8 | usize::from(cursor.u8()?);
                if place >= lowest {
                    return None;
                }
                lowest = place;
                if text.is_none() {
                    return Some(());
                }
                jumped = Some(Reader(message.get(place..)?));
            }
            _ => return None,
        }
    }
    None
}

fn push_label(text: &mut String, label: &[u8]) {
    if text.len() + label.len() > MAX_NAME {
        return;
    }
    if !text.is_empty() {
        text.push('.');
    }
    for character in String::from_utf8_lossy(label).chars() {
        match character {
            '.' => text.push_str("\\."),
            _ => text.push(character.to_ascii_lowercase()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Message;

    /// `www.Example.com A`, and its answer with a CNAME and two addresses, by hand from RFC 1035.
    const QUERY: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x03www\x07Example\x03com\0\0\x01\0\x01";
    const ANSWER: &[u8] = b"\x12\x34\x81\x80\0\x01\0\x03\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01\
        \xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x04\x01a\xc0\x10\
        \xc0\x2d\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x01\
        \xc0\x2d\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x02";

    #[test]
    fn a_query_and_its_answer() {
        let query = Message::read_unhinted(QUERY).unwrap();
        assert_eq!(
            (query.id, query.answer, query.name.as_str()),
            (0x1234, false, "www.example.com")
        );
        let answer = Message::read_unhinted(ANSWER).unwrap();
        assert_eq!((answer.response_code, answer.answer), (0, true));
        let addresses: Vec<String> = answer.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["10.0.0.1", "10.0.0.2"]);
    }

    #[test]
    fn every_truncation_is_read_as_far_as_it_goes() {
        for cut in 0..ANSWER.len() {
            let message = Message::read(&ANSWER[..cut]);
            assert_eq!(message.is_some(), cut >= 12);
            assert!(message.is_none_or(|message| !message.whole), "cut at {cut}");
            assert!(Message::read_unhinted(&ANSWER[..cut]).is_none());
        }
    }

    #[test]
    fn pointers_do_not_loop() {
        let header = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0";
        for name in [
            &b"\xc0\x0c"[..],
            b"\xc0\x0e\xc0\x0c",
            b"\x01a\xc0\x0c",
            b"\xc0\xff",
            b"\x40a",
            b"\x3f",
        ] {
            let bytes = [header.as_slice(), name, b"\0\x01\0\x01"].concat();
            let message = Message::read(&bytes).unwrap();
            assert!(!message.whole, "{}", name.escape_ascii());
        }
    }

    #[test]
    fn counts_are_not_believed() {
        let mut bytes = QUERY.to_vec();
        bytes[4..12].copy_from_slice(&[0xff; 8]);
        assert!(!Message::read(&bytes).unwrap().whole);
        assert!(Message::read_unhinted(&bytes).is_none());
    }
}
