//! The program as a person has it: on a real terminal, and interrupted.
#![cfg(unix)]

use crate::rows::good_calls;
use crate::running::{Scratch, case_input, text};
use std::io::Write as _;
use std::process::{Command, Stdio};

/// What a terminal of this many columns gets; none where there is no `script` (util-linux) to make one.
fn on_terminal(columns: usize, environment: &str, words: &str, case: &str) -> Option<String> {
    let program = env!("CARGO_BIN_EXE_postmesh");
    let input = case_input(case);
    let line = format!(
        "stty cols {columns} rows 40; {environment} '{program}' {words} '{}'",
        input.display()
    );
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        eprintln!("skipped: there is no script to make a terminal with");
        return None;
    };
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Lines as they stand on the screen in the end: what was overwritten is gone, colours are left out.
fn screen(bytes: &str) -> Vec<String> {
    bytes
        .lines()
        .map(|line| {
            // The bar is drawn at the start of a line again and again, and taken off it.
            let last = line
                .trim_end_matches('\r')
                .rsplit('\r')
                .next()
                .unwrap_or_default();
            let mut shown = String::new();
            let mut rest = last;
            while let Some((before, code)) = rest.split_once('\x1b') {
                shown.push_str(before);
                // A link's target ends with a terminator of its own (OSC 8).
                if let Some(link) = code.strip_prefix(']') {
                    rest = link.split_once("\x1b\\").map_or("", |(_, after)| after);
                    continue;
                }
                // A code ends with its first letter.
                rest = code
                    .split_once(|c: char| c.is_ascii_alphabetic())
                    .map_or("", |(_, after)| after);
            }
            shown + rest
        })
        .collect()
}

/// True for one word of a command: broken, it could not be pasted.
fn is_one_word(line: &str) -> bool {
    let word = line.trim().trim_end_matches(" \\");
    let quoted = word.strip_prefix('\'').and_then(|word| word.strip_suffix('\''));
    quoted.is_some_and(|word| !word.contains('\'')) || !word.contains(' ')
}

#[test]
fn the_verdict_stands_in_the_first_lines_and_nothing_but_a_word_of_a_command_is_wider_than_the_terminal() {
    for columns in [80, 160] {
        for case in [
            "packet-loss",
            "two-faults",
            "healthy-bookinfo",
            "cert-expired-captured",
        ] {
            let Some(bytes) = on_terminal(columns, "", "analyze --exit-zero", case) else {
                return;
            };
            let lines = screen(&bytes);
            assert!(lines.len() > 10, "{bytes}");
            for line in &lines {
                let fits = line.chars().count() <= columns;
                assert!(fits || is_one_word(line), "{columns}: {line:?}");
            }
            let top = lines[..6].join("\n");
            let marks = ["CRITICAL", "WARNING", "HEALTHY"];
            assert!(marks.iter().any(|mark| top.contains(mark)), "{case}: {top}");
            if case != "healthy-bookinfo" {
                assert!(top.contains("confidence") || lines[6].contains("cause:"), "{top}");
            }
            assert!(bytes.contains("\x1b[1m"), "a terminal is coloured");
            assert!(!lines.iter().any(|line| line.contains("ETA")), "the bar is gone");
        }
    }
}

#[test]
fn whoever_wants_no_colour_gets_none() {
    let Some(bytes) = on_terminal(80, "NO_COLOR=1", "analyze -q -f text --exit-zero", "two-faults") else {
        return;
    };
    assert!(!bytes.contains('\x1b'), "{bytes:?}");
    let Some(plain) = on_terminal(80, "", "analyze -q -f text --exit-zero --ascii", "two-faults") else {
        return;
    };
    let shown = screen(&plain).join("\n");
    assert!(shown.is_ascii(), "{shown}");
}

