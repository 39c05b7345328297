//! Header compression of HTTP/2 (RFC 7541), made for listening: fields that cannot be known are passed over, and never
//! end a block.
//!
//! Who joins late does not know the older entries of the dynamic table. Indexes count from the newest entry, so what was
//! added since is known; where a block is missing, all that was known is forgotten.

use super::huffman;
use std::collections::VecDeque;

/// Names of fields that are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Method,
    Path,
    Status,
    Authority,
    UserAgent,
    RequestId,
    GrpcStatus,
    Other,
    /// Not known to this listener.
    Unknown,
}

impl Name {
    fn of(name: &[u8]) -> Self {
        match name {
            b":method" => Self::Method,
            b":path" => Self::Path,
            b":status" => Self::Status,
            b":authority" => Self::Authority,
            b"user-agent" => Self::UserAgent,
            b"x-request-id" => Self::RequestId,
            b"grpc-status" => Self::GrpcStatus,
            _ => Self::Other,
        }
    }

    fn matters(self) -> bool {
        !matches!(self, Self::Other | Self::Unknown)
    }
}

/// The table that a side starts with: 4096 bytes (section 4.2, RFC 9113 section 6.5.2).
const DEFAULT_TABLE: usize = 4096;
/// Largest table that is followed. Beyond it the oldest entries are not known, which is all that happens.
const MAX_TABLE: usize = 64 << 10;
/// What an entry counts beyond its bytes (section 4.1).
const ENTRY_OVERHEAD: usize = 32;

/// The dynamic table for what one side sends.
#[derive(Debug)]
pub(super) struct Table {
    /// The newest first.
    entries: VecDeque<Entry>,
    size: usize,
    limit: usize,
    name: Vec<u8>,
    value: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    name: Name,
    size: usize,
    name_length: usize,
    /// Empty where the name does not matter.
    value: Box<[u8]>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            size: 0,
            limit: DEFAULT_TABLE,
            name: Vec::new(),
            value: Vec::new(),
        }
    }
}

impl Table {
    /// A block is missing: it may have added entries, or none.
    pub(super) fn forget(&mut self) {
        self.entries.clear();
        self.size = 0;
    }

    /// Decodes a block; `field` is called for each field whose name and value are known and matter.
    pub(super) fn block(&mut self, block: &[u8], mut field: impl FnMut(Name, &[u8])) {
        let mut rest = block;
        while let Some(next) = self.field(rest, &mut field) {
            if next.is_empty() {
                return;
            }
            rest = next;
        }
        if !rest.is_empty() {
            // What is left of a damaged block may have added entries.
            self.forget();
        }
    }

    /// One representation (section 6), and what follows it; `None` where it is not whole.
    fn field<'b>(&mut self, bytes: &'b [u8], field: &mut impl FnMut(Name, &[u8])) -> Option<&'b [u8]> {
        let (first, _) = bytes.split_first()?;
        match first {
            0x80.. => {
                let (index, rest) = integer(bytes, 7)?;
                self.indexed(index, field);
                Some(rest)
            }
            0x40.. => self.literal(bytes, 6, true, field),
            0x20.. => {
                let (limit, rest) = integer(bytes, 5)?;
                self.limit = usize::try_from(limit).unwrap_or(MAX_TABLE).min(MAX_TABLE);
                self.evict(0);
                Some(rest)
            }
            _ => self.literal(bytes, 4, false, field),
        }
    }

    fn indexed(&self, index: u64, field: &mut impl FnMut(Name, &[u8])) {
        let Some(place) = dynamic_place(index) else {
            if let Some((name, value)) = static_entry(index) {
                let name = Name::of(name);
                if name.matters() {
                    field(name, value);
                }
            }
            return;
        };
        if let Some(entry) = self.entries.get(place)
            && entry.name.matters()
        {
            field(entry.name, &entry.value);
        }
    }

    fn literal<'b>(
        &mut self,
        bytes: &'b [u8],
        prefix: u32,
        add: bool,
        field: &mut impl FnMut(Name, &[u8]),
    ) -> Option<&'b [u8]> {
        let (index, rest) = integer(bytes, prefix)?;
        let (name, name_length, rest) = if index == 0 {
            let rest = string(rest, &mut self.name)?;
            (Name::of(&self.name), self.name.len(), rest)
        } else {
            let (name, length) = self.name_at(index);
            (name, length, rest)
        };
        let rest = string(rest, &mut self.value)?;
        if name.matters() {
            field(name, &self.value);
        }
        if add {
            self.add(name, name_length);
        }
        Some(rest)
    }

    /// A name by its index, and its length.
    fn name_at(&self, index: u64) -> (Name, usize) {
        match dynamic_place(index) {
            None => static_entry(index).map_or((Name::Unknown, 0), |(name, _)| (Name::of(name), name.len())),
            Some(place) => self
                .entries
                .get(place)
                .map_or((Name::Unknown, 0), |entry| (entry.name, entry.name_length)),
        }
    }

    fn add(&mut self, name: Name, name_length: usize) {
        let size = name_length + self.value.len() + ENTRY_OVERHEAD;
        self.evict(size);
        if size > self.limit {
            return;
        }
        let value = if name.matters() {
            self.value.as_slice()
        } else {
            &[]
        };
        self.entries.push_front(Entry {
            name,
            size,
            name_length,
            value: value.into(),
        });
        self.size += size;
    }

    /// Makes room for an entry of `size` (section 4.4).
    fn evict(&mut self, size: usize) {
        while self.size + size > self.limit
            && let Some(entry) = self.entries.pop_back()
        {
            self.size -= entry.size;
        }
    }
}

