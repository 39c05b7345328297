//! A part of the inputs as inputs of their own: lines and packets of a span, copied as they stand.
//!
//! Lines stay whole, with what wraps them; packets stay whole, with the headers of their file. Compression is taken off, and members
//! of archives become files, under the names that tell whose they are.

use super::{LOG_BLOCK_BYTES, Opened};
use crate::decode::log::{AccessRow, Content, Layouts, LogDecoder};
use crate::decode::output::{self, TextKind};
use crate::input::{BlockReader, ByteReader, Source, SourceKind, lines_of};
use crate::units::Timestamp;
use pcap_parser::{PcapBlockOwned, PcapError, create_reader};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// The span; `None` for all of time.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Short name of a service: only rows that name it are kept; `None` for all rows.
    pub service: Option<String>,
}

/// What was kept of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Lines or packets that were copied.
    pub records: u64,
    /// Lines or packets that were left out.
    pub left_out: u64,
}

impl Cut {
    fn spans(&self, time: Option<Timestamp>) -> bool {
        let Some((from, to)) = self.span else {
            return true;
        };
        // What has no time may be of any.
        time.is_none_or(|time| from <= time && time <= to)
    }

    fn names(&self, row: &AccessRow<'_>) -> bool {
        let Some(service) = &self.service else {
            return true;
        };
        let of_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        [row.cluster, row.authority, row.sni, row.path]
            .into_iter()
            .flatten()
            .any(|field| {
                field
                    .split(|byte| !of_name(byte))
                    .any(|word| word == service.as_bytes())
            })
    }
}

/// The name of a source below the folder of a slice: nothing in it climbs, and it still tells pod and namespace.
pub fn path_of(source: &Source) -> PathBuf {
    let name = source.display_path.replace('!', "/");
    let mut path = PathBuf::new();
    for part in Path::new(&name).components() {
        if let Component::Normal(part) = part {
            path.push(part);
        }
    }
    // It is written without compression.
    let packed = path
        .extension()
        .is_some_and(|end| end == "gz" || end == "zst" || end == "zstd");
    if packed {
        path.set_extension("");
    }
    if path.as_os_str().is_empty() {
        path.push(format!("input-{}", source.id.0));
    }
    path
}

/// Copies what `cut` keeps of an input; `None` where it has neither lines nor packets.
///
/// # Errors
/// What reading or writing fails with.
pub fn copy(source: &Source, cut: &Cut, layouts: &Layouts, out: &mut dyn Write) -> io::Result<Option<Kept>> {
    let opened = super::open(source, layouts).map_err(|error| io::Error::other(error.to_string()))?;
    match opened {
        Opened::Log(reader) => lines(*reader, cut, layouts, out).map(Some),
        Opened::Capture(_) => {
            let bytes = ByteReader::open(source).map_err(|error| io::Error::other(error.to_string()))?;
            packets(Bytes::of(bytes), cut, out).map(Some)
        }
        Opened::Other(_) => Ok(None),
    }
}

/// True for what is a capture.
pub fn is_capture(source: &Source) -> bool {
    BlockReader::open(
        source,
        &crate::pipeline::read_options(LOG_BLOCK_BYTES, &Layouts::default()),
    )
    .is_ok_and(|reader| reader.kind() == SourceKind::Capture)
}

fn lines(mut reader: BlockReader, cut: &Cut, layouts: &Layouts, out: &mut dyn Write) -> io::Result<Kept> {
    let text = output::recognise(reader.head());
    let mut kept = Kept::default();
    let (mut decoder, mut buffer) = (LogDecoder::with_layouts(layouts), Vec::new());
    // A message of several lines is kept or left out as a whole.
    let mut keeps = true;
    while let Some(block) = reader.next_block(std::mem::take(&mut buffer)) {
        let data = &block.data;
        if text.kind == TextKind::Log || text.kind.is_log() {
            let mut marks: Vec<(usize, bool)> = Vec::new();
            decoder.decode_block(data, &mut |at, line| {
                keeps = match &line.content {
                    Content::Access(row) => {
                        let end = row
                            .start
                            .map(|start| start.plus_millis(row.duration_ms.unwrap_or(0)));
                        (cut.spans(row.start) || cut.spans(end)) && cut.names(row)
                    }
                    Content::Component(message) => cut.spans(message.time.or(line.wrapping.written)),
                    _ => keeps,
                };
                marks.push((at.offset, keeps));
            });
            let ends = marks
                .iter()
                .skip(1)
                .map(|(offset, _)| *offset)
                .chain([data.len()]);
            for ((start, keep), end) in marks.iter().zip(ends) {
                let lines = data.get(*start..end).unwrap_or_default();
                let count = lines_of(lines);
                if *keep {
                    out.write_all(lines)?;
                    kept.records = kept.records.saturating_add(count);
                } else {
                    kept.left_out = kept.left_out.saturating_add(count);
                }
            }
        } else {
            // Saved output is of no time, and its lines belong together.
            out.write_all(data)?;
            kept.records = kept.records.saturating_add(lines_of(data));
        }
        buffer = block.data;
    }
    Ok(kept)
}

