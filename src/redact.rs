//! Copies of logs that may be passed on: secrets masked, names and addresses replaced, everything else as it was.
//!
//! In: [`Source`]s and [`Pseudonyms`]. Out: a folder with the logs at paths that say the same of whose they are. Logs are
//! read twice, first to learn what they name, then line by line to be written; memory does not depend on their size. A
//! copy has as many lines as its log, in the same order. Captures, archives as such and what is no text are not copied,
//! and each is named with the reason.

use crate::Error;
use crate::decode::log::{Content as LineContent, Layouts, LogDecoder};
use crate::input::{BlockReader, Source, SourceKind};
use crate::report::privacy::pseudonyms::{Care, Pseudonyms};
use crate::report::privacy::secrets::{KeyLines, Secrets};
use crate::report::privacy::texts::Content;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Component, Path, PathBuf};

/// Bytes of a block.
const BLOCK_BYTES: usize = 256 << 10;

/// Endings of what is written decompressed.
const COMPRESSED: &[&str] = &[".gz", ".zst", ".zstd", ".tgz"];

/// Endings of archives.
const ARCHIVES: &[&str] = &[".tar.gz", ".tar.zst", ".tgz", ".tar", ".zip"];

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redacted {
    /// Copies, below the folder.
    pub written: Vec<PathBuf>,
    /// Lines in them.
    pub lines: u64,
    /// Inputs without a copy, and why.
    pub left_out: Vec<(String, String)>,
    /// Copies that are not whole, and why.
    pub damaged: Vec<(String, String)>,
}

/// Writes copies of the logs among `sources` into `folder`, which must be there.
///
/// # Errors
/// A file that cannot be written; more names than can be remembered, since some would be left as they are.
pub fn redact(
    sources: &[Source],
    layouts: &Layouts,
    names: &mut Pseudonyms,
    folder: &Path,
) -> Result<Redacted, Error> {
    for source in sources {
        learn(source, layouts, names);
    }
    if names.left_out > 0 {
        return Err(Error::Option {
            option: "PATH",
            message: format!(
                "these logs hold {} names more than can be remembered: give fewer of them at a time",
                names.left_out
            ),
        });
    }
    let secrets = Secrets::built_in()?;
    let mut redacted = Redacted::default();
    let mut taken = BTreeSet::new();
    for source in sources {
        let reader = match open(source, layouts) {
            Ok(reader) => reader,
            Err(why) => {
                redacted.left_out.push((source.display_path.clone(), why));
                continue;
            }
        };
        let below = place(&source.display_path, names, &mut taken);
        let path = folder.join(&below);
        let copied = parent(&path)
            .and_then(|()| File::create_new(&path))
            .and_then(|file| {
                copy(
                    reader,
                    layouts,
                    &secrets,
                    names,
                    &mut BufWriter::new(file),
                    &mut redacted,
                    source,
                )
            });
        copied.map_err(|source| Error::File { path, source })?;
        redacted.written.push(below);
    }
    Ok(redacted)
}

fn parent(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)
}

/// The lines of a source, or why it has none that could be copied.
fn open(source: &Source, layouts: &Layouts) -> Result<BlockReader, String> {
    if source.listing.is_some() {
        return Err("an archive: copies of its members stand by themselves".to_owned());
    }
    let reader = BlockReader::open(source, &crate::pipeline::read_options(BLOCK_BYTES, layouts))
        .map_err(|error| error.to_string())?;
    match reader.kind() {
        SourceKind::Text => Ok(reader),
        SourceKind::Capture => Err("a packet capture: packets are not redacted".to_owned()),
        SourceKind::Archive(_) => Err("an archive within archives that are not opened".to_owned()),
        SourceKind::Empty => Err("is empty".to_owned()),
        SourceKind::Binary => Err("is no text".to_owned()),
    }
}

