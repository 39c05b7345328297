//! Peels what container runtimes and kubectl put around a line.
//!
//! CRI: `<RFC 3339> stdout|stderr P|F[:tags] <text>` (kubernetes `pkg/kubelet/kuberuntime/logs`). docker's json-file:
//! `{"log":"<text>\n","stream":"..","time":".."}`. kubectl: `[pod/<pod>/<container>] <text>` and `<RFC 3339> <text>`. stern:
//! `<pod> <container> <text>`. Objects of JSON: [`super::envelope`].

use super::envelope::{self, Envelope};
use super::json::{Value, unescape};
use super::start::{Start, start_of};
use super::time::{MinuteCache, starts_like_time};
use super::{MAX_RECORD_BYTES, Wrapper, WrapperSet, Wrapping};
use crate::input::is_mesh_container;
use crate::units::Timestamp;
use memchr::memchr;

/// Buffers for unescaped text, one for each wrapper that may be peeled.
pub(super) type Unwrapped = [Vec<u8>; WrapperSet::MAX as usize];

/// Names of pods are at most 253 bytes, of containers 63 (RFC 1123 as Kubernetes applies it); what ends them stands behind them.
const MAX_POD_BYTES: usize = 254;
const MAX_CONTAINER_BYTES: usize = 64;

/// A stream of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// A line without its wrappers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peeled<'block> {
    pub(super) wrapping: Wrapping<'block>,
    pub(super) text: &'block [u8],
    /// The stream of the outermost wrapper that names one.
    pub(super) stream: Option<Stream>,
    /// Whether the runtime cut the line here, so that its rest stands in the next record of the stream.
    pub(super) partial: bool,
}

impl Peeled<'_> {
    /// Whether `next` may be the rest of this piece: runtimes write the pieces of a line one after another.
    pub(super) fn is_continued_by(&self, next: &Peeled<'_>) -> bool {
        let same = |a: &Wrapping<'_>, b: &Wrapping<'_>| {
            (a.kinds, a.pod, a.namespace, a.container) == (b.kinds, b.pod, b.namespace, b.container)
        };
        self.partial && self.stream == next.stream && same(&self.wrapping, &next.wrapping)
    }
}

/// One wrapper taken off.
struct Layer<'block> {
    kind: Wrapper,
    text: &'block [u8],
    written: Option<Timestamp>,
    stream: Option<Stream>,
    partial: bool,
}

impl<'block> Layer<'block> {
    fn new(kind: Wrapper, text: &'block [u8]) -> Self {
        Self {
            kind,
            text,
            written: None,
            stream: None,
            partial: false,
        }
    }
}

/// Takes off every wrapper around `line`, [`WrapperSet::MAX`] at most, and terminal colours.
pub(super) fn peel<'block>(
    line: &'block [u8],
    unwrapped: &'block mut Unwrapped,
    minutes: &mut MinuteCache,
) -> Peeled<'block> {
    let text = without_colour(line);
    let mut peeled = Peeled {
        wrapping: Wrapping::default(),
        text,
        stream: None,
        partial: false,
    };
    for buffer in unwrapped {
        let layer = match peeled.text {
            [b'[', ..] => kubectl_prefix(&mut peeled),
            [b'0'..=b'9', ..] => timed(peeled.text, minutes),
            [b'{', ..] => object(&mut peeled, buffer, minutes),
            [b'a'..=b'z', ..] => stern(&mut peeled),
            _ => None,
        };
        let Some(layer) = layer else { break };
        peeled.text = without_colour(layer.text);
        peeled.partial |= layer.partial;
        peeled.stream = peeled.stream.or(layer.stream);
        peeled.wrapping.written = peeled.wrapping.written.or(layer.written);
        peeled.wrapping.kinds = peeled.wrapping.kinds.with(layer.kind);
    }
    peeled
}

