//! A second look at the inputs: what was cited, or what belongs to one request, as it stands there.
//!
//! In: [`crate::input::Source`]s and what is asked for. Out: [`show::Shown`] and [`trace::Trace`], plain data for the
//! renderers of [`crate::report`]. It reads with the readers and decoders of the first pass, so that lines and frames
//! have the numbers that reports cite; it keeps what is asked for, within bounds, and nothing of the rest. Never: counts
//! over inputs, judges, prints.

pub mod cited;
pub mod clocks;
pub mod frame;
pub mod layouts;
mod packets;
pub mod reference;
pub mod rows;
pub mod show;
pub mod slice;
pub mod trace;
pub mod tuple;

use crate::decode::log::Layouts;
use crate::input::{ByteReader, OpenError, Source, SourceKind};
use crate::pipeline::capture_reader::CaptureReader;

/// Bytes of a block of a log.
const LOG_BLOCK_BYTES: usize = 256 << 10;

/// Bytes of a block of a capture.
const CAPTURE_BLOCK_BYTES: usize = 256 << 10;

/// Bytes as text: what is UTF-8 as it is, each other byte as `\xNN`. Not yet fit for a terminal.
fn text_of(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// An input that was opened, by what it holds.
enum Opened {
    Log(Box<crate::input::BlockReader>),
    Capture(Box<CaptureReader>),
    /// Nothing that has lines or frames, and what it is instead.
    Other(&'static str),
}

fn open(source: &Source, layouts: &Layouts) -> Result<Opened, OpenError> {
    let options = crate::pipeline::read_options(LOG_BLOCK_BYTES, layouts);
    let reader = crate::input::BlockReader::open(source, &options)?;
    Ok(match reader.kind() {
        SourceKind::Text => Opened::Log(Box::new(reader)),
        SourceKind::Capture => Opened::Capture(Box::new(CaptureReader::new(
            ByteReader::from(reader),
            CAPTURE_BLOCK_BYTES,
        ))),
        SourceKind::Empty => Opened::Other("is empty"),
        _ => Opened::Other("is neither a log nor a capture"),
    })
}