fn dynamic_place(index: u64) -> Option<usize> {
    let place = index.checked_sub(STATIC.len() as u64 + 1)?;
    usize::try_from(place).ok()
}

fn static_entry(index: u64) -> Option<(&'static [u8], &'static [u8])> {
    STATIC.get(usize::try_from(index.checked_sub(1)?).ok()?).copied()
}

/// An integer with a prefix of some bits (section 5.1); `None` beyond 2^35, which no length or index reaches.
fn integer(bytes: &[u8], prefix: u32) -> Option<(u64, &[u8])> {
    let (first, mut rest) = bytes.split_first()?;
    let most = (1_u64 << prefix) - 1;
    let mut value = u64::from(*first) & most;
    if value < most {
        return Some((value, rest));
    }
    for shift in [0, 7, 14, 21, 28] {
        let (byte, after) = rest.split_first()?;
        rest = after;
        value += u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, rest));
        }
    }
    None
}

/// A string (section 5.2) to `text`, and what follows it.
fn string<'b>(bytes: &'b [u8], text: &mut Vec<u8>) -> Option<&'b [u8]> {
    let huffman = bytes.first()? & 0x80 != 0;
    let (length, rest) = integer(bytes, 7)?;
    let (string, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    text.clear();
    if huffman {
        huffman::decode(string, text);
    } else {
        text.extend_from_slice(string);
    }
    Some(rest)
}

/// Appendix A.
const STATIC: [(&[u8], &[u8]); 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

#[cfg(test)]
mod tests {
    use super::{Name, Table};

    fn fields(table: &mut Table, block: &[u8]) -> Vec<(Name, String)> {
        let mut fields = Vec::new();
        table.block(block, |name, value| {
            fields.push((name, String::from_utf8_lossy(value).into_owned()));
        });
        fields
    }

    /// RFC 7541 appendix C.4: three requests on one connection, with Huffman coding.
    #[test]
    fn requests_of_the_standard() {
        let blocks: [&[u8]; 3] = [
            b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
            b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf",
            b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf",
        ];
        let mut table = Table::default();
        for block in blocks {
            let fields = fields(&mut table, block);
            assert!(fields.contains(&(Name::Method, "GET".to_owned())));
            assert!(fields.contains(&(Name::Authority, "www.example.com".to_owned())));
        }
        assert_eq!(
            (table.size, table.entries.len()),
            (164, 3),
            "as appendix C.4.3 says"
        );
    }

    /// RFC 7541 appendix C.6: responses with a table of 256 bytes, so that entries are evicted.
    #[test]
    fn responses_of_the_standard() {
        let mut table = Table {
            limit: 256,
            ..Table::default()
        };
        let first = b"\x48\x82\x64\x02\x58\x85\xae\xc3\x77\x1a\x4b\x61\x96\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff\x6e\x91\x9d\x29\xad\x17\x18\x63\xc7\x8f\x0b\x97\xc8\xe9\xae\x82\xae\x43\xd3";
        assert_eq!(fields(&mut table, first), [(Name::Status, "302".to_owned())]);
        assert_eq!(table.size, 222);
        let second = b"\x48\x83\x64\x0e\xff\xc1\xc0\xbf";
        assert_eq!(fields(&mut table, second), [(Name::Status, "307".to_owned())]);
        assert_eq!(table.size, 222);
    }

    #[test]
    fn a_late_listener_knows_what_was_added_since() {
        let mut table = Table::default();
        // Index 70 is not known; what follows is, and its name by an index that is not known is passed over.
        assert_eq!(
            fields(&mut table, b"\xc6\x88\x7f\x07\x01x"),
            [(Name::Status, "200".to_owned())]
        );
        assert_eq!(table.entries.len(), 1);
        assert_eq!(
            fields(&mut table, b"\x48\x03503"),
            [(Name::Status, "503".to_owned())]
        );
        assert_eq!(fields(&mut table, b"\xbe"), [(Name::Status, "503".to_owned())]);
        table.forget();
        assert_eq!(
            fields(&mut table, b"\xbe\x88"),
            [(Name::Status, "200".to_owned())]
        );
    }

    #[test]
    fn hostile_lengths_end_a_block_and_take_no_memory() {
        let mut table = Table::default();
        assert!(fields(&mut table, b"\x40\x7f\xff\xff\xff\xff\xff\xff\xff\x7f").is_empty());
        assert!(fields(&mut table, b"\x3f\xff\xff\xff\xff\x0f\x88").len() == 1);
        for _ in 0..10_000 {
            let _ = fields(&mut table, &[b"\x40\x01x\x64".as_slice(), &[b'y'; 100]].concat());
        }
        assert!(table.size <= super::MAX_TABLE);
    }
}