/// The first lines of a text, each without what wraps it.
pub(crate) fn without_wrappers(head: &[u8], lines: usize) -> Vec<u8> {
    let mut unwrapped = Unwrapped::default();
    let mut minutes = MinuteCache::default();
    let mut out = Vec::new();
    for line in head.split(|byte| *byte == b'\n').take(lines) {
        let peeled = peel(line.trim_ascii_end(), &mut unwrapped, &mut minutes);
        out.extend_from_slice(peeled.text.trim_ascii_end());
        out.push(b'\n');
    }
    out
}

/// `[pod/<pod>/<container>] `; sets both names.
fn kubectl_prefix<'block>(peeled: &mut Peeled<'block>) -> Option<Layer<'block>> {
    let text = peeled.text.strip_prefix(b"[pod/")?;
    let end = text
        .iter()
        .take(MAX_POD_BYTES + MAX_CONTAINER_BYTES)
        .position(|byte| matches!(byte, b']' | b' '))?;
    let (names, rest) = text.split_at_checked(end)?;
    let text = rest.strip_prefix(b"] ")?;
    let mut parts = names.splitn(2, |byte| *byte == b'/');
    let (pod, container) = (parts.next()?, parts.next()?);
    peeled.wrapping.pod = peeled.wrapping.pod.or(Some(pod));
    peeled.wrapping.container = peeled.wrapping.container.or(Some(container));
    Some(Layer::new(Wrapper::KubectlPrefix, text))
}

/// CRI, or a time of kubectl's before something that would start a record by itself: component lines start
/// with a time of their own.
fn timed<'block>(text: &'block [u8], minutes: &mut MinuteCache) -> Option<Layer<'block>> {
    let time = minutes.prefix(text, b'T')?;
    let rest = text.get(time.len..)?.strip_prefix(b" ")?;
    if let Some((stream, partial, text)) = cri_head(rest) {
        let layer = Layer::new(Wrapper::Cri, text);
        return Some(Layer {
            written: time.value,
            stream: Some(stream),
            partial,
            ..layer
        });
    }
    let opens = start_of(rest).is_some() || rest.starts_with(b"[pod/") || is_cri(rest);
    opens.then(|| Layer {
        written: time.value,
        ..Layer::new(Wrapper::KubectlTimestamps, rest)
    })
}

/// The length of the CRI head of a whole line of standard output that holds what may be a row, and what it
/// says: what [`peel`] would find, for the lines that are many.
#[inline]
pub(super) fn plain_cri(text: &[u8], minutes: &mut MinuteCache) -> Option<(usize, Wrapping<'static>)> {
    const HEAD: &[u8] = b" stdout F ";
    let time = minutes.prefix(text, b'T')?;
    match text.get(time.len..)?.strip_prefix(HEAD)? {
        [b'[' | b'{', ..] => {}
        _ => return None,
    }
    let wrapping = Wrapping {
        kinds: WrapperSet::default().with(Wrapper::Cri),
        written: time.value,
        ..Wrapping::default()
    };
    Some((time.len.saturating_add(HEAD.len()), wrapping))
}

/// `stdout F `: the stream, whether the record is partial, and its text.
fn cri_head(text: &[u8]) -> Option<(Stream, bool, &[u8])> {
    let (stream, rest) = match text {
        [b's', b't', b'd', b'o', b'u', b't', b' ', rest @ ..] => (Stream::Stdout, rest),
        [b's', b't', b'd', b'e', b'r', b'r', b' ', rest @ ..] => (Stream::Stderr, rest),
        _ => return None,
    };
    let (partial, rest) = match rest {
        [b'F', rest @ ..] => (false, rest),
        [b'P', rest @ ..] => (true, rest),
        _ => return None,
    };
    match rest {
        [] => Some((stream, partial, rest)),
        [b' ', text @ ..] => Some((stream, partial, text)),
        [b':', tags @ ..] => {
            let end = tags.iter().position(|byte| *byte == b' ').unwrap_or(tags.len());
            Some((
                stream,
                partial,
                tags.get(end.saturating_add(1)..).unwrap_or_default(),
            ))
        }
        _ => None,
    }
}

fn is_cri(text: &[u8]) -> bool {
    let after_time = || text.get(text.iter().position(|byte| *byte == b' ')?.checked_add(1)?..);
    starts_like_time(text, b'T') && after_time().is_some_and(|rest| cri_head(rest).is_some())
}

