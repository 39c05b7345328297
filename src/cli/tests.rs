//! Whole runs in memory, with reports made by hand in place of the engine's.

use super::args::When;
use super::run_in;
use super::session::{Engine, Session, Surroundings};
use crate::Error;
use crate::report::escape::acts;
use crate::report::fixtures;
use crate::report::model::InputProblem;
use std::io::Write;
use std::path::Path;

/// Neither stream is a terminal, and the environment says nothing.
const PIPE: Surroundings = Surroundings {
    out_is_terminal: false,
    err_is_terminal: false,
    columns: None,
    color: When::Auto,
};

struct Ran {
    status: u8,
    out: String,
    err: String,
}

fn ran_with(engine: Engine, surroundings: Surroundings, args: &[&str]) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut session = Session::new(&mut out, &mut err, surroundings, engine);
    let words = std::iter::once("postmesh")
        .chain(args.iter().copied())
        .map(Into::into);
    let status = run_in(words, &mut session).code();
    Ran {
        status,
        out: String::from_utf8(out).unwrap(),
        err: String::from_utf8(err).unwrap(),
    }
}

fn ran(args: &[&str]) -> Ran {
    ran_with(|_, _| Ok(fixtures::refused()), PIPE, args)
}

#[test]
fn a_path_alone_is_a_whole_command() {
    let bare = ran(&["--no-run-info", "incident/"]);
    assert_eq!((bare.status, bare.err.lines().count()), (1, 1), "{}", bare.err);
    assert!(bare.out.starts_with("postmesh 0.1.0  4 inputs") && bare.out.contains(" CRITICAL "));
    assert_eq!(bare.out, ran(&["analyze", "--no-run-info", "incident/"]).out);
}

#[test]
fn the_name_of_a_command_wins_and_a_path_can_say_so() {
    assert!(ran(&["schema"]).out.starts_with('{'));
    assert!(ran(&["./schema"]).out.starts_with("postmesh 0.1.0"));
    assert!(ran(&["inspect", "analyze"]).out.starts_with("4 inputs"));
}

