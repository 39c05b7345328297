//! `docs/coverage.md` against the catalogue, and against the reference document where it is at hand: `POSTMESH_SHARED`
//! names the folder that has `seed/` with its text.

use postmesh::catalog::{Catalog, Cause};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// A row of the table.
struct Row {
    /// As it stands in the page, for messages.
    text: String,
    lines: Vec<RangeInclusive<usize>>,
    /// What the document says.
    says: String,
    covered_by: Vec<String>,
    remark: String,
}

impl Row {
    fn has_line(&self, line: usize) -> bool {
        self.lines.iter().any(|lines| lines.contains(&line))
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The cells of a row of a Markdown table; `\|` is a bar within one.
fn cells(line: &str) -> Vec<String> {
    let kept = line.trim().trim_matches('|').replace("\\|", "\u{0}");
    let cell = |cell: &str| cell.trim().replace('\u{0}', "|");
    kept.split('|').map(cell).collect()
}

fn ranges(cell: &str) -> Option<Vec<RangeInclusive<usize>>> {
    let range = |part: &str| {
        let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    cell.split(',').map(range).collect()
}

/// What stands between backticks.
fn spans(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The rows of all tables that begin with line numbers.
fn rows() -> Vec<Row> {
    let page = std::fs::read_to_string(repository().join("docs/coverage.md")).unwrap();
    let row = |line: &str| {
        let cells = cells(line);
        let [lines, says, covered, remark] = cells.as_slice() else {
            return None;
        };
        Some(Row {
            text: line.to_owned(),
            lines: ranges(lines)?,
            says: says.clone(),
            covered_by: spans(covered),
            remark: remark.clone(),
        })
    };
    page.lines()
        .filter(|line| line.starts_with('|'))
        .filter_map(row)
        .collect()
}

/// The commands of a cause: checks, fixes, and the one that would settle it.
fn commands(cause: &Cause) -> Vec<&str> {
    let fixes = cause.fixes.iter().filter_map(|fix| fix.command.as_deref());
    let settling = cause.overturn.iter().map(|overturn| overturn.command.as_str());
    let checks = cause.checks.iter().map(String::as_str);
    checks.chain(fixes).chain(settling).collect()
}

fn is_covered(catalog: &Catalog, reference: &str) -> bool {
    if reference == "outside" {
        return true;
    }
    let Some((kind, name)) = reference.split_once(':') else {
        return false;
    };
    let (id, text) = name.split_once(' ').unwrap_or((name, ""));
    let cause = catalog.cause(id);
    let of_cause =
        |holds: fn(&Cause, &str) -> bool| !text.is_empty() && cause.is_some_and(|cause| holds(cause, text));
    match kind {
        "step" => matches!(name, "1" | "2" | "3" | "4" | "5"),
        "page" => repository().join(name).is_file(),
        "cause" => text.is_empty() && cause.is_some(),
        "signature" => text.is_empty() && catalog.signature(id).is_some(),
        "threshold" => text.is_empty() && catalog.thresholds.get(id).is_some(),
        "check" => of_cause(|cause, text| commands(cause).iter().any(|command| command.contains(text))),
        "note" => of_cause(|cause, text| cause.notes.iter().any(|note| note.contains(text))),
        "source" => of_cause(|cause, text| cause.documented_in.iter().any(|page| page.contains(text))),
        "yaml" => of_cause(|cause, text| {
            let manifests = cause.fixes.iter().filter_map(|fix| fix.yaml.as_deref());
            manifests.into_iter().any(|yaml| yaml.contains(text))
        }),
        _ => false,
    }
}

#[test]
fn all_that_the_table_names_is_there() {
    let catalog = Catalog::built_in().unwrap();
    let rows = rows();
    assert!(rows.len() > 100, "{} rows", rows.len());
    for row in &rows {
        assert!(!row.covered_by.is_empty(), "nothing covers: {}", row.text);
        for reference in &row.covered_by {
            assert!(
                is_covered(&catalog, reference),
                "`{reference}` is not there: {}",
                row.text
            );
        }
    }
}

#[test]
fn what_is_not_there_is_noticed() {
    let catalog = Catalog::built_in().unwrap();
    for reference in [
        "step:6",
        "cause:no-such-cause",
        "cause:cert-expired certificate",
        "signature:no-such-signature",
        "threshold:no-such-threshold",
        "check:cert-expired kubectl delete secret cacerts",
        "check:cert-expired",
        "note:cert-expired Delete the secret cacerts",
        "yaml:rbac-denied mode: PERMISSIVE",
        "source:rbac-denied no-such-page",
        "page:docs/no-such-page.md",
        "somewhere",
    ] {
        assert!(
            !is_covered(&catalog, reference),
            "`{reference}` counts as covered"
        );
    }
}

/// Every cause of the table's whose fixes weaken protection says so by its risk, in the manifests that the document applies
/// without a warning.
#[test]
fn manifests_that_open_the_mesh_are_marked() {
    let catalog = Catalog::built_in().unwrap();
    let opens = ["mode: PERMISSIVE", "debug-allow-all", "mode: DISABLE"];
    let mut seen = 0;
    for cause in &catalog.causes {
        for fix in &cause.fixes {
            let yaml = fix.yaml.as_deref().unwrap_or_default();
            if opens.iter().any(|text| yaml.contains(text)) {
                seen += 1;
                assert_eq!(fix.risk.name(), "security", "{}: {}", cause.id, fix.text);
            }
        }
        for command in commands(cause) {
            assert!(
                !command.contains("delete secret cacerts"),
                "{}: {command}",
                cause.id
            );
            assert!(
                !command.contains("dataplane-mode=sidecar"),
                "{}: {command}",
                cause.id
            );
            assert!(!command.contains("EXTERNAL_ISTIOD"), "{}: {command}", cause.id);
            assert!(!command.contains("authn tls-check"), "{}: {command}", cause.id);
        }
    }
    assert!(seen >= 3, "only {seen} such manifests");
}

/// Lines of the document up to the end of its links, or none, with a word on standard error.
#[expect(
    clippy::disallowed_methods,
    reason = "where the document lies is for who runs the tests to say"
)]
fn document() -> Option<Vec<String>> {
    let Some(shared) = std::env::var_os("POSTMESH_SHARED") else {
        eprintln!("skipped: POSTMESH_SHARED names no folder with seed/");
        return None;
    };
    let folder = PathBuf::from(shared).join("seed");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: there is no {}", folder.display());
        return None;
    };
    let mut texts: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    texts.sort();
    let text = std::fs::read_to_string(texts.first()?).unwrap();
    let part = text.lines().take_while(|line| !line.starts_with("Related Tools"));
    Some(part.map(|line| line.replace('\u{a0}', " ")).collect())
}

/// The command of a line, without what explains it.
fn command(line: &str) -> Option<&str> {
    let starts = ["kubectl ", "istioctl ", "NODE="];
    let at = starts.iter().filter_map(|start| line.find(start)).min()?;
    let command = line.get(at..)?;
    Some(command.split("  #").next().unwrap_or(command).trim())
}

/// Numbers that stand by themselves (`503`, `2` in `2-3`), and not within a name (`v1beta1`, `IST0101` by its letters).
fn numbers(line: &str) -> Vec<&str> {
    let word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphabetic);
    let bytes = line.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let end = (at..bytes.len())
            .find(|&end| !bytes[end].is_ascii_digit())
            .unwrap_or(bytes.len());
        if end > at && !word(at.checked_sub(1).and_then(|before| bytes.get(before))) {
            found.extend(line.get(at..end));
        }
        at = end.max(at + 1);
    }
    found
}

