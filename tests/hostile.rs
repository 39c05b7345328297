//! Strings that an attacker puts into requests, logs and names of files, through every command in every format.

use crate::running::{Scratch, postmesh};
use serde_json::Value;
use std::path::Path;

/// `hostile.json`, and what JSON cannot hold or a list would be long with.
fn strings() -> Vec<Vec<u8>> {
    let listed: Vec<String> = serde_json::from_str(include_str!("hostile.json")).unwrap();
    let mut strings: Vec<Vec<u8>> = listed.into_iter().map(String::into_bytes).collect();
    strings.extend([
        b"\xff\xfe\x80 not \xc3\x28 utf-8 \xed\xa0\x80".to_vec(),
        b"\x00\x00nul".to_vec(),
        b"<script>owned=1</script>".repeat(2_000),
        "\u{202e}".repeat(3_000).into_bytes(),
        b"=1+1,".repeat(5_000),
        b"password=\x1b[31m<b>\x1b[0m".to_vec(),
        b"?token=<script>owned=1</script>&a=\x1b]0;t\x07".to_vec(),
    ]);
    strings
}

/// As it could stand in a field: Envoy escapes no quotes, but a line is one.
fn one_line(text: &[u8]) -> Vec<u8> {
    text.iter()
        .map(|byte| {
            if matches!(byte, b'\n' | b'\r') {
                b' '
            } else {
                *byte
            }
        })
        .collect()
}

const REQUEST: &str = "0a1b2c3d-0000-4000-8000-000000000001";

/// Rows with the text in each field that a caller decides, component lines, lines of nobody.
fn log(text: &[u8], plain: bool) -> Vec<u8> {
    let text = one_line(text);
    // In a quoted field without quotes and blanks, so that the row is one; the raw text stands in other lines.
    let field: Vec<u8> = text
        .iter()
        .filter(|byte| !matches!(byte, b'"' | b' '))
        .copied()
        .take(4_000)
        .collect();
    let mut log = Vec::new();
    for n in 0..40 {
        let code: &[u8] = if n % 2 == 0 && !plain {
            b" 503 UF upstream_reset_before_response_started{remote_connection_failure} - \"delayed_connect_error:_111\" 0 91 3 - "
        } else {
            b" 200 - via_upstream - \"-\" 0 91 3 2 "
        };
        for part in [
            format!("[2026-11-02T03:{n:02}:00.120Z] \"GET /").as_bytes(),
            &field,
            b" HTTP/1.1\"",
            code,
            b"\"",
            &field,
            b"\" \"",
            &field,
            format!("\" \"{REQUEST}\" \"").as_bytes(),
            &field,
            b"\" \"10.244.1.41:9080\" outbound|9080||",
            &field,
            b" 10.244.1.11:4000 10.96.14.40:9080 10.244.1.11:48264 ",
            &field,
            b" ",
            &field,
            b"\n",
        ] {
            log.extend_from_slice(part);
        }
    }
    for start in [
        &b"2026-11-02T03:20:00.000000Z\twarning\tenvoy config x.cc:1\tgRPC config for x rejected: "[..],
        b"2026-11-02T03:21:00.000000Z\terror\tenvoy lua x.cc:1\tscript log: no healthy upstream ",
        b"2026-11-02T03:21:00Z ERROR connection refused ",
        b"",
    ] {
        log.extend_from_slice(start);
        log.extend_from_slice(&text);
        log.push(b'\n');
    }
    log
}

fn acts(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Cells of a line of CSV (RFC 4180).
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut inside) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => inside = !inside,
            ',' if !inside => cells.push(std::mem::take(&mut cell)),
            c => cell.push(c),
        }
    }
    cells.push(cell);
    cells
}

/// What nothing that is printed may hold, by its format.
fn keeps_its_promises(words: &[&str], out: &[u8]) {
    let out = String::from_utf8(out.to_vec()).expect("what is printed is UTF-8");
    let format = words
        .iter()
        .position(|word| *word == "-f")
        .map_or("text", |at| words[at + 1]);
    let lines = if format == "csv" {
        out.replace("\r\n", "\n")
    } else {
        out.clone()
    };
    let acting = lines.char_indices().find(|(_, c)| acts(*c));
    assert_eq!(acting, None, "{words:?}");
    match format {
        "json" => assert!(
            serde_json::from_str::<Value>(&out).unwrap().is_object(),
            "{words:?}"
        ),
        "ndjson" => {
            for line in out.lines() {
                assert!(
                    serde_json::from_str::<Value>(line).unwrap().is_object(),
                    "{words:?} {line}"
                );
            }
        }
        "csv" => {
            let columns = out.lines().next().map_or(0, |header| cells(header).len());
            for line in lines.lines() {
                let cells = cells(line);
                assert_eq!(cells.len(), columns, "{words:?} {line}");
                for cell in cells {
                    let formula = cell.trim_start().starts_with(['=', '+', '-', '@', '|', '%']);
                    assert!(
                        !formula || cell == "-" || cell.parse::<f64>().is_ok(),
                        "{words:?} {cell}"
                    );
                }
            }
        }
        "html" => {
            let below = out.to_lowercase();
            for tag in [
                "<script>owned",
                "<img",
                "<iframe",
                "<base",
                "onerror=owned=1>",
                "<svg onload",
            ] {
                assert!(!below.contains(tag), "{words:?} {tag}");
            }
        }
        "markdown" => {
            for line in out.lines() {
                assert!(
                    !line.starts_with("# heading") && !line.contains("<script>owned=1</script>!"),
                    "{line}"
                );
                let fences = line.trim_start().starts_with("~~~");
                assert!(!fences, "{words:?} {line}");
            }
        }
        _ => {}
    }
}

