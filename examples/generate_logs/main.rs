//! Writes synthetic istio-proxy logs for benchmarks: the same arguments give the same bytes on every machine.
//!
//! ```text
//! cargo run --release --example generate_logs -- KIND [--bytes N | --rows N] [--seed N] [--keys N]
//!                                                [--out FILE] [--expect FILE]
//! ```
//!
//! KIND is `text` (Istio's default text rows), `json` (the same rows in Istio's default JSON encoding), `mixed`
//! (text rows with component lines between them, a burst of debug lines in the middle) or `manykeys` (text
//! rows to `--keys` distinct destinations). N takes the suffixes `KiB`, `MiB` and `GiB`. What a reader of the log
//! must count is written as JSON to `--expect FILE`, or to standard error, so that a benchmark can check a result
//! before it times it.

mod arguments;
mod component;
mod encode;
mod expect;
mod mesh;
mod outcome;
mod random;
mod row;

use arguments::{Arguments, Kind, Size};
use encode::Encoder;
use expect::Expectation;
use mesh::Mesh;
use random::Random;
use row::{Row, Traffic};
use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};

/// Bytes gathered before they are handed to the system.
const CHUNK_BYTES: usize = 1 << 20;
/// Destinations prepared at a time, so that millions of them need no memory.
const LOT_KEYS: usize = 8192;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let expectation = match &arguments.out {
        Some(path) => generate(&arguments, &mut File::create(path)?)?,
        None => generate(&arguments, &mut io::stdout().lock())?,
    };
    match &arguments.expect {
        Some(path) => expectation.write(&arguments, &mut BufWriter::new(File::create(path)?))?,
        None => expectation.write(&arguments, &mut io::stderr().lock())?,
    }
    Ok(())
}

/// Writes the log to `sink` and says what stands in it.
fn generate(arguments: &Arguments, sink: &mut dyn Write) -> io::Result<Expectation> {
    let mut log = Log::new(arguments, sink);
    let mut clock_ms = row::BEGIN_MS;
    let mut first_key = 0;
    while !log.is_complete() {
        clock_ms = match arguments.kind {
            Kind::ManyKeys => {
                let mesh = Mesh::with_destinations(first_key..(first_key + LOT_KEYS).min(arguments.keys));
                first_key = (first_key + LOT_KEYS) % arguments.keys.next_multiple_of(LOT_KEYS);
                log.write_rows(Traffic::in_turn(&mesh, clock_ms), mesh.services.len())?
            }
            Kind::Text | Kind::Json | Kind::Mixed => {
                let mesh = Mesh::shop();
                log.write_rows(Traffic::at_random(&mesh, clock_ms), usize::MAX)?
            }
        };
    }
    log.finish()
}

/// The log while it is written.
struct Log<'run> {
    arguments: &'run Arguments,
    sink: &'run mut dyn Write,
    chunk: Vec<u8>,
    encoder: Encoder,
    random: Random,
    expectation: Expectation,
}

impl<'run> Log<'run> {
    fn new(arguments: &'run Arguments, sink: &'run mut dyn Write) -> Self {
        Self {
            arguments,
            sink,
            chunk: Vec::with_capacity(CHUNK_BYTES + (1 << 16)),
            encoder: Encoder::new(arguments.kind == Kind::Json),
            random: Random::new(arguments.seed),
            expectation: Expectation::default(),
        }
    }

    /// Writes at most `rows` rows and returns the time of the last one.
    fn write_rows(&mut self, mut traffic: Traffic<'_>, rows: usize) -> io::Result<i64> {
        let mut row = Row::default();
        for _ in 0..rows {
            if self.is_complete() {
                break;
            }
            traffic.next(&mut self.random, &mut row);
            self.write_row(&row)?;
        }
        Ok(traffic.clock_ms)
    }

    fn write_row(&mut self, row: &Row<'_>) -> io::Result<()> {
        let burst = self.is_in_middle_tenth();
        let before = self.chunk.len();
        self.expectation.record(row);
        self.encoder.write(row, &mut self.chunk)?;
        if self.arguments.kind == Kind::Mixed {
            let messages = component::write(&mut self.random, row.end_ms, burst, &mut self.chunk)?;
            self.expectation.component_messages += messages;
        }
        self.expectation.bytes += u64::try_from(self.chunk.len() - before).unwrap_or(0);
        if self.chunk.len() >= CHUNK_BYTES {
            self.sink.write_all(&self.chunk)?;
            self.chunk.clear();
        }
        Ok(())
    }

    /// What is done and what is to be done, in rows or in bytes.
    fn progress(&self) -> (u64, u64) {
        match self.arguments.size {
            Size::Rows(rows) => (self.expectation.rows, rows),
            Size::Bytes(bytes) => (self.expectation.bytes, bytes),
        }
    }

    fn is_complete(&self) -> bool {
        let (done, all) = self.progress();
        done >= all
    }

    /// Whether this is the tenth of the log that begins at its middle.
    fn is_in_middle_tenth(&self) -> bool {
        let (done, all) = self.progress();
        (all / 2..all / 2 + all / 10).contains(&done)
    }

    fn finish(self) -> io::Result<Expectation> {
        self.sink.write_all(&self.chunk)?;
        self.sink.flush()?;
        Ok(self.expectation)
    }
}