/// Bytes of a capture's buffer; a packet is shorter.
const CAPTURE_BUFFER_BYTES: usize = 1 << 20;

/// Interfaces of a capture whose clocks are known.
const MAX_INTERFACES: usize = 4096;

fn packets(bytes: Bytes, cut: &Cut, out: &mut dyn Write) -> io::Result<Kept> {
    let mut kept = Kept::default();
    let Ok(mut reader) = create_reader(CAPTURE_BUFFER_BYTES, bytes) else {
        return Ok(kept);
    };
    let mut clock = Clocks::default();
    let mut refilled = false;
    loop {
        match reader.next() {
            Ok((length, block)) => {
                refilled = false;
                let holds = clock.holds(&block);
                let keeps = match holds {
                    Holds::Packet(time) => cut.spans(time),
                    Holds::Other => true,
                };
                drop(block);
                if keeps {
                    out.write_all(reader.data().get(..length).unwrap_or_default())?;
                }
                if holds != Holds::Other {
                    let count = if keeps {
                        &mut kept.records
                    } else {
                        &mut kept.left_out
                    };
                    *count = count.saturating_add(1);
                }
                reader.consume(length);
            }
            Err(PcapError::Incomplete(_)) if !refilled => {
                refilled = true;
                if reader.refill().is_err() {
                    break;
                }
            }
            // Its end, or the first damage: what stands before it is copied.
            Err(_) => break,
        }
    }
    Ok(kept)
}

/// What a record of a capture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// A packet, with its time where it has one.
    Packet(Option<Timestamp>),
    /// A header, or another block.
    Other,
}

/// How the clocks of a capture's interfaces count.
#[derive(Debug, Default)]
struct Clocks {
    /// True where a pcap file counts nanoseconds.
    nanoseconds: bool,
    /// Of pcapng: units a second, and seconds to be added.
    interfaces: Vec<(u64, i64)>,
}

impl Clocks {
    fn holds(&mut self, block: &PcapBlockOwned<'_>) -> Holds {
        use pcap_parser::Block;
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                self.nanoseconds = header.is_nanosecond_precision();
                Holds::Other
            }
            PcapBlockOwned::Legacy(packet) => {
                let unit: i64 = if self.nanoseconds { 1 } else { 1000 };
                let second = Timestamp::from_secs(i64::from(packet.ts_sec));
                let rest = i64::from(packet.ts_usec).saturating_mul(unit);
                Holds::Packet(Some(Timestamp(second.0.saturating_add(rest))))
            }
            PcapBlockOwned::NG(Block::SectionHeader(_)) => {
                self.interfaces.clear();
                Holds::Other
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                if self.interfaces.len() < MAX_INTERFACES {
                    let units = interface.ts_resolution().unwrap_or(1_000_000);
                    self.interfaces.push((units, interface.if_tsoffset));
                }
                Holds::Other
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let interface = usize::try_from(packet.if_id).ok();
                let clock = interface.and_then(|number| self.interfaces.get(number));
                Holds::Packet(clock.and_then(|(units, offset_s)| {
                    let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                    let seconds = ticks.checked_div(*units)?;
                    let rest = u128::from(ticks.checked_rem(*units)?).saturating_mul(1_000_000_000);
                    let rest = i64::try_from(rest.checked_div(u128::from(*units))?).ok()?;
                    let second = i64::try_from(seconds).ok()?.checked_add(*offset_s)?;
                    Some(Timestamp(Timestamp::from_secs(second).0.saturating_add(rest)))
                }))
            }
            // It has no time of its own.
            PcapBlockOwned::NG(Block::SimplePacket(_)) => Holds::Packet(None),
            PcapBlockOwned::NG(_) => Holds::Other,
        }
    }
}

/// An input as a stream.
struct Bytes {
    input: ByteReader,
    buffer: Vec<u8>,
    /// What of the buffer was given.
    given: usize,
    filled: usize,
}

impl Bytes {
    fn of(input: ByteReader) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            given: 0,
            filled: 0,
        }
    }
}

impl Read for Bytes {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.given >= self.filled {
            self.filled = self.input.fill(&mut self.buffer, 0, LOG_BLOCK_BYTES);
            self.given = 0;
        }
        let ready = self.buffer.get(self.given..self.filled).unwrap_or_default();
        let count = ready.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..count), ready.get(..count)) {
            to.copy_from_slice(from);
        }
        self.given = self.given.saturating_add(count);
        Ok(count)
    }
}