#[test]
fn no_arguments_is_a_call_for_help() {
    let ran = ran(&[]);
    assert_eq!((ran.status, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("Usage: postmesh"), "{}", ran.err);
}

#[test]
fn help_is_an_answer_and_knows_the_statuses() {
    let long = ran(&["--help"]);
    assert_eq!((long.status, long.err.as_str()), (0, ""));
    for part in [
        "Exit status:",
        "postmesh inspect incident/",
        "--since",
        "[default: one for each core]",
    ] {
        assert!(long.out.contains(part), "{part} in {}", long.out);
    }
    assert!(!long.out.contains("block-size"), "for tests alone");
    assert!(ran(&["-h"]).out.lines().count() <= 62);
    assert!(ran(&["-V"]).out.starts_with("postmesh "));
}

#[test]
fn usage_errors_end_with_2_and_say_what_to_do() {
    for (args, hint) in [
        (
            &["-o", "json", "x"][..],
            "`-o` names a file; for json on standard output use `-f json`",
        ),
        (&["-o", "report.pdf", "x"], ".html, .md, .json or .txt"),
        (
            &["-f", "yaml", "x"],
            "possible values: text, json, markdown, html",
        ),
        (&["--since", "yesterday", "x"], "expected 2026-11-02T03:00:00Z"),
        (&["-j", "0", "x"], "1..=1024"),
        (&["--frobnicate", "x"], "unexpected argument"),
        (&["-S", "03:10", "-U", "03:00", "x"], "--until: is before --since"),
        (&["-o", "/nowhere/at/all.json", "x"], "its folder does not exist"),
        (&["signatures", "show", "no-such"], "see postmesh signatures list"),
        (
            &["signatures", "list", "--signatures", "/nowhere.toml"],
            "/nowhere.toml",
        ),
        (&["inspect"], "<PATH>"),
    ] {
        let ran = ran(args);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{args:?}");
        assert!(ran.err.contains(hint), "{args:?}: {}", ran.err);
    }
}

#[test]
fn the_engine_sees_what_was_typed() {
    let engine: Engine = |options, _| {
        assert_eq!(options.paths, [Path::new("a"), Path::new("-")]);
        assert_eq!(
            (options.threads, options.block_bytes, options.examples),
            (3, 64, 2)
        );
        assert_eq!(
            (options.namespaces.as_slice(), options.pods.len()),
            (&["prod".to_owned()][..], 2)
        );
        assert!(options.since.is_some() && options.until.is_none());
        Ok(fixtures::healthy())
    };
    let args = [
        "-S",
        "03:00",
        "-n",
        "prod",
        "--pod",
        "x",
        "--pod",
        "y",
        "-j3",
        "--block-size",
        "64",
        "--examples",
    ];
    let ran = ran_with(engine, PIPE, &[&args[..], &["2", "a", "-"]].concat());
    assert_eq!(ran.status, 0, "{}", ran.err);
}

#[test]
fn statuses_follow_the_report() {
    for (engine, status, zeroed) in [
        ((|_, _| Ok(fixtures::refused())) as Engine, 1, 0),
        (|_, _| Ok(fixtures::healthy()), 0, 0),
        (|_, _| Ok(fixtures::symptoms_only()), 3, 0),
        (|_, _| Ok(fixtures::not_enough()), 3, 0),
        (|_, _| Err(Error::NothingRead("x: no such file".into())), 2, 2),
    ] {
        assert_eq!(ran_with(engine, PIPE, &["x"]).status, status);
        assert_eq!(ran_with(engine, PIPE, &["--exit-zero", "x"]).status, zeroed);
    }
}

#[test]
fn errors_are_one_line_with_a_remedy() {
    let engine: Engine = |_, _| Err(Error::NothingRead("in\u{1b}[2Jcident: no such file".into()));
    let ran = ran_with(engine, PIPE, &["x"]);
    assert_eq!(
        ran.err,
        "postmesh: nothing could be read: in\\x1b[2Jcident: no such file; name the files or folders that hold \
         istio-proxy logs, or - for standard input\n"
    );
}

#[test]
fn problems_are_warned_of_one_line_each_up_to_a_limit() {
    let engine: Engine = |_, _| {
        let mut report = fixtures::refused();
        let problem = |i| InputProblem {
            offset_bytes: i,
            line: Some(i),
            frame: None,
            what: "\u{1b}x".into(),
        };
        report.inputs[0].problems = (0..30).map(problem).collect();
        Ok(report)
    };
    let ran = ran_with(engine, PIPE, &["x"]);
    let lines: Vec<_> = ran.err.lines().collect();
    assert_eq!(lines.len(), 21);
    assert_eq!(
        lines[0],
        "postmesh: warning: prod_details-v1-698d88b/istio-proxy.log: line 0, byte 0: \\x1bx"
    );
    assert_eq!(
        lines[20],
        "postmesh: warning: 11 more problems, all of them in the JSON report"
    );
    assert_eq!(ran_with(engine, PIPE, &["-q", "x"]).err, "");
}

#[test]
fn an_input_that_was_not_opened_is_named_without_an_offset() {
    let ran = ran_with(|_, _| Ok(fixtures::not_enough()), PIPE, &["x"]);
    assert!(
        ran.err
            .starts_with("postmesh: warning: core.1.gz: cannot be opened"),
        "{}",
        ran.err
    );
}

#[test]
fn files_by_extension_beside_the_text_unless_quiet() {
    let folder = tempfile::tempdir().unwrap();
    let name = |file: &str| folder.path().join(file).to_str().unwrap().to_owned();
    let (json, txt) = (name("r.json"), name("r.txt"));
    let both = ran(&["-o", &json, "-o", &txt, "x"]);
    assert!(both.out.contains(" CRITICAL "));
    let data: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(data["schema"], "postmesh.report/1");
    assert!(data["run"]["threads"].as_u64().unwrap() > 0);
    assert!(std::fs::read_to_string(&txt).unwrap().contains(" CRITICAL "));
    let quiet = ran(&["-q", "-o", &json, "x"]);
    assert_eq!((quiet.status, quiet.out.as_str()), (1, ""));
    let asked = ran(&["-q", "-f", "json", "x"]);
    assert!(asked.out.starts_with("{\n"), "what was asked for is printed");
}

#[test]
fn json_has_no_run_when_it_shall_not() {
    let with = ran(&["-f", "json", "x"]);
    let without = ran(&["-f", "json", "--no-run-info", "x"]);
    let value = |ran: &Ran| serde_json::from_str::<serde_json::Value>(&ran.out).unwrap();
    assert!(value(&with)["run"].is_object());
    assert!(value(&without).get("run").is_none());
    assert!(!without.out.chars().any(|c| c != '\n' && acts(c)));
}

#[test]
fn colour_is_for_terminals_and_for_those_who_ask() {
    let terminal = Surroundings {
        out_is_terminal: true,
        columns: Some(200),
        ..PIPE
    };
    let no_color = Surroundings {
        color: When::Never,
        ..terminal
    };
    let forced = Surroundings {
        color: When::Always,
        ..PIPE
    };
    for (surroundings, args, painted) in [
        (PIPE, &["x"][..], false),
        (terminal, &["x"], true),
        (terminal, &["--color", "never", "x"], false),
        (no_color, &["x"], false),
        (no_color, &["--color", "always", "x"], true),
        (forced, &["x"], true),
    ] {
        let ran = ran_with(|_, _| Ok(fixtures::refused()), surroundings, args);
        assert_eq!(ran.out.contains('\u{1b}'), painted, "{surroundings:?} {args:?}");
    }
}

#[test]
fn the_page_is_as_wide_as_the_terminal_up_to_a_limit() {
    let widest = |columns, args: &[&str]| {
        let surroundings = Surroundings {
            out_is_terminal: columns > 0,
            columns: Some(columns),
            color: When::Never,
            ..PIPE
        };
        let ran = ran_with(|_, _| Ok(fixtures::refused()), surroundings, args);
        ran.out
            .lines()
            .map(unicode_width::UnicodeWidthStr::width)
            .max()
            .unwrap()
    };
    assert_eq!(
        [0, 100, 160, 250].map(|columns| widest(columns, &["x"])),
        [80, 100, 160, 160]
    );
    assert_eq!(widest(250, &["--width", "120", "x"]), 120);
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let run = |out: &mut dyn Write, words: &[&str]| {
        let mut err = Vec::new();
        let mut session = Session::new(out, &mut err, PIPE, |_, _| Ok(fixtures::healthy()));
        let status = run_in(words.iter().map(Into::into), &mut session).code();
        (status, String::from_utf8(err).unwrap())
    };
    for words in [
        &["postmesh", "x"][..],
        &["postmesh", "-f", "json", "x"],
        &["postmesh", "schema"],
    ] {
        assert_eq!(run(&mut Closed, words), (0, String::new()));
        assert_eq!(run(&mut Full, words).0, 2);
    }
}

#[test]
fn inspect_lists_inputs_as_text_and_as_data() {
    let text = ran(&["inspect", "x"]);
    assert_eq!(text.status, 0, "damage inside an input is no failure");
    assert!(text.out.contains("istio-text") && text.out.contains("not understood"));
    let json = ran(&["inspect", "-f", "json", "x"]);
    let value: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        (&value["schema"], value["inputs"].as_array().unwrap().len()),
        (&"postmesh.inspect/1".into(), 4)
    );
    assert!(value.get("findings").is_none());
    let unopened = ran_with(|_, _| Ok(fixtures::not_enough()), PIPE, &["inspect", "x"]);
    assert_eq!(unopened.status, 3);
}

