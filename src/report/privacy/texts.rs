//! Every text of the documents that are shown, with what it holds, so that texts can be masked or renamed in one place.
//!
//! Each type says of its fields which hold a name, a path, a sentence, and which hold words of this program. A test holds
//! these lists to the schemas: a field that nobody has thought of fails it.

use crate::decode::packet::Endpoint;
use crate::follow::frame::Frame;
use crate::follow::rows::Row;
use crate::follow::show::{Excerpt, Shown, ShownFrame, ShownLine, Unresolved};
use crate::follow::trace::{self, Connection, Participant, Trace};
use crate::report::compare::model as diff;
use crate::report::model::{
    AccessLogFormat, Application, Breakdown, CaptureCertificate, CaptureClient, CaptureDns,
    CaptureFailedName, CaptureHttp, CaptureServer, CaptureTls, CaptureTrouble, Captures, CatalogInfo, Change,
    ChangePoint, Correlation, Counts, DestinationSpent, Event, Evidence, Example, Filters, Finding, Fix,
    Input, InputProblem, JoinExample, Latency, LatencyScope, Limit, LookedAt, Missing, Next, Quote,
    RejectedSample, Report, Requests, RuledOut, Scope, Selection, SignatureHits, SlowRequest, Step, Stream,
    StreamHttp, StreamRef, StreamTls, Timeline, Top, TopGroup, Topology, TopologyEdge, TopologyNode, Verdict,
};
use std::collections::BTreeMap;

/// What a text holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// From the catalogue, with names filled in: commands, manifests, what else to look at.
    Advice,
    /// Something said, with names in it: a sentence, a part of a log.
    Said,
    /// A whole line of an input; lines of a place come one after the other.
    Line,
    /// A name or address of something in the mesh, and nothing else.
    Name,
    /// The path of an input or a file.
    Path,
    /// A method and a path of HTTP.
    Request,
    /// An id made of a cause and a name.
    Id,
}

/// What is done to texts.
pub trait Edit {
    /// To a text.
    fn text(&mut self, content: Content, text: &mut String);

    /// To an address that is held as one.
    fn endpoint(&mut self, _end: &mut Endpoint) {}
}

/// What holds texts.
pub trait Texts {
    /// Has each of its texts edited.
    fn edit(&mut self, editor: &mut dyn Edit);
}

/// A field that holds texts of one sort.
trait Field {
    fn each(&mut self, content: Content, editor: &mut dyn Edit);
}

impl Field for String {
    fn each(&mut self, content: Content, editor: &mut dyn Edit) {
        editor.text(content, self);
    }
}

impl<T: Field> Field for Option<T> {
    fn each(&mut self, content: Content, editor: &mut dyn Edit) {
        if let Some(field) = self {
            field.each(content, editor);
        }
    }
}

impl<T: Field> Field for Vec<T> {
    fn each(&mut self, content: Content, editor: &mut dyn Edit) {
        for field in self {
            field.each(content, editor);
        }
    }
}

/// Its keys; those that become one are summed.
impl Field for Counts {
    fn each(&mut self, content: Content, editor: &mut dyn Edit) {
        let mut edited = Self::new();
        for (mut key, count) in std::mem::take(self) {
            editor.text(content, &mut key);
            let sum = edited.entry(key).or_default();
            *sum = u64::saturating_add(*sum, count);
        }
        *self = edited;
    }
}

impl Field for BTreeMap<u32, String> {
    fn each(&mut self, content: Content, editor: &mut dyn Edit) {
        for field in self.values_mut() {
            field.each(content, editor);
        }
    }
}

impl Field for Endpoint {
    fn each(&mut self, _: Content, editor: &mut dyn Edit) {
        editor.endpoint(self);
    }
}

impl<T: Texts> Texts for Vec<T> {
    fn edit(&mut self, editor: &mut dyn Edit) {
        for one in self {
            one.edit(editor);
        }
    }
}

impl<T: Texts> Texts for Option<T> {
    fn edit(&mut self, editor: &mut dyn Edit) {
        if let Some(one) = self {
            one.edit(editor);
        }
    }
}

/// Has one field edited.
macro_rules! each {
    (parts $field:expr, $editor:ident) => {
        Texts::edit(&mut $field, $editor)
    };
    (words $field:expr, $editor:ident) => {
        let _ = &$field;
    };
    ($content:ident $field:expr, $editor:ident) => {
        Field::each(&mut $field, Content::$content, $editor)
    };
}

