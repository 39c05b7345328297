//! Tests of the built-in data and of laying the user's files over it.

use super::*;
use std::io::Write;
use tempfile::NamedTempFile;

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".toml").unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn with_signatures(text: &str) -> Result<Catalog, Error> {
    load(&[file(text).path().to_owned()], &[])
}

fn with_causes(text: &str) -> Result<Catalog, Error> {
    load(&[], &[file(text).path().to_owned()])
}

/// Line, column and message of the mistake.
fn mistake(result: Result<Catalog, Error>) -> (usize, usize, String) {
    match result {
        Err(Error::Catalog {
            line,
            column,
            message,
            ..
        }) => (line, column, message),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("accepted"),
    }
}

const ENTRY: &str = r#"
[[signature]]
id = "my-signature"
title = "seen"
source = "app"
severity = "warning"
literals = ["out of cheese"]
documented_in = "runbook"
"#;

const CAUSE: &str = r#"
[[cause]]
id = "my-cause"
title = "{destination} is out of cheese"
summary = "Buy some."
severity = "info"
step = 4
"#;

#[test]
fn built_in_lists_are_sorted_as_they_stand() {
    let signatures: SignatureFile = toml::from_str(SIGNATURES.toml).unwrap();
    assert!(
        signatures.signature.is_sorted_by(|a, b| a.id < b.id),
        "data/signatures.toml"
    );
    let causes: CauseFile = toml::from_str(CAUSES.toml).unwrap();
    assert!(causes.cause.is_sorted_by(|a, b| a.id < b.id), "data/causes.toml");
    let flags: FlagFile = toml::from_str(FLAGS.toml).unwrap();
    assert!(flags.flag.is_sorted_by(|a, b| a.name < b.name), "data/flags.toml");
    let thresholds: ThresholdFile = toml::from_str(THRESHOLDS.toml).unwrap();
    assert!(
        thresholds.threshold.is_sorted_by(|a, b| a.id < b.id),
        "data/thresholds.toml"
    );
}

#[test]
fn entries_are_found_by_id() {
    let catalog = Catalog::built_in().unwrap();
    for signature in &catalog.signatures {
        assert_eq!(
            catalog.signature(&signature.id).map(|it| &it.title),
            Some(&signature.title)
        );
    }
    for cause in &catalog.causes {
        assert_eq!(catalog.cause(&cause.id).map(|it| &it.title), Some(&cause.title));
    }
    for threshold in catalog.thresholds.iter() {
        assert_eq!(catalog.thresholds.get(&threshold.id), Some(threshold));
    }
    assert!(catalog.signature("no-such-id").is_none() && catalog.cause("").is_none());
    assert!(!catalog.version.is_empty());
}

#[test]
fn user_entries_are_added_or_replace() {
    let built_in = Catalog::built_in().unwrap();
    let added = with_signatures(ENTRY).unwrap();
    assert_eq!(added.signatures.len(), built_in.signatures.len() + 1);
    assert_eq!(
        added.signature("my-signature").unwrap().literals,
        ["out of cheese"]
    );
    assert_eq!(added.user_files.len(), 1);

    let first = &built_in.signatures[0].id;
    let replaced = with_signatures(&ENTRY.replace("my-signature", first)).unwrap();
    assert_eq!(replaced.signatures.len(), built_in.signatures.len());
    assert_eq!(replaced.signature(first).unwrap().title, "seen");
}

#[test]
fn later_files_win() {
    let (one, two) = (file(ENTRY), file(&ENTRY.replace("seen", "seen later")));
    let paths = [one.path().to_owned(), two.path().to_owned()];
    assert_eq!(
        load(&paths, &[])
            .unwrap()
            .signature("my-signature")
            .unwrap()
            .title,
        "seen later"
    );
}

#[test]
fn user_signatures_may_point_to_user_causes() {
    let (signatures, causes) = (file(&format!("{ENTRY}cause = \"my-cause\"\n")), file(CAUSE));
    let catalog = load(&[signatures.path().to_owned()], &[causes.path().to_owned()]).unwrap();
    assert_eq!(
        catalog.signature("my-signature").unwrap().cause.as_deref(),
        Some("my-cause")
    );
    assert!(catalog.cause("my-cause").is_some());
}