#[test]
fn numbers_are_found() {
    assert_eq!(
        numbers("• 2-3 minutes, 200MB, 100% at v1beta1 (L7) 0.5"),
        ["2", "3", "200", "100", "0", "5"]
    );
    assert_eq!(
        command("  1. Logs: kubectl logs $POD  # the last"),
        Some("kubectl logs $POD")
    );
    assert_eq!(command("Root Causes:"), None);
}

#[test]
fn every_line_of_the_document_is_in_one_row() {
    let Some(document) = document() else {
        return;
    };
    let rows = rows();
    let mut missing = BTreeMap::new();
    for (index, line) in document.iter().enumerate() {
        let number = index + 1;
        if line.trim().is_empty() {
            continue;
        }
        let count = rows.iter().filter(|row| row.has_line(number)).count();
        if count != 1 {
            missing.insert(number, format!("{count} rows: {line}"));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(document.len() > 300, "only {} lines", document.len());
}

#[test]
fn commands_messages_and_numbers_of_the_document_are_in_their_row() {
    let Some(document) = document() else {
        return;
    };
    let rows = rows();
    let links = document
        .iter()
        .position(|line| line.starts_with("Useful Links"))
        .unwrap();
    let mut missing = Vec::new();
    let mut commands = 0;
    for (index, line) in document.iter().enumerate() {
        let number = index + 1;
        let Some(row) = rows.iter().find(|row| row.has_line(number)) else {
            continue;
        };
        let mut asked: Vec<String> = Vec::new();
        if let Some(command) = command(line).filter(|_| index < links) {
            commands += 1;
            asked.push(format!("`{command}`"));
        } else if line.starts_with('"') {
            asked.push(format!("`{}`", line.trim()));
        } else if !line.contains(": \"") {
            asked.extend(numbers(line).into_iter().map(str::to_owned));
        }
        // What stands in quotes after a word is a message; hosts of a manifest begin with a hyphen.
        if let Some((_, quoted)) = line.split_once(": \"") {
            asked.push(format!("`\"{}`", quoted.trim()));
        }
        for text in asked {
            if !row.says.contains(&text) {
                missing.push(format!("line {number}: {text} is not in: {}", row.text));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(commands > 40, "only {commands} commands");
}

/// Log patterns of step 4 stand in code spans as they are, each with a signature of its own.
#[test]
fn log_patterns_have_signatures() {
    let Some(document) = document() else {
        return;
    };
    let first = document
        .iter()
        .position(|line| line.contains("Critical Log Patterns"))
        .unwrap();
    let mut seen = 0;
    for (index, line) in document.iter().enumerate().skip(first + 1).take(6) {
        let Some((pattern, _)) = line.trim().trim_start_matches('•').split_once(':') else {
            continue;
        };
        seen += 1;
        let row = rows().into_iter().find(|row| row.has_line(index + 1)).unwrap();
        assert!(row.says.contains(&format!("`{}`", pattern.trim())), "{pattern}");
        let signature = row
            .covered_by
            .iter()
            .any(|reference| reference.starts_with("signature:"));
        assert!(signature, "{pattern} has no signature: {}", row.text);
        assert!(!row.remark.is_empty(), "{pattern}: nothing is said of it");
    }
    assert_eq!(seen, 4);
}