fn run_all(log: &Path, other: &Path, key: &str, text: &[u8]) {
    let name = log.file_name().unwrap().to_string_lossy().into_owned();
    let place = format!("{name}:2");
    let commands: Vec<Vec<&str>> = vec![
        vec!["analyze"],
        vec!["analyze", "--ascii", "--width", "160"],
        vec!["analyze", "-f", "json"],
        vec!["analyze", "-f", "html"],
        vec!["analyze", "-f", "markdown"],
        vec!["inspect"],
        vec!["inspect", "-f", "json"],
        vec!["show", "--ref", &place, "-C", "60", "--full"],
        vec!["show", "--ref", &place, "-C", "60", "-f", "json"],
        vec!["trace", "--request", REQUEST],
        vec!["trace", "--request", REQUEST, "-f", "json"],
        vec!["export", "--table", "requests", "-f", "csv"],
        vec!["export", "--table", "requests", "-f", "ndjson"],
        vec!["export", "--table", "signatures", "-f", "csv"],
        vec!["batch"],
        vec!["batch", "-f", "json"],
    ];
    let settings: [&[&str]; 3] = [&[], &["--pseudonyms", key], &["--show-secrets"]];
    for (nth, words) in commands.iter().enumerate() {
        // What is masked hides strings: a third of the commands shows them as they are.
        for more in settings.iter().take(if nth % 3 == 0 { 3 } else { 2 }) {
            let all: Vec<&str> = words.iter().chain(*more).copied().collect();
            let run = postmesh(&all, &[log]);
            assert!(
                run.status != 2 || words[0] == "trace",
                "{all:?} {:?}: {}",
                text,
                run.stderr
            );
            keeps_its_promises(&all, &run.stdout);
            assert_eq!(run.stderr.chars().find(|c| acts(*c)), None, "{all:?}");
        }
    }
    for words in [vec!["diff"], vec!["diff", "-f", "json"]] {
        let run = postmesh(&words, &[other, log]);
        keeps_its_promises(&words, &run.stdout);
        assert_eq!(run.stderr.chars().find(|c| acts(*c)), None, "{words:?}");
    }
}

#[test]
fn hostile_strings_in_logs_stay_text_in_every_command() {
    let keys = Scratch::with("key", "no key for anything but this test");
    let key = keys.path().join("key").display().to_string();
    // All of them in one log would hide behind each other's bounds, and each alone takes long.
    for texts in strings().chunks(22) {
        let scratch = Scratch::new();
        let (mut hostile, mut good) = (Vec::new(), Vec::new());
        for text in texts {
            hostile.extend(log(text, false));
            good.extend(log(text, true));
        }
        let hostile = scratch.write("after/web-7d9c5b8f4-x2k4p.log", hostile);
        let good = scratch.write("before/web-7d9c5b8f4-x2k4p.log", good);
        run_all(&hostile, &good, &key, &texts[0]);
    }
}

#[cfg(unix)]
#[test]
fn hostile_names_of_files_stay_text_and_in_their_folder() {
    use std::os::unix::ffi::OsStrExt as _;
    let keys = Scratch::with("key", "no key for anything but this test");
    let key = keys.path().join("key").display().to_string();
    let scratch = Scratch::new();
    for (nth, text) in strings().iter().enumerate() {
        let name: Vec<u8> = text
            .iter()
            .filter(|byte| !matches!(byte, b'/' | 0))
            .copied()
            .take(120)
            .collect();
        let folder = scratch.path().join("in").join(format!("{nth}"));
        let file = folder.join(std::ffi::OsStr::from_bytes(&[name.as_slice(), b".log"].concat()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(file, log(b"plain", false)).unwrap();
    }
    let input = scratch.path().join("in");
    for words in [
        vec!["analyze"],
        vec!["analyze", "-f", "json"],
        vec!["analyze", "-f", "html"],
        vec!["analyze", "-f", "markdown"],
        vec!["inspect"],
        vec!["inspect", "-f", "json"],
        vec!["analyze", "-f", "json", "--pseudonyms", &key],
    ] {
        let run = postmesh(&words, &[&input]);
        assert_ne!(run.status, 2, "{}", run.stderr);
        keeps_its_promises(&words, &run.stdout);
        assert_eq!(run.stderr.chars().find(|c| acts(*c)), None, "{words:?}");
    }
    let read = postmesh(&["inspect", "-f", "json"], &[&input]).report();
    let files = read["inputs"].as_array().unwrap().len();
    assert!(files > 60);
    let out = scratch.path().join("deep/out");
    let run = postmesh(
        &["redact", "--pseudonyms", &key, "-o", out.to_str().unwrap()],
        &[&input],
    );
    assert_eq!(run.status, 0, "{}", run.stderr);
    let (mut copies, mut folders) = (0, vec![out]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry
                .file_name()
                .into_string()
                .expect("names of copies are UTF-8");
            assert_eq!(name.chars().find(|c| acts(*c) || *c == '\n'), None, "{name:?}");
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                copies += 1;
            }
        }
    }
    assert_eq!(copies, files, "each log has its copy, and below the folder");
    assert_eq!(
        std::fs::read_dir(scratch.path()).unwrap().count(),
        2,
        "nothing beside it"
    );
}
