//! Where a command writes, what it may write there, and the engine it runs.

use super::args::{DrawArgs, When};
use super::exit::Status;
use crate::progress::Progress;
use crate::report::escape::{Charset, escape};
use crate::report::text::TextStyle;
use crate::{Error, Options, Report};
use signal_hook::consts::SIGINT;
use signal_hook::flag;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The status of a program that was interrupted: 128 and the number of the signal.
pub(super) const INTERRUPTED: i32 = 130;

/// The widest page that a terminal gets unless `--width` asks for more.
const WIDEST: usize = 160;

/// Options in, report out: [`crate::pipeline::analyze_with`], or what a test puts in its place.
pub(super) type Engine = fn(&Options, &dyn Progress) -> Result<Report, Error>;

/// What surrounds the process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings {
    /// Standard output is a terminal.
    pub(super) out_is_terminal: bool,
    /// Standard error is a terminal.
    pub(super) err_is_terminal: bool,
    /// Columns of the terminal.
    pub(super) columns: Option<usize>,
    /// What the environment says of colours.
    pub(super) color: When,
}

impl Surroundings {
    fn of_process() -> Self {
        Self {
            out_is_terminal: std::io::stdout().is_terminal(),
            err_is_terminal: std::io::stderr().is_terminal(),
            columns: terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)),
            color: environment_color(),
        }
    }
}

/// `NO_COLOR` set and not empty (no-color.org) wins over `CLICOLOR_FORCE` set and not 0 (bixense.com/clicolors).
fn environment_color() -> When {
    let is =
        |name, test: fn(&str) -> bool| environment(name).and_then(|v| v.to_str().map(test)) == Some(true);
    if is("NO_COLOR", |value| !value.is_empty()) {
        When::Never
    } else if is("CLICOLOR_FORCE", |value| !value.is_empty() && value != "0") {
        When::Always
    } else if is("TERM", |term| term == "dumb") {
        When::Never
    } else {
        When::Auto
    }
}

fn paints(color: When, is_terminal: bool) -> bool {
    match color {
        When::Auto => is_terminal,
        When::Always => true,
        When::Never => false,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the environment is read here and nowhere else"
)]
fn environment(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

/// One run of the program.
pub(super) struct Session<'io> {
    out: &'io mut dyn Write,
    err: &'io mut dyn Write,
    /// What surrounds it.
    pub(super) surroundings: Surroundings,
    /// What it runs.
    pub(super) engine: Engine,
    /// Set when the user has had enough: the run ends with what it has.
    pub(super) stop: Arc<AtomicBool>,
}

impl<'io> Session<'io> {
    /// On the process's own streams, with the real engine.
    pub(super) fn of_process(out: &'io mut dyn Write, err: &'io mut dyn Write) -> Self {
        let session = Self::new(
            out,
            err,
            Surroundings::of_process(),
            crate::pipeline::analyze_with,
        );
        // The first one ends the reading, a second one the program. Where that cannot be arranged, the first one does.
        let stop = &session.stop;
        let arranged = flag::register_conditional_shutdown(SIGINT, INTERRUPTED, Arc::clone(stop))
            .and_then(|_| flag::register(SIGINT, Arc::clone(stop)));
        drop(arranged);
        session
    }

    /// On any streams, with any engine.
    pub(super) fn new(
        out: &'io mut dyn Write,
        err: &'io mut dyn Write,
        surroundings: Surroundings,
        engine: Engine,
    ) -> Self {
        Self {
            out,
            err,
            surroundings,
            engine,
            stop: Arc::default(),
        }
    }

    /// Whether standard output takes colours when nothing was said of them.
    pub(super) fn paints_output(&self) -> bool {
        paints(self.surroundings.color, self.surroundings.out_is_terminal)
    }

    /// Whether standard error takes colours.
    pub(super) fn paints_errors(&self) -> bool {
        paints(self.surroundings.color, self.surroundings.err_is_terminal)
    }

    /// How text on standard output is drawn.
    pub(super) fn style(&self, draw: &DrawArgs) -> TextStyle {
        let of_terminal = self
            .surroundings
            .columns
            .filter(|_| self.surroundings.out_is_terminal);
        let asked = draw.width.and_then(|width| usize::try_from(width).ok());
        let fitting = of_terminal.map(|columns| columns.min(WIDEST));
        TextStyle {
            width: asked.or(fitting).unwrap_or(TextStyle::default().width),
            color: paints(draw.color, self.paints_output()),
            unicode: !draw.ascii,
            terminal: self.surroundings.out_is_terminal,
        }
    }

    /// Whether text on standard output has links: where it would have colours.
    pub(super) fn links(&self, draw: &DrawArgs) -> bool {
        paints(
            draw.hyperlinks,
            self.surroundings.out_is_terminal && paints(draw.color, self.paints_output()),
        )
    }

    /// Writes to standard output. A reader that went away is no error: it has seen what it wanted.
    pub(super) fn print(&mut self, text: &str) -> Result<(), Error> {
        self.print_with(|out| out.write_all(text.as_bytes()))
    }

    /// Writes to standard output through `write`, buffered.
    pub(super) fn print_with(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<(), Error> {
        let mut buffered = std::io::BufWriter::new(&mut *self.out);
        match write(&mut buffered).and_then(|()| buffered.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::File {
                path: PathBuf::from("standard output"),
                source: error,
            }),
            _ => {
                // What is left in the buffer has no reader.
                let _ = buffered.into_parts();
                Ok(())
            }
        }
    }

    /// Writes a line to standard error as it is; where that fails nobody is left to be told.
    pub(super) fn tell(&mut self, line: &str) {
        let _ = writeln!(self.err, "{line}");
    }

    /// Writes `postmesh: ...` to standard error, escaped.
    pub(super) fn complain(&mut self, text: &str) {
        let line = format!("postmesh: {}", escape(text, Charset::Unicode));
        self.tell(&line);
    }

    /// Says what ended the run, and what to do about it.
    pub(super) fn fail(&mut self, error: &Error) -> Status {
        let text = match remedy(error) {
            Some(remedy) => format!("{error}; {remedy}"),
            None => error.to_string(),
        };
        self.complain(&text);
        Status::Usage
    }
}

fn remedy(error: &Error) -> Option<&'static str> {
    match error {
        Error::NothingRead(_) => {
            Some("name the files or folders that hold istio-proxy logs, or - for standard input")
        }
        Error::BuiltIn(_) | Error::Internal(_) => Some("this is a fault of postmesh: please report it"),
        _ => None,
    }
}