#[test]
fn places_are_links_on_a_terminal_and_nowhere_else() {
    let words = "analyze -q -f text --exit-zero --no-run-info";
    let Some(bytes) = on_terminal(160, "", words, "refused-app-port-mismatch") else {
        return;
    };
    let log = case_input("refused-app-port-mismatch");
    let folder = std::fs::canonicalize(log).unwrap();
    let target = format!("\x1b]8;;file://{}/", folder.display());
    assert!(bytes.contains(&target), "{bytes:?}");
    let opened = bytes.matches("\x1b]8;;file://").count();
    assert_eq!(
        bytes.matches("\x1b]8;;\x1b\\").count(),
        opened,
        "each link is closed"
    );
    // What is seen is the same.
    let plain = on_terminal(
        160,
        "",
        &format!("{words} --hyperlinks never"),
        "refused-app-port-mismatch",
    )
    .unwrap();
    assert!(!plain.contains("\x1b]8"), "{plain:?}");
    assert_eq!(screen(&bytes), screen(&plain));
    for none in ["NO_COLOR=1", "TERM=dumb"] {
        let bytes = on_terminal(160, none, words, "refused-app-port-mismatch").unwrap();
        assert!(!bytes.contains("\x1b]8"), "{none}: {bytes:?}");
    }
    let key = Scratch::with("key", "a key of more than sixteen bytes");
    let words = format!("{words} --pseudonyms '{}'", key.path().join("key").display());
    let bytes = on_terminal(160, "", &words, "refused-app-port-mismatch").unwrap();
    assert!(
        bytes.contains("CRITICAL") && !bytes.contains("\x1b]8"),
        "{bytes:?}"
    );
}

#[test]
fn other_commands_fit_a_terminal_too() {
    for columns in [80, 160] {
        for words in [
            "inspect",
            "top path,flags",
            "batch --exit-zero",
            "signatures list #",
        ] {
            let Some(bytes) = on_terminal(columns, "", words, "two-faults") else {
                return;
            };
            let lines = screen(&bytes);
            assert!(lines.len() > 1, "{words}: {bytes}");
            for line in &lines {
                assert!(line.chars().count() <= columns, "{words} at {columns}: {line:?}");
            }
        }
    }
}

/// A reader that went away is no error (`postmesh ... | head`).
#[test]
fn a_pipe_that_closes_early_ends_quietly() {
    let input = case_input("two-faults");
    let line = format!(
        "'{}' analyze -q -f json '{}' 2>&1 >/dev/full | head -c 300; '{}' analyze -f json '{}' 2>&1 | head -c 10",
        env!("CARGO_BIN_EXE_postmesh"),
        input.display(),
        env!("CARGO_BIN_EXE_postmesh"),
        input.display()
    );
    let output = Command::new("sh").args(["-c", &line]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("standard output"), "a full disk is told: {said}");
    assert!(
        !said.contains("panicked") && !said.contains("Broken pipe"),
        "{said}"
    );
}

#[test]
fn an_interrupted_run_tells_what_it_knows() {
    let scratch = Scratch::new();
    let fifo = scratch.path().join("web-1.istio-proxy.log");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let child = Command::new(env!("CARGO_BIN_EXE_postmesh"))
        .args(["analyze", "--format", "json"])
        .arg(&fifo)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Opening waits for the reader, which has arranged for interrupts by then.
    let mut log = std::fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    let rows = good_calls(0, 4000);
    log.write_all(rows.as_bytes()).unwrap();
    // The shell has a kill of its own, whatever else is installed.
    let signal = Command::new("sh")
        .args(["-c", &format!("kill -INT {}", child.id())])
        .status();
    assert!(signal.unwrap().success());
    // It has had enough at some point: then nobody reads any more.
    let mut written = 1;
    while written < 2000 && log.write_all(rows.as_bytes()).is_ok() {
        written += 1;
    }
    drop(log);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["selection"]["interrupted"], true);
    let seen = report["requests"]["rows"].as_u64().unwrap();
    // Of the last 4000 some were taken before it stopped.
    assert!(
        seen > 0 && seen <= (written + 1) * 4000,
        "{seen} rows of {written} times 4000"
    );
    assert!(written < 2000, "it read on to the end");
    let problem = text(&report, "/inputs/0/problems/0/what");
    assert!(problem.contains("interrupted"), "{problem}");
}