fn learn(source: &Source, layouts: &Layouts, names: &mut Pseudonyms) {
    let identity = &source.identity;
    for name in [
        &identity.pod,
        &identity.namespace,
        &identity.node,
        &identity.container,
    ]
    .into_iter()
    .flatten()
    {
        names.learn(Content::Name, name.as_bytes());
    }
    let Ok(mut reader) = open(source, layouts) else {
        return;
    };
    let mut decoder = LogDecoder::with_layouts(layouts);
    let mut buffer = Vec::new();
    let columns = columns(reader.head());
    while let Some(block) = reader.next_block(std::mem::take(&mut buffer)) {
        decoder.decode_block(&block.data, &mut |at, line| {
            let wrapping = &line.wrapping;
            let named = [wrapping.pod, wrapping.namespace, wrapping.container];
            for name in named.into_iter().flatten() {
                names.learn(Content::Name, name);
            }
            if let LineContent::Access(row) = &line.content {
                names.learn_row(row);
                if wrapping.pod.is_some() {
                    // Nodes and labels stand beside it.
                    learn_values(at.text, names);
                }
            } else {
                names.learn_line(at.text);
                learn_values(at.text, names);
                for column in &columns {
                    learn_cell(at.text, *column, names);
                }
            }
        });
        buffer = block.data;
    }
}

/// Headers of columns that hold names, in what kubectl and istioctl print.
const COLUMNS: &[&[u8]] = &[
    b"NAME",
    b"NAMESPACE",
    b"NODE",
    b"POD",
    b"OBJECT",
    b"SERVICE",
    b"WORKLOAD",
];

/// Keys whose values are names, in manifests and in logs of lines of JSON, in lower case.
const KEYS: &[&[u8]] = &[
    b"app",
    b"host",
    b"hostname",
    b"name",
    b"namespace",
    b"namespace_name",
    b"node",
    b"node_name",
    b"nodename",
    b"pod",
    b"pod_name",
    b"pod_namespace",
    b"pod_node_name",
    b"podname",
    b"service",
    b"serviceaccount",
    b"serviceaccountname",
    b"servicename",
    b"workload",
];

/// Where columns of names begin, if the text begins with the header of a table.
fn columns(head: &[u8]) -> Vec<usize> {
    let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let header =
        |byte: &u8| byte.is_ascii_uppercase() || matches!(byte, b' ' | b'-' | b'(' | b')' | b'/' | b'\r');
    if !first.iter().all(header) {
        return Vec::new();
    }
    let mut columns = Vec::new();
    let mut at: usize = 0;
    for word in first.split(|byte| *byte == b' ') {
        if COLUMNS.contains(&word.trim_ascii_end()) {
            columns.push(at);
        }
        at = at.saturating_add(word.len()).saturating_add(1);
    }
    columns
}

fn learn_cell(line: &[u8], column: usize, names: &mut Pseudonyms) {
    let cell = line.get(column..).unwrap_or_default();
    let cell = cell.split(|byte| *byte == b' ').next().unwrap_or_default();
    // An object is written with its kind before it.
    let name = cell.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    // The header itself is in capitals, and no name is.
    if name.iter().any(u8::is_ascii_lowercase) {
        names.learn(Content::Name, name);
    }
}

/// Learns values whose keys say that they are names: `name: web`, `"pod":"web-0"`, `namespace=shop`.
fn learn_values(line: &[u8], names: &mut Pseudonyms) {
    let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let around = |byte: &u8| matches!(byte, b'"' | b'\'' | b' ' | b'\\');
    for at in memchr::memchr2_iter(b':', b'=', line) {
        let Some((before, value)) = line.split_at_checked(at) else {
            continue;
        };
        let quotes = before
            .iter()
            .rev()
            .take(2)
            .take_while(|byte| around(byte))
            .count();
        let before = before
            .get(..before.len().saturating_sub(quotes))
            .unwrap_or_default();
        let length = before
            .iter()
            .rev()
            .take(32)
            .take_while(|byte| is_key(byte))
            .count();
        let key = before
            .get(before.len().saturating_sub(length)..)
            .unwrap_or_default();
        if !KEYS.iter().any(|known| key.eq_ignore_ascii_case(known)) {
            continue;
        }
        let value = value.get(1..).unwrap_or_default();
        let quotes = value.iter().take(3).take_while(|byte| around(byte)).count();
        let value = value.get(quotes..).unwrap_or_default();
        let length = value
            .iter()
            .take(MAX_NAME_BYTES)
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'-')
            .count();
        let (name, behind) = value.split_at_checked(length).unwrap_or_default();
        // What goes on is no label: a class, a file, a number with a point.
        if length < MAX_NAME_BYTES && !matches!(behind.first(), Some(b'.' | b'/' | b'(' | b'_')) {
            names.learn(Content::Name, name);
        }
    }
}