/// The text after a time of kubectl's, whatever it is: for lines that follow one which had such a time.
pub(super) fn after_timestamp<'block>(text: &'block [u8], minutes: &mut MinuteCache) -> Option<&'block [u8]> {
    let time = minutes.prefix(text, b'T')?;
    text.get(time.len..)?.strip_prefix(b" ")
}

/// Whether an object with these members in this order may be a wrapper, or name the pod of the row that it is.
pub(super) fn looks_wrapped(leads: &[u8]) -> bool {
    is_docker(leads) || envelope::may_name(leads)
}

/// Whether `text` starts as docker's json-file driver writes it.
fn is_docker(text: &[u8]) -> bool {
    text.starts_with(b"{\"log\":") || text.starts_with(b"{\"stream\":")
}

/// What docker's json-file driver or a collector of logs wrote; sets the names that it gives, also of a row among whose members they
/// stand.
fn object<'block>(
    peeled: &mut Peeled<'block>,
    buffer: &'block mut Vec<u8>,
    minutes: &mut MinuteCache,
) -> Option<Layer<'block>> {
    let is_docker = is_docker(peeled.text);
    let envelope = Envelope::read(peeled.text)?;
    let stream = match envelope.stream {
        Some(b"stdout") => Some(Stream::Stdout),
        Some(b"stderr") => Some(Stream::Stderr),
        _ => None,
    };
    let by_docker = is_docker && stream.is_some() && !envelope.is_named();
    let text = match envelope.line {
        Value::Text(text) | Value::Object(text) => Some(text),
        Value::Escaped(text) => Some(unescaped(text, buffer)?),
        _ => None,
    };
    // A row has the parsed line of who collected it in it, and says nothing else of it but the names.
    let text = text.filter(|text| {
        by_docker
            || envelope.is_certain()
            || matches!(envelope.line, Value::Object(_))
            || start_of(text).is_some_and(|start| start != Start::CroppedAccess)
    });
    // A name alone is one only where there is a line for certain.
    if envelope.is_named() || text.is_some() {
        let wrapping = &mut peeled.wrapping;
        wrapping.pod = wrapping.pod.or(envelope.pod);
        wrapping.namespace = wrapping.namespace.or(envelope.namespace);
        wrapping.container = wrapping.container.or(envelope.container);
    }
    let text = text?;
    let whole = text.strip_suffix(b"\n");
    let kind = if by_docker {
        Wrapper::DockerJson
    } else {
        Wrapper::Json
    };
    let text = whole.unwrap_or(text);
    let layer = Layer::new(kind, text.strip_suffix(b"\r").unwrap_or(text));
    Some(Layer {
        written: envelope
            .time
            .and_then(|time| minutes.prefix(time, b'T'))
            .and_then(|time| time.value),
        stream,
        partial: envelope.partial || by_docker && whole.is_none(),
        ..layer
    })
}

/// `<pod> <container> `, where the container is one of the mesh's: two words may begin any text. Sets both names.
fn stern<'block>(peeled: &mut Peeled<'block>) -> Option<Layer<'block>> {
    let text = peeled.text;
    let pod_len = memchr(b' ', text.get(..MAX_POD_BYTES).unwrap_or(text))?;
    let (pod, rest) = text.split_at_checked(pod_len)?;
    let rest = rest.get(1..)?;
    let container_len = memchr(b' ', rest.get(..MAX_CONTAINER_BYTES).unwrap_or(rest))?;
    let (container, text) = rest.split_at_checked(container_len)?;
    let is_name = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    let is_ours = std::str::from_utf8(container).is_ok_and(is_mesh_container);
    if !is_ours || !pod.iter().all(is_name) {
        return None;
    }
    peeled.wrapping.pod = peeled.wrapping.pod.or(Some(pod));
    peeled.wrapping.container = peeled.wrapping.container.or(Some(container));
    Some(Layer::new(Wrapper::Stern, text.get(1..)?))
}

