//! How far a run is, on standard error and only on a terminal: bytes, rate, time left. Gone when it ends.

use crate::progress::Progress;
use crate::report::escape::{Charset, escape};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const KNOWN: &str =
    "{bar:24} {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  ETA {eta}  {wide_msg}";
const UNKNOWN: &str = "{spinner} {binary_bytes}  {binary_bytes_per_sec}  {wide_msg}";

/// A bar that the engine moves.
#[derive(Debug)]
pub(super) struct Bar {
    line: ProgressBar,
    inputs: AtomicUsize,
    finished: AtomicUsize,
    /// Set when somebody wants the run to end.
    stop: Arc<AtomicBool>,
}

impl Bar {
    /// On standard error if `shown`, else nowhere.
    pub(super) fn new(shown: bool, stop: Arc<AtomicBool>) -> Self {
        let target = if shown {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            line: ProgressBar::with_draw_target(None, target),
            inputs: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
            stop,
        }
    }

    /// Takes the bar off the terminal.
    pub(super) fn clear(&self) {
        self.line.finish_and_clear();
    }
}

impl Progress for Bar {
    fn planned(&self, bytes: Option<u64>, inputs: usize) {
        self.inputs.store(inputs, Ordering::Relaxed);
        // Where all is read a second time, it begins again.
        self.finished.store(0, Ordering::Relaxed);
        self.line.reset();
        let template = if bytes.is_some() { KNOWN } else { UNKNOWN };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.line.set_style(style);
        }
        if let Some(bytes) = bytes {
            self.line.set_length(bytes);
        }
    }

    fn read(&self, stored_bytes: u64) {
        self.line.inc(stored_bytes);
    }

    fn finished_input(&self, path: &str) {
        let finished = self.finished.fetch_add(1, Ordering::Relaxed) + 1;
        let inputs = self.inputs.load(Ordering::Relaxed).max(finished);
        self.line
            .set_message(format!("{finished}/{inputs}  {}", escape(path, Charset::Unicode)));
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::TermLike;
    use std::io;
    use std::sync::Mutex;

    /// Keeps what the bar writes.
    #[derive(Clone, Debug, Default)]
    struct Paper(Arc<Mutex<String>>);

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            100
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().unwrap().clear();
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn drawn(run: impl FnOnce(&Bar)) -> String {
        let paper = Paper::default();
        let bar = Bar::new(false, Arc::default());
        bar.line
            .set_draw_target(ProgressDrawTarget::term_like(Box::new(paper.clone())));
        run(&bar);
        bar.line.tick();
        let shown = paper.0.lock().unwrap().clone();
        bar.clear();
        assert_eq!(paper.0.lock().unwrap().trim(), "", "gone when finished");
        shown
    }

    #[test]
    fn what_is_read_again_begins_again() {
        let shown = drawn(|bar| {
            for _ in 0..2 {
                bar.planned(Some(4 << 20), 1);
                bar.read(3 << 20);
                bar.finished_input("a.log");
            }
        });
        assert!(shown.contains("3.00 MiB/4.00 MiB"), "{shown}");
        assert!(shown.contains("1/1"), "{shown}");
    }

    #[test]
    fn bytes_rate_and_time_left() {
        let shown = drawn(|bar| {
            bar.planned(Some(4 << 20), 3);
            bar.read(1 << 20);
            bar.finished_input("a/\u{1b}[2Jproxy.log");
        });
        for part in ["1.00 MiB/4.00 MiB", "/s", "ETA", "1/3", "a/\\x1b[2Jproxy.log"] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
    }

    #[test]
    fn unknown_sizes_have_no_end() {
        let shown = drawn(|bar| {
            bar.planned(None, 1);
            bar.read(2048);
        });
        assert!(shown.contains("2.00 KiB") && !shown.contains("ETA"), "{shown}");
    }
}