/// Longest name of anything in Kubernetes.
const MAX_NAME_BYTES: usize = 253;

fn copy(
    mut reader: BlockReader,
    layouts: &Layouts,
    secrets: &Secrets,
    names: &mut Pseudonyms,
    out: &mut impl Write,
    redacted: &mut Redacted,
    source: &Source,
) -> std::io::Result<()> {
    let mut decoder = LogDecoder::with_layouts(layouts);
    let mut keys = KeyLines::default();
    let mut buffer = Vec::new();
    let mut rows = Vec::new();
    while let Some(block) = reader.next_block(std::mem::take(&mut buffer)) {
        rows.clear();
        decoder.decode_block(&block.data, &mut |at, line| {
            if matches!(line.content, LineContent::Access(_)) {
                rows.push(at.line);
            }
        });
        for (number, line) in (0_u32..).zip(block.data.split_inclusive(|byte| *byte == b'\n')) {
            // A row's texts are fields: names in them are names.
            let is_row = rows.binary_search(&number).is_ok();
            names.set_care(if is_row { Care::Names } else { Care::Texts });
            let (line, end) = match line.split_last() {
                Some((b'\n', line)) => (line, &b"\n"[..]),
                _ => (line, &b""[..]),
            };
            let masked = mask(line, secrets, &mut keys);
            let line = masked.as_deref().unwrap_or(line);
            let renamed = names.rewrite(Content::Line, line);
            out.write_all(renamed.as_deref().unwrap_or(line))?;
            out.write_all(end)?;
            redacted.lines = redacted.lines.saturating_add(1);
        }
        buffer = block.data;
    }
    let summary = reader.finish();
    if let Some(problem) = summary.problems.first() {
        redacted
            .damaged
            .push((source.display_path.clone(), problem.what.clone()));
    }
    out.flush()
}

/// Bytes of a name of a file; systems allow 255.
const MAX_FILE_NAME_BYTES: usize = 200;

/// Bytes of its end that are kept: there stands what it is.
const FILE_NAME_END_BYTES: usize = 40;

/// A name of a file that systems allow: pseudonyms are longer than many names.
fn shortened(name: String) -> String {
    if name.len() <= MAX_FILE_NAME_BYTES {
        return name;
    }
    let of_head = MAX_FILE_NAME_BYTES.saturating_sub(FILE_NAME_END_BYTES);
    let from_end = name.len().saturating_sub(FILE_NAME_END_BYTES);
    name.char_indices()
        .filter(|(at, c)| at.saturating_add(c.len_utf8()) <= of_head || *at >= from_end)
        .map(|(_, c)| c)
        .collect()
}

/// A line without its secrets; `None` where there are none. Bytes that are no text part what is searched.
fn mask(line: &[u8], secrets: &Secrets, keys: &mut KeyLines) -> Option<Vec<u8>> {
    if let Ok(line) = std::str::from_utf8(line) {
        return match keys.mask(secrets, line) {
            (Cow::Owned(masked), _) => Some(masked.into_bytes()),
            (Cow::Borrowed(_), _) => None,
        };
    }
    let mut masked = Vec::with_capacity(line.len());
    for chunk in line.utf8_chunks() {
        masked.extend_from_slice(secrets.mask(chunk.valid()).0.as_bytes());
        masked.extend_from_slice(chunk.invalid());
    }
    Some(masked)
}