#[test]
fn the_catalogue_can_be_listed_shown_and_tested() {
    let list = ran(&["signatures", "list"]);
    assert_eq!(list.status, 0, "{}", list.err);
    let id = list
        .out
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
    let show = ran(&["signatures", "show", &id]);
    assert!(
        show.out.starts_with(&id) && show.out.contains("looks for"),
        "{}",
        show.out
    );
    let test = ran(&["signatures", "test"]);
    assert_eq!((test.status, test.err.as_str()), (0, ""));
    assert!(test.out.ends_with("0 examples failed\n"), "{}", test.out);
}

#[test]
fn a_signature_that_misses_its_example_fails_the_test() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    let entry = "schema = 1\n[[signature]]\nid = \"mine\"\ntitle = \"mine\"\nsource = \"envoy\"\nseverity = \"info\"\n\
                 literals = [\"something\"]\ndocumented_in = \"here\"\nmatches = [\"nothing\"]\nrejects = [\"other\"]\n";
    std::fs::write(&file, entry).unwrap();
    let ran = ran(&["signatures", "test", "--signatures", file.to_str().unwrap()]);
    assert_eq!(ran.status, 1, "{}", ran.err);
    assert_eq!(ran.err, "postmesh: mine: must match but does not: nothing\n");
}

#[test]
fn generated_texts_name_the_program() {
    for (args, part) in [
        (&["completions", "bash"][..], "_postmesh()"),
        (&["completions", "zsh"], "#compdef postmesh"),
        (&["completions", "fish"], "complete -c postmesh"),
        (&["man"], ".TH postmesh 1"),
        (&["schema"], "\"title\": \"Report\""),
    ] {
        let ran = ran(args);
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{args:?}");
        assert!(ran.out.contains(part), "{part} of {args:?}");
    }
}