fn unescaped<'block>(text: &[u8], buffer: &'block mut Vec<u8>) -> Option<&'block [u8]> {
    if text.len() > MAX_RECORD_BYTES {
        return None;
    }
    if buffer.len() < text.len() {
        buffer.resize(text.len(), 0);
    }
    let len = unescape(text, buffer)?;
    buffer.get(..len)
}

/// The text without the colour sequences that a terminal's log put around it.
fn without_colour(text: &[u8]) -> &[u8] {
    let mut text = text;
    if text.first() != Some(&0x1b) {
        return text;
    }
    while let Some(rest) = colour_at_start(text) {
        text = rest;
    }
    while let Some(before) = colour_at_end(text) {
        text = before;
    }
    text
}

fn colour_at_start(text: &[u8]) -> Option<&[u8]> {
    let rest = text.strip_prefix(b"\x1b[")?;
    let parameters = rest
        .iter()
        .take_while(|byte| matches!(byte, b'0'..=b'9' | b';'))
        .count();
    rest.get(parameters..)?.strip_prefix(b"m")
}

fn colour_at_end(text: &[u8]) -> Option<&[u8]> {
    let rest = text.strip_suffix(b"m")?;
    let parameters = rest
        .iter()
        .rev()
        .take_while(|byte| matches!(byte, b'0'..=b'9' | b';'))
        .count();
    rest.get(..rest.len().saturating_sub(parameters))?
        .strip_suffix(b"\x1b[")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn peeled(line: &[u8]) -> (Vec<&'static str>, String, String) {
        let mut unwrapped = Unwrapped::default();
        let peeled = peel(line, &mut unwrapped, &mut MinuteCache::default());
        let text = |text: &[u8]| text.escape_ascii().to_string();
        let Wrapping {
            written,
            pod,
            namespace,
            container,
            kinds,
        } = peeled.wrapping;
        let mut said = vec![];
        said.extend(written.map(|time| time.to_string()));
        said.extend(pod.map(text));
        said.extend(namespace.map(text));
        said.extend(container.map(text));
        said.extend(peeled.stream.map(|stream| format!("{stream:?}")));
        said.extend(peeled.partial.then(|| "partial".to_owned()));
        (
            kinds.iter().map(Wrapper::name).collect(),
            said.join(" "),
            text(peeled.text),
        )
    }

    #[test]
    fn wrappers_in_any_order() {
        let cases: &[(&str, &[&str], &str, &str)] = &[
            ("plain", &[], "", "plain"),
            (
                "2026-11-22T16:49:47.206049254Z stdout F x y",
                &["cri"],
                "2026-11-22T16:49:47.206049254Z Stdout",
                "x y",
            ),
            (
                "2026-11-22T16:49:47.2+01:00 stderr P x",
                &["cri"],
                "2026-11-22T15:49:47.200000Z Stderr partial",
                "x",
            ),
            (
                "2026-11-22T16:49:47.2Z stdout F:a:b x",
                &["cri"],
                "2026-11-22T16:49:47.200000Z Stdout",
                "x",
            ),
            (
                "2026-11-22T16:49:47.2Z stdout F",
                &["cri"],
                "2026-11-22T16:49:47.200000Z Stdout",
                "",
            ),
            ("2026-13-22T16:49:47.2Z stdout F x", &["cri"], "Stdout", "x"),
            (
                "2026-11-22T16:49:47.2Z stdin F x",
                &[],
                "",
                "2026-11-22T16:49:47.2Z stdin F x",
            ),
            (
                "2026-11-22T16:49:47.2Z stdout X x",
                &[],
                "",
                "2026-11-22T16:49:47.2Z stdout X x",
            ),
            (
                r#"{"log":"a \"b\"\n","stream":"stderr","time":"2026-11-22T16:49:47.2Z"}"#,
                &["docker-json"],
                "2026-11-22T16:49:47.200000Z Stderr",
                r#"a \"b\""#,
            ),
            (
                r#"{"log":"a\r\n","stream":"stdout","attrs":{"x":"y"}}"#,
                &["docker-json"],
                "Stdout",
                "a",
            ),
            (
                r#"{"stream":"stdout","log":"a"}"#,
                &["docker-json"],
                "Stdout partial",
                "a",
            ),
            (r#"{"log":"a\n"}"#, &[], "", r#"{\"log\":\"a\\n\"}"#),
            (
                "[pod/web-1/istio-proxy] x",
                &["kubectl-prefix"],
                "web-1 istio-proxy",
                "x",
            ),
            ("[pod/web-1] x", &[], "", "[pod/web-1] x"),
            (
                "2026-11-22T16:49:47.2Z [2026-11-22T16:49:47.147Z] \"GET",
                &["kubectl-timestamps"],
                "2026-11-22T16:49:47.200000Z",
                "[2026-11-22T16:49:47.147Z] \\\"GET",
            ),
            (
                "2026-11-22T16:49:47.2Z 2026-11-22T16:49:47.1Z\tinfo\tx",
                &["kubectl-timestamps"],
                "2026-11-22T16:49:47.200000Z",
                "2026-11-22T16:49:47.1Z\\tinfo\\tx",
            ),
            (
                "2026-11-22T16:49:47.2Z info x",
                &[],
                "",
                "2026-11-22T16:49:47.2Z info x",
            ),
            (
                "2026-11-22T16:49:47.2Z no record",
                &[],
                "",
                "2026-11-22T16:49:47.2Z no record",
            ),
            (
                "[pod/web-1/istio-proxy] 2026-11-22T16:49:48Z 2026-11-22T16:49:47Z stdout F {\"log\":\"x\\n\",\"stream\":\"stderr\"}",
                &["kubectl-prefix", "kubectl-timestamps", "cri", "docker-json"],
                "2026-11-22T16:49:48.000000Z web-1 istio-proxy Stdout",
                "x",
            ),
            (
                r#"{"log":"{\"log\":\"[pod/a/b] x\\n\",\"stream\":\"stdout\"}\n","stream":"stdout"}"#,
                &["docker-json", "docker-json", "kubectl-prefix"],
                "a b Stdout",
                "x",
            ),
            (
                "\x1b[1;32m\x1b[0m[pod/a/b] \x1b[31mx\x1b[0m",
                &["kubectl-prefix"],
                "a b",
                "x",
            ),
        ];
        for (line, kinds, said, text) in cases {
            assert_eq!(
                peeled(line.as_bytes()),
                (kinds.to_vec(), (*said).to_owned(), (*text).to_owned()),
                "{line}"
            );
        }
    }

    /// A row, a line that begins no record, and names around them, as collectors and stores of logs write them.
    #[test]
    fn objects_of_collectors() {
        let row = r#"[2026-11-22T16:49:47.147Z] \"GET"#;
        let k8s =
            r#""kubernetes":{"pod_name":"web-1","namespace_name":"shop","container_name":"istio-proxy"}"#;
        let cases: &[(String, &str, &str)] = &[
            (format!(r#"{{"date":1.5,"stream":"stdout","log":"{row}\n",{k8s}}}"#), "web-1 shop istio-proxy Stdout", row),
            (format!(r#"{{"time":"2026-11-22T16:49:47.2Z","_p":"P","log":"  at x",{k8s}}}"#), "2026-11-22T16:49:47.200000Z web-1 shop istio-proxy partial", "  at x"),
            (format!(r#"{{"labels":{{"container":"istio-proxy","namespace":"shop","pod":"web-1"}},"line":"{row}","timestamp":"2026-11-22T16:49:47.2Z"}}"#), "2026-11-22T16:49:47.200000Z web-1 shop istio-proxy", row),
            (format!(r#"{{"insertId":"i","resource":{{"type":"k8s_container","labels":{{"container_name":"istio-proxy","namespace_name":"shop","pod_name":"web-1"}}}},"severity":"INFO","textPayload":"{row}"}}"#), "web-1 shop istio-proxy", row),
            (r#"{"insertId":"i","jsonPayload":{"response_code":503},"resource":{"labels":{"namespace_name":"shop","pod_name":"web-1"}}}"#.to_owned(), "web-1 shop", r#"{\"response_code\":503}"#),
            (format!(r#"{{"_index":"i","_source":{{"message":"{row}","kubernetes":{{"pod":{{"uid":"u","name":"web-1"}},"namespace":"shop","container":{{"name":"istio-proxy"}}}}}}}}"#), "web-1 shop istio-proxy", row),
            (format!(r#"{{"k8s.pod.name":"web-1","k8s.namespace.name":"shop","body":"{row}"}}"#), "web-1 shop", row),
            (format!(r#"{{"labels":{{"pod":"web-1"}},"line":"{row}"}}"#), "web-1", row),
            (format!(r#"{{"result":{{"_raw":"{row}"}}}},"#), "", row),
        ];
        for (line, said, text) in cases {
            let found = peeled(line.as_bytes());
            assert_eq!(
                found,
                (vec!["json"], (*said).to_owned(), (*text).to_owned()),
                "{line}"
            );
        }
        // A component line, one of an application, a row among whose members names were put, and objects that are no lines.
        let merged = format!(r#"{{"response_flags":"UF",{k8s}}}"#);
        for (line, said) in [
            (
                r#"{"time":"2026-11-22T16:49:47Z","level":"info","scope":"ads","msg":"gone","pod":"a","namespace":"b"}"#,
                "a b",
            ),
            (r#"{"level":"info","msg":"[2026-11-22T16:49:47.147Z] \"GET"}"#, ""),
            (r#"{"message":"gone","pod":"web-1"}"#, ""),
            (r#"{"a":{"a":{"a":{"a":{"a":{"log":"x"}}}}}}"#, ""),
            (merged.as_str(), "web-1 shop istio-proxy"),
        ] {
            let (kinds, names, text) = peeled(line.as_bytes());
            assert_eq!((kinds, names.as_str()), (vec![], said), "{line}");
            assert_eq!(text, line.as_bytes().escape_ascii().to_string());
        }
    }

    #[test]
    fn lines_of_stern() {
        let found = peeled(b"web-7d4f istio-proxy any text");
        assert_eq!(
            found,
            (
                vec!["stern"],
                "web-7d4f istio-proxy".to_owned(),
                "any text".to_owned()
            )
        );
        for other in [
            "web-7d4f app any text",
            "Web istio-proxy x",
            "two words",
            "the istio-proxy",
        ] {
            assert_eq!(peeled(other.as_bytes()).0, Vec::<&str>::new(), "{other}");
        }
    }

    #[test]
    fn no_more_than_four() {
        let line = "[pod/a/b] ".repeat(5) + "x";
        let (kinds, _, text) = peeled(line.as_bytes());
        assert_eq!((kinds.len(), text.as_str()), (4, "[pod/a/b] x"));
    }

    #[test]
    fn plain_cri_is_what_peel_finds() {
        let cases = [
            "2026-11-22T16:49:47.2Z stdout F [x",
            "2026-11-22T16:49:47Z stdout F {x",
            "2026-13-22T16:49:47.2Z stdout F [x",
            "2026-11-22T16:49:47.2Z stdout P [x",
            "2026-11-22T16:49:47.2Z stderr F [x",
        ];
        for line in cases {
            let mut unwrapped = Unwrapped::default();
            let slow = peel(line.as_bytes(), &mut unwrapped, &mut MinuteCache::default());
            let fast = plain_cri(line.as_bytes(), &mut MinuteCache::default());
            match fast {
                Some((head, wrapping)) => assert_eq!(
                    (wrapping, &line.as_bytes()[head..]),
                    (slow.wrapping, slow.text),
                    "{line}"
                ),
                None => assert!(slow.partial || slow.stream == Some(Stream::Stderr), "{line}"),
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes(line: Vec<u8>) {
            peeled(&line);
        }

        #[test]
        fn docker_gives_back_any_text(text in "\\PC{0,40}") {
            let line = serde_json::json!({"log": format!("{text}\n"), "stream": "stdout"}).to_string();
            prop_assert_eq!(&peeled(line.as_bytes()).0[..1], ["docker-json"]);
        }
    }
}
