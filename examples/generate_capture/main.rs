//! Writes a packet capture of made-up mesh traffic, the same bytes every time, and what must be counted in it.
//!
//! usage: `generate_capture traffic|flood --bytes N [--out FILE] [--expect FILE]`
//!
//! `traffic` has some hundred connections under way at any time, packets of 576 bytes on average: HTTP/1 and TLS
//! connections with handshake, exchanges and close, some refused, some reset, some with segments sent again, and DNS
//! questions. `flood` has nothing but SYNs, each of another connection.

mod packet;
mod traffic;

use packet::CaptureWriter;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use traffic::{Expect, Mix};

struct Arguments {
    mix: Mix,
    bytes: u64,
    out: Option<PathBuf>,
    expect: Option<PathBuf>,
}

fn arguments() -> Result<Arguments, String> {
    let mut words = std::env::args().skip(1);
    let mix = match words.next().as_deref() {
        Some("traffic") => Mix::Traffic,
        Some("flood") => Mix::Flood,
        other => return Err(format!("KIND is traffic or flood, not {other:?}")),
    };
    let mut parsed = Arguments {
        mix,
        bytes: 64 << 20,
        out: None,
        expect: None,
    };
    while let Some(option) = words.next() {
        let value = words.next().ok_or_else(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--bytes" => parsed.bytes = value.parse().map_err(|e| format!("--bytes {value}: {e}"))?,
            "--out" => parsed.out = Some(value.into()),
            "--expect" => parsed.expect = Some(value.into()),
            _ => return Err(format!("unknown option {option}")),
        }
    }
    Ok(parsed)
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let sink: Box<dyn Write> = match &arguments.out {
        Some(path) => Box::new(File::create(path)?),
        None => Box::new(io::stdout().lock()),
    };
    let mut writer = CaptureWriter::new(BufWriter::with_capacity(1 << 20, sink))?;
    let expect: Expect = traffic::write(arguments.mix, arguments.bytes, &mut writer)?;
    writer.finish()?;
    if let Some(path) = &arguments.expect {
        std::fs::write(path, expect.to_json())?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let outcome = arguments().and_then(|arguments| run(&arguments).map_err(|e| e.to_string()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // A generator has no report to keep clean: its own errors go to standard error as they are.
            let _ = writeln!(io::stderr(), "generate_capture: {message}");
            ExitCode::from(2)
        }
    }
}