/// Where the copy of an input lies: its path with other names, without endings of compression, and nothing in it that
/// climbs or acts on a terminal.
fn place(path: &str, names: &mut Pseudonyms, taken: &mut BTreeSet<PathBuf>) -> PathBuf {
    // A member lies in a folder called as its archive.
    let mut parts: Vec<&str> = path.split('!').collect();
    if let Some((_, archives)) = parts.split_last_mut() {
        for archive in archives {
            let ending = ARCHIVES.iter().find_map(|ending| archive.strip_suffix(ending));
            *archive = ending.filter(|name| !name.is_empty()).unwrap_or(archive);
        }
    }
    let path = parts.join("/");
    let renamed = names
        .rewrite(Content::Path, path.as_bytes())
        .map_or(path, |other| String::from_utf8_lossy(&other).into_owned());
    let mut place = PathBuf::new();
    for part in Path::new(&renamed).components() {
        if let Component::Normal(part) = part {
            let part = part.to_string_lossy();
            let part: String = part
                .chars()
                .map(|c| if crate::report::escape::acts(c) { '_' } else { c })
                .collect();
            place.push(shortened(part));
        }
    }
    let name = place.file_name().map(|name| name.to_string_lossy().into_owned());
    let mut name = name.unwrap_or_else(|| "standard-input.log".to_owned());
    if let Some(ending) = COMPRESSED.iter().find(|ending| name.ends_with(**ending)) {
        name.truncate(name.len().saturating_sub(ending.len()));
    }
    place.set_file_name(name);
    let plain = place.clone();
    let mut number = 2_u64;
    while !taken.insert(place.clone()) {
        place = Path::new(&number.to_string()).join(&plain);
        number = number.saturating_add(1);
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Pseudonyms {
        Pseudonyms::new(b"0123456789abcdef", Care::Texts, ["connect error"]).unwrap()
    }

    fn copied(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (name, content) in files {
            std::fs::write(from.path().join(name), content).unwrap();
        }
        let sources = crate::input::discover(&[from.path().to_owned()]).sources;
        let redacted = redact(&sources, &Layouts::default(), &mut names(), to.path()).unwrap();
        redacted
            .written
            .iter()
            .map(|below| {
                let content = std::fs::read_to_string(to.path().join(below)).unwrap();
                (below.display().to_string(), content)
            })
            .collect()
    }

    #[test]
    fn tables_and_manifests_tell_names() {
        let copies = copied(&[
            (
                "pods.txt",
                "NAMESPACE   NAME    READY   NODE\nshop        web-0   2/2     worker-a\n",
            ),
            (
                "web.yaml",
                "kind: Service\nmetadata:\n  name: cart\n  namespace: shop\n",
            ),
            (
                "events",
                "OBJECT           MESSAGE\ndeployment/cart  Scaled up cart on worker-a\n",
            ),
            (
                "app.log",
                "{\"msg\":\"cart has no stock\",\"pod\":\"stock-db-0\"}\nstock-db is slow\n",
            ),
        ]);
        for (name, content) in &copies {
            for original in ["shop", "web-", "worker-a", "cart", "stock-db"] {
                assert!(!content.contains(original), "{name} names {original}: {content}");
            }
        }
        let all: String = copies.iter().map(|(_, content)| content.as_str()).collect();
        for kept in [
            "NAMESPACE",
            "kind: Service",
            "deployment/",
            "has no stock",
            "READY",
            "2/2",
        ] {
            assert!(all.contains(kept), "{kept}: {all}");
        }
    }

    #[test]
    fn places_cannot_climb_and_do_not_meet() {
        let (mut names, mut taken) = (names(), BTreeSet::new());
        let mut of = |path: &str| place(path, &mut names, &mut taken).display().to_string();
        let log = of("../../a\u{1b}[2J/istio-proxy.log.gz");
        assert!(
            !log.contains("..") && !log.contains('\u{1b}') && log.ends_with("/istio-proxy.log"),
            "{log}"
        );
        assert_eq!(of("../../a\u{1b}[2J/istio-proxy.log"), format!("2/{log}"));
        assert_eq!(of("-"), "-");
        assert!(of("/etc/passwd").split('/').count() == 2);
    }
}