#[test]
fn mistakes_in_signatures_have_their_place() {
    let cases = [
        ("[[signature]]\nid = \n", (2, 6), "string"),
        ("[[signature]]\ncolour = \"red\"\n", (2, 1), "colour"),
        ("[[signature]]\nid = 7\n", (2, 6), "string"),
        (&ENTRY.replace("\"app\"", "\"ap\""), (5, 10), "`app`"),
        (
            &ENTRY.replace("my-signature", "My_Signature"),
            (3, 6),
            "lower-case",
        ),
        (
            &ENTRY.replace("[\"out of cheese\"]", "[]"),
            (7, 12),
            "at least one",
        ),
        (
            &ENTRY.replace("[\"out of cheese\"]", "[\"fine\", \"no\"]"),
            (7, 21),
            "at least 3 bytes",
        ),
        (&ENTRY.replace("\"seen\"", "\" \""), (4, 9), "empty"),
        (&format!("{ENTRY}cause = \"nobody\"\n"), (9, 9), "\"nobody\""),
        (&format!("{ENTRY}also = [\"x\", \"\"]\n"), (9, 14), "every line"),
        (&format!("{ENTRY}field = \"cluster\"\n"), (9, 9), "access-log"),
        (&format!("{ENTRY}levels = [\"debug\"]\n"), (9, 10), "no level"),
        (&format!("{ENTRY}{ENTRY}"), (11, 6), "twice"),
        (&format!("schema = 2\n{ENTRY}"), (1, 10), "layout 2"),
    ];
    for (text, place, word) in cases {
        let (line, column, message) = mistake(with_signatures(text));
        assert_eq!((line, column), place, "{message}\n{text}");
        assert!(message.contains(word), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn mistakes_in_causes_have_their_place() {
    let look_alike = "[[cause.look_alikes]]\ncause = \"nobody\"\ndiffers = \"by name\"\n";
    let fix = "[[cause.fixes]]\ntext = \"x\"\ncommand = \"kubectl get {pod}\"\nrisk = \"safe\"\n";
    let cases = [
        (CAUSE.replace("step = 4", "step = 6"), (7, 8), "steps 1 to 5"),
        (CAUSE.replace("{destination}", "{dest}"), (4, 9), "{dest}"),
        (format!("{CAUSE}{look_alike}"), (9, 9), "\"nobody\""),
        (
            format!("{CAUSE}{}", look_alike.replace("nobody", "my-cause")),
            (9, 9),
            "itself",
        ),
        (format!("{CAUSE}{fix}"), (10, 11), "{pod}"),
        (format!("{CAUSE}checks = [\"a\", \"{{b}}\"]\n"), (8, 16), "{b}"),
        (
            format!("{CAUSE}checks = [\"sh -c 'nc {{host}}'\"]\n"),
            (8, 11),
            "inside quotes",
        ),
        (CAUSE.replace("\"info\"", "\"error\""), (6, 12), "`critical`"),
    ];
    for (text, place, word) in cases {
        let (line, column, message) = mistake(with_causes(&text));
        assert_eq!((line, column), place, "{message}\n{text}");
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = load(&[PathBuf::from("no/such/file.toml")], &[]).unwrap_err();
    assert!(error.to_string().starts_with("no/such/file.toml: "), "{error}");
}

#[test]
fn built_in_causes_are_complete() {
    for cause in &Catalog::built_in().unwrap().causes {
        let parts = [
            ("look_alikes", cause.look_alikes.len()),
            ("checks", cause.checks.len()),
            ("fixes", cause.fixes.len()),
            ("notes", cause.notes.len()),
            ("documented_in", cause.documented_in.len()),
            ("overturn", usize::from(cause.overturn.is_some())),
        ];
        for (part, count) in parts {
            assert!(count > 0, "{}: no {part}", cause.id);
        }
        assert!(
            cause.title.len() <= 80,
            "{}: title of {} bytes",
            cause.id,
            cause.title.len()
        );
    }
}

#[test]
fn commands_that_are_wrong_today_are_never_offered() {
    let wrong = [
        "authn tls-check",
        "delete secret cacerts",
        "remote-cluster.local",
        "dataplane-mode=sidecar",
        "EXTERNAL_ISTIOD",
        "istio.io-waypoint",
        "lsof",
        "/proxy/stats/prometheus",
        "nslookup",
        "get endpoints ",
    ];
    for cause in &Catalog::built_in().unwrap().causes {
        let fixes = cause.fixes.iter().filter_map(|fix| fix.command.as_ref());
        let overturn = cause.overturn.iter().map(|overturn| &overturn.command);
        for command in cause.checks.iter().chain(fixes).chain(overturn) {
            for text in wrong {
                assert!(!command.contains(text), "{}: {command}", cause.id);
            }
            // `kubectl logs` has no such option.
            let mut parts = command.split('|').filter(|part| part.contains("kubectl logs"));
            assert!(
                parts.all(|part| !part.contains("--field-selector")),
                "{}: {command}",
                cause.id
            );
        }
    }
}

#[test]
fn filled_causes_quote_hostile_names_in_commands_alone() {
    let catalog = Catalog::built_in().unwrap();
    let hostile = "x'; reboot #".to_owned();
    let names = crate::catalog::Placeholders {
        destination: hostile.as_str().into(),
        workload: format!("deployment/{hostile}").as_str().into(),
        namespace: "default".into(),
        ..Default::default()
    };
    let filled = catalog.cause("cert-expired").unwrap().filled(&names);
    assert_eq!(filled.title, format!("the certificate of {hostile} has expired"));
    let restart = filled.fixes[0].command.as_deref().unwrap();
    assert_eq!(
        restart,
        r"kubectl rollout restart 'deployment/x'\''; reboot #' -n default"
    );
    assert!(
        filled.checks[0].contains("<destination-pod> -n default"),
        "{}",
        filled.checks[0]
    );
}