#[test]
fn a_page_and_a_ticket_are_formats_of_standard_output() {
    let page = ran(&["-f", "html", "-q", "incident/"]);
    assert_eq!((page.status, page.err.as_str()), (1, ""));
    assert!(page.out.starts_with("<!doctype html>") && page.out.ends_with("</html>\n"));
    let ticket = ran(&["-f", "markdown", "-q", "incident/"]);
    assert!(ticket.out.starts_with("# postmesh: "), "{}", ticket.out);
    // Other commands have no such form.
    assert_eq!(ran(&["inspect", "-f", "html", "incident/"]).status, 2);
}

#[test]
fn tables_are_exported_as_rows() {
    let rows = ran(&["export", "incident/", "-q", "--table", "signatures"]);
    assert_eq!((rows.status, rows.err.as_str()), (0, ""));
    assert!(rows.out.lines().count() > 1 && rows.out.lines().all(|line| line.starts_with('{')));
    let table = ran(&["export", "incident/", "-q", "--table", "requests", "-f", "csv"]);
    assert!(
        table.out.starts_with("by,name,reporter,requests,"),
        "{}",
        table.out
    );
    assert_eq!(ran(&["export", "incident/"]).status, 2, "no table is named");
}

#[test]
fn a_broken_folder_is_a_line_of_a_batch() {
    fn engine(options: &crate::Options, _: &dyn crate::progress::Progress) -> Result<crate::Report, Error> {
        match options.paths[0].to_str() {
            Some("broken") => Err(Error::NothingRead("no files were found".into())),
            Some("healthy") => Ok(fixtures::healthy()),
            _ => Ok(fixtures::refused()),
        }
    }
    let batch = |args: &[&str]| ran_with(engine, PIPE, &[&["batch", "--width", "160"], args].concat());
    let all = batch(&["one", "broken", "healthy", "two"]);
    assert_eq!(all.status, 1);
    let lines: Vec<&str> = all.out.lines().collect();
    for (line, parts) in lines[1..5].iter().zip([
        ["one", "CRITICAL", "upstream-connection-refused", "03:02:11"],
        ["broken", "UNREADABLE", "no files were found", ""],
        ["healthy", "HEALTHY", "", ""],
        ["two", "CRITICAL", "ratings:9080", "18,204"],
    ]) {
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    }
    assert!(
        all.out.contains("upstream-connection-refused: 2 incidents"),
        "{}",
        all.out
    );
    assert_eq!(batch(&["healthy"]).status, 0);
    assert_eq!(batch(&["healthy", "broken"]).status, 3);
    assert_eq!(batch(&["broken"]).status, 2);
    let data = batch(&["one", "broken", "-q", "-f", "json"]);
    let data: serde_json::Value = serde_json::from_str(&data.out).unwrap();
    assert_eq!(data["incidents"][0]["cause"], "upstream-connection-refused");
    assert!(
        data["incidents"][1]["error"]
            .as_str()
            .unwrap()
            .contains("no files")
    );
}