/// Says of each type what its fields hold: texts by their content, `parts` that hold texts themselves, and `words` of this
/// program or of protocols.
macro_rules! texts {
    ($($($type:ident)::+ {
        $($content:ident: [$($field:ident),*],)*
    })*) => {
        $(impl Texts for $($type)::+ {
            fn edit(&mut self, editor: &mut dyn Edit) {
                $($(each!($content self.$field, editor);)*)*
            }
        })*

        /// Types, and the fields of which their lists speak.
        #[cfg(test)]
        const LISTED: &[(&str, &[&str])] = &[$((
            stringify!($($type)::+),
            &[$($(stringify!($field),)*)*],
        )),*];
    };
}

texts! {
    Report {
        parts: [
            catalog, inputs, access_log_formats, missing, verdict, steps, findings, requests, latency, slowest, signatures,
            timeline, captures, streams, correlation, topology, limits, quotes, selection, top
        ],
        words: [schema, tool, run, window, privacy],
    }
    CatalogInfo {
        Path: [user_files],
        words: [version],
    }
    AccessLogFormat {
        Said: [format],
        words: [refs],
    }
    Quote {
        Line: [text],
    }
    Input {
        Path: [path, member],
        Name: [pod, namespace, container, node],
        parts: [problems, rejected_samples, application],
        words: [id, kind, records_by_kind, format, wrapper, compression, role, start, end, time],
    }
    RejectedSample {
        Said: [why, text],
    }
    InputProblem {
        Said: [what],
    }
    Verdict {
        Said: [headline],
        words: [state, cause],
    }
    Step {
        Id: [findings],
        parts: [missing, looked_at],
        words: [step, evidence],
    }
    LookedAt {
        Said: [of, says],
        words: [refs],
    }
    Application {
        parts: [examples],
        words: [first, last],
    }
    Selection {
        Said: [condition],
    }
    Top {
        parts: [groups],
        words: [fields],
    }
    TopGroup {
        Said: [values],
        words: [reporter, duration_ms],
    }
    Finding {
        Id: [id, consequence_of],
        Said: [title, summary],
        parts: [scope, evidence, ruled_out, changed_before, would_overturn, next],
        words: [cause, severity, role, onset, window, impact],
    }
    Scope {
        Name: [source, destination, cluster, pods, nodes],
    }
    Evidence {
        Said: [text],
        words: [kind, refs],
    }
    Change {
        Said: [text],
        words: [at, kind, refs],
    }
    RuledOut {
        Said: [because],
        words: [cause],
    }
    Next {
        Advice: [check],
        Said: [notes],
        parts: [fix, filters],
        words: [documented_in],
    }
    Filters {
        Advice: [wireshark],
    }
    Fix {
        Advice: [text, command, yaml],
        words: [risk, valid_for],
    }
    Missing {
        Advice: [what, why_it_matters, command],
    }
    Requests {
        Said: [by_detail],
        parts: [by_destination, by_route, by_source],
        words: [by_reporter, by_code, by_class, by_flag, by_protocol, retries],
    }
    Breakdown {
        Name: [name],
        parts: [latency],
        words: [reporter, flags],
    }
    Latency {
        parts: [scope],
        words: [reporter, metric, outcome, unit, histogram],
    }
    SlowRequest {
        Name: [destination],
        Request: [request],
        words: [start, reporter, flags, place],
    }
    SignatureHits {
        parts: [examples],
        words: [id, title, cause, source, severity, first, last, inputs],
    }
    Example {
        Said: [text],
        words: [input],
    }
    Timeline {
        parts: [change_points, events],
        words: [buckets, gaps],
    }
    ChangePoint {
        Name: [scope],
        words: [at, metric],
    }
    Event {
        Said: [text],
        words: [at, kind, place],
    }
    Captures {
        parts: [tls, http, dns, servers, troubles],
        words: [link_types, streams, tcp, icmp, hops, points, honesty],
    }
    CaptureTls {
        Name: [sni],
        Said: [alpn, alpn_offered],
        parts: [certificates],
        words: [alerts, versions, handshake_ms],
    }
    CaptureCertificate {
        Said: [subject, issuer],
        Name: [san],
        words: [not_before, not_after, by, refs],
    }
    CaptureHttp {
        Said: [methods],
        words: [responses_by_code, grpc_by_status, rst_stream, goaway, response_time_ms],
    }
    CaptureDns {
        parts: [failed_names],
        words: [responses_by_rcode, response_time_ms],
    }
    CaptureFailedName {
        Name: [name, clients, servers],
        words: [rcode, first, last, refs],
    }
    CaptureServer {
        Name: [server, name],
        words: [hop, handshake_rtt_us, tls_handshake_ms, response_time_ms],
    }
    CaptureTrouble {
        Said: [text, spoken],
        Name: [server, name],
        parts: [clients],
        words: [kind, by, hop, first, last, refs],
    }
    CaptureClient {
        Name: [address, name],
    }
    Stream {
        Name: [client, server, client_name, server_name],
        parts: [tls, http],
        words: [input, start, end, hop, outcome, opening, close, client_sent, server_sent, icmp_error],
    }
    StreamTls {
        Name: [sni],
        Said: [alpn, alpn_offered],
        words: [version, alert, cipher_suite],
    }
    StreamHttp {
        Name: [host],
        Said: [user_agent],
        words: [responses_by_code, grpc_by_status],
    }
    Correlation {
        parts: [by_destination, examples],
        words: [unjoined_because, told_by, paired_proxies, clock, time_spent_ms, time_spent_from],
    }
    DestinationSpent {
        Name: [name],
        words: [reporter, from, time_spent_ms],
    }
    JoinExample {
        Said: [story],
        parts: [stream],
        words: [request, told_by, time_spent_ms],
    }
    StreamRef {
        Name: [client, server],
        words: [input],
    }
    Topology {
        parts: [nodes, edges],
    }
    TopologyNode {
        Name: [name],
        words: [kind],
    }
    TopologyEdge {
        Name: [source, destination],
    }
    Limit {
        Said: [what],
        words: [table],
    }

    diff::Diff {
        parts: [before, after, changes, too_few],
        words: [schema, tool, outcome],
    }
    diff::Side {
        Path: [label],
        Said: [headline],
        words: [start, end, state],
    }

    Shown {
        parts: [excerpts, unresolved],
        words: [schema],
    }
    Unresolved {
        Path: [reference],
        Said: [why],
    }
    Excerpt {
        Path: [path],
        Said: [says, wireshark],
        Name: [client, server],
        parts: [lines, frames],
    }
    ShownLine {
        Line: [text],
    }
    ShownFrame {
        parts: [frame],
    }
    Frame {
        Name: [source, destination],
        Said: [text, request_id],
    }

    Trace {
        Said: [request_id, connection],
        Path: [inputs],
        parts: [participants, connections, rows, events],
        words: [schema],
    }
    Participant {
        Name: [name, address],
        words: [kind],
    }
    Connection {
        Name: [client, server],
        Said: [wireshark],
    }
    Row {
        Request: [request],
        Said: [details, request_id],
        Name: [pod, cluster, upstream_local, upstream_host, downstream_local, downstream_remote],
        words: [flags],
    }
    trace::Event {
        Said: [text],
        words: [kind],
    }
}

/// Names of flags and codes are no names of the mesh.
impl Texts for LatencyScope {
    fn edit(&mut self, editor: &mut dyn Edit) {
        let content = match self.kind.as_str() {
            "all" | "flag" | "code" => Content::Said,
            _ => Content::Name,
        };
        editor.text(content, &mut self.name);
    }
}

fn of_kind(kind: diff::Kind) -> Content {
    match kind {
        diff::Kind::Destination | diff::Kind::Route | diff::Kind::Source | diff::Kind::Connections => {
            Content::Name
        }
        _ => Content::Said,
    }
}

impl Texts for diff::Change {
    fn edit(&mut self, editor: &mut dyn Edit) {
        editor.text(of_kind(self.kind), &mut self.name);
        editor.text(Content::Id, &mut self.id);
    }
}

impl Texts for diff::TooFew {
    fn edit(&mut self, editor: &mut dyn Edit) {
        editor.text(of_kind(self.kind), &mut self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;
    use serde_json::Value;
    use std::collections::{BTreeMap, BTreeSet};

    /// Whether a schema can hold a text that is none of a fixed list and no time.
    fn may_hold_text(schema: &Value, definitions: &Value) -> bool {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap();
            let definition = &definitions[name];
            return definition["properties"].is_object() || may_hold_text(definition, definitions);
        }
        if ["anyOf", "oneOf", "allOf"].iter().any(|of| {
            let list = schema[of].as_array();
            list.is_some_and(|list| list.iter().any(|one| may_hold_text(one, definitions)))
        }) {
            return true;
        }
        let is = |name: &str| match &schema["type"] {
            Value::String(kind) => kind == name,
            Value::Array(kinds) => kinds.iter().any(|kind| kind == name),
            _ => false,
        };
        (is("string") && schema["enum"].is_null() && schema["const"].is_null() && schema["format"].is_null())
            || (is("array") && may_hold_text(&schema["items"], definitions))
            || is("object")
    }

    /// Fields of each type that can hold texts.
    fn fields(schema: &Value) -> BTreeMap<String, BTreeSet<String>> {
        let definitions = &schema["$defs"];
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let types = definitions.as_object().unwrap().iter();
        let root = schema["title"].as_str().unwrap().to_owned();
        for (name, definition) in types.chain([(&root, schema)]) {
            let Some(properties) = definition["properties"].as_object() else {
                continue;
            };
            let texts = properties.iter().filter(|(_, of)| may_hold_text(of, definitions));
            all.insert(name.clone(), texts.map(|(name, _)| name.clone()).collect());
        }
        all
    }

    /// Types that hold nothing but words of this program, numbers and times; or say themselves what they hold.
    const OTHERS: &[&str] = &[
        "Privacy",
        "Spread",
        "Tool",
        "Run",
        "Window",
        "TimeQuality",
        "Impact",
        "Ref",
        "ValidFor",
        "ReporterCounts",
        "Retries",
        "LatencyScope",
        "HistogramBucket",
        "TimeBucket",
        "Gap",
        "CapturePoint",
        "CaptureStreams",
        "Times",
        "CaptureTcp",
        "CaptureAlert",
        "CaptureHonesty",
        "StreamClose",
        "StreamAlert",
        "StreamSide",
        "ClockOffset",
        "PairedProxies",
        "Quantiles",
        "Bounds",
        "Measure",
        "QuantileChange",
        "ShareOver",
        "TooFew",
    ];

    #[test]
    fn every_field_that_can_hold_a_text_is_listed() {
        let report: Value = serde_json::from_str(&crate::report::schema::text().unwrap()).unwrap();
        let diff = serde_json::to_value(schemars::schema_for!(diff::Diff)).unwrap();
        for (schema, prefix) in [(report, ""), (diff, "diff::")] {
            for (name, fields) in fields(&schema) {
                let listed = LISTED
                    .iter()
                    .find(|(listed, _)| *listed == format!("{prefix}{name}").replace("::", " :: "))
                    .or_else(|| {
                        LISTED
                            .iter()
                            .find(|(listed, _)| listed.replace(' ', "") == format!("{prefix}{name}"))
                    });
                let Some((_, listed)) = listed else {
                    assert!(
                        OTHERS.contains(&name.as_str()) || prefix == "diff::" && name == "Change",
                        "{prefix}{name} is in no list of texts"
                    );
                    continue;
                };
                for field in fields {
                    let known = match field.as_str() {
                        "ref" => "place",
                        "where" => "condition",
                        name => name,
                    };
                    assert!(
                        listed.contains(&known),
                        "{prefix}{name}.{field} is in no list of texts"
                    );
                }
            }
        }
    }

    /// Puts one text in place of every text.
    struct Same(&'static str);

    impl Edit for Same {
        fn text(&mut self, _: Content, text: &mut String) {
            self.0.clone_into(text);
        }
    }

    #[test]
    fn nothing_of_a_log_is_passed_by() {
        for mut report in [
            fixtures::with_text_everywhere("from-the-log"),
            fixtures::captured_with_text("from-the-log"),
        ] {
            // What the fixtures put where only this program's words stand.
            report.edit(&mut Same("edited"));
            let shown = serde_json::to_value(&report).unwrap();
            for path in [
                "inputs",
                "findings",
                "signatures",
                "timeline",
                "topology",
                "captures",
                "missing",
            ] {
                let mut left = Vec::new();
                gather(&shown[path], path, &mut left);
                assert_eq!(left, Vec::<String>::new());
            }
            assert!(report.quotes.iter().all(|quote| quote.text == "edited"));
        }
    }

    /// Members in which the log's text is left, but for those of words.
    fn gather(value: &Value, at: &str, left: &mut Vec<String>) {
        const WORDS: &[&str] = &[
            "kind",
            "format",
            "compression",
            "wrapper",
            "zone",
            "not_after",
            "not_before",
            "cause",
            "id",
            "title",
            "source",
            "severity",
            "metric",
            "documented_in",
            "from",
            "by",
            "level",
            "description",
            "flags",
            "signatures",
            "inputs",
            "hop",
            "rcode",
            "reporter",
            "alpn",
            "icmp",
            "link_types",
            "version",
            "versions",
            "responses_by_code",
            "grpc_by_status",
            "responses_by_rcode",
            "cipher_suite",
            "outcome",
            "hops",
        ];
        match value {
            Value::String(text) if text.contains("from-the-log") => left.push(at.to_owned()),
            Value::Array(list) => list.iter().for_each(|one| gather(one, at, left)),
            Value::Object(members) => {
                for (name, member) in members {
                    let of_signature = at.ends_with("signatures") && name != "examples";
                    let word = WORDS.contains(&name.as_str()) && !member.is_object();
                    if !of_signature && !word {
                        gather(member, &format!("{at}.{name}"), left);
                    }
                }
            }
            _ => {}
        }
    }
}
