//! Every text of a document, one after the other, to be changed in place.
//!
//! A field that is added to a document belongs here too; a test finds one that is missing.

use crate::follow::frame::Frame;
use crate::follow::rows::Row;
use crate::follow::show::{Excerpt, Shown, ShownFrame, ShownLine, Unresolved};
use crate::follow::trace::{self, Participant, Trace};
use crate::report::model::{
    Application, Breakdown, CaptureAlert, CaptureCertificate, CaptureClient, CaptureDns, CaptureFailedName,
    CaptureHttp, CaptureServer, CaptureTcp, CaptureTls, CaptureTrouble, Captures, CatalogInfo, Change,
    ChangePoint, Correlation, DestinationSpent, Event, Evidence, Example, Filters, Finding, Fix, Input,
    InputProblem, JoinExample, Latency, LatencyScope, Limit, LookedAt, Missing, Next, Quantiles, Quote,
    RejectedSample, Report, ReporterCounts, Requests, RuledOut, Scope, Selection, SignatureHits, SlowRequest,
    Step, Stream, StreamAlert, StreamClose, StreamHttp, StreamRef, StreamTls, TimeBucket, TimeQuality,
    Timeline, Tool, Top, TopGroup, Topology, TopologyEdge, TopologyNode, ValidFor, Verdict,
};
use std::collections::BTreeMap;

/// Where a text comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From inputs, or made of what they hold.
    Input,
    /// From the catalogue, with names filled in: commands, manifests, pages.
    Catalog,
    /// Where something stands: names of files, by which it is found again.
    Place,
}

/// What has texts.
pub trait Texts {
    /// Calls `visit` for each of them; `origin` is that of what it is a part of.
    fn texts(&mut self, origin: Origin, visit: &mut dyn FnMut(Origin, &mut String));
}

impl Texts for String {
    fn texts(&mut self, origin: Origin, visit: &mut dyn FnMut(Origin, &mut String)) {
        visit(origin, self);
    }
}

impl<T: Texts> Texts for Option<T> {
    fn texts(&mut self, origin: Origin, visit: &mut dyn FnMut(Origin, &mut String)) {
        if let Some(part) = self {
            part.texts(origin, visit);
        }
    }
}

impl<T: Texts> Texts for Vec<T> {
    fn texts(&mut self, origin: Origin, visit: &mut dyn FnMut(Origin, &mut String)) {
        for part in self {
            part.texts(origin, visit);
        }
    }
}

impl Texts for BTreeMap<u32, String> {
    fn texts(&mut self, origin: Origin, visit: &mut dyn FnMut(Origin, &mut String)) {
        for text in self.values_mut() {
            visit(origin, text);
        }
    }
}

/// Names of counts; those that become the same are added up.
impl Texts for BTreeMap<String, u64> {
    fn texts(&mut self, origin: Origin, visit: &mut dyn FnMut(Origin, &mut String)) {
        let mut changed = Self::new();
        for (mut name, count) in std::mem::take(self) {
            visit(origin, &mut name);
            let sum = changed.entry(name).or_default();
            *sum = sum.saturating_add(count);
        }
        *self = changed;
    }
}

/// Figures by names that are fixed: no two become the same.
macro_rules! by_name {
    ($($figure:ty),*) => {
        $(impl Texts for BTreeMap<String, $figure> {
            fn texts(&mut self, origin: Origin, visit: &mut dyn FnMut(Origin, &mut String)) {
                let mut changed = Self::new();
                for (mut name, figure) in std::mem::take(self) {
                    visit(origin, &mut name);
                    changed.insert(name, figure);
                }
                *self = changed;
            }
        })*
    };
}

by_name!(f64, Quantiles, ReporterCounts);

macro_rules! parts {
    ($($of:ty { $($field:ident),* $(,)? })*) => {
        $(impl Texts for $of {
            fn texts(&mut self, origin: Origin, visit: &mut dyn FnMut(Origin, &mut String)) {
                $(self.$field.texts(origin, visit);)*
            }
        })*
    };
}

macro_rules! of_catalog {
    ($($of:ty { $($field:ident),* $(,)? })*) => {
        $(impl Texts for $of {
            fn texts(&mut self, _: Origin, visit: &mut dyn FnMut(Origin, &mut String)) {
                $(self.$field.texts(Origin::Catalog, visit);)*
            }
        })*
    };
}

of_catalog! {
    Tool { name, version }
    CatalogInfo { version, user_files }
    Next { check, fix, filters, notes, documented_in }
    Filters { wireshark }
    Missing { what, why_it_matters, command }
    Fix { text, command, yaml, risk, valid_for }
    ValidFor { from, to }
}

parts! {
    Report { selection, top, schema, tool, catalog, inputs, missing, verdict, steps, findings, requests, latency, slowest, signatures, timeline, captures, streams, correlation, topology, limits, quotes }
    Quote { text }
    Application { examples }
    RejectedSample { why, text }
    TimeQuality { zone, source, order }
    InputProblem { what }
    Verdict { headline, cause }
    Step { step, evidence, findings, missing, looked_at }
    LookedAt { of, says }
    Finding { id, cause, title, summary, consequence_of, scope, evidence, ruled_out, changed_before, would_overturn, next }
    Scope { source, destination, cluster, pods, nodes }
    Evidence { text }
    Change { kind, text }
    RuledOut { cause, because }
    Requests { by_reporter, by_code, by_class, by_flag, by_detail, by_protocol, by_destination, by_route, by_source }
    Breakdown { name, reporter, flags, latency }
    LatencyScope { kind, name }
    Latency { scope, reporter, metric, outcome, unit }
    SlowRequest { destination, reporter, request, flags }
    SignatureHits { id, title, cause, source, severity, inputs, examples }
    Example { text }
    Timeline { buckets, change_points, events }
    TimeBucket { flags, signatures }
    ChangePoint { metric, scope }
    Event { kind, text }
    Captures { link_types, tcp, tls, http, dns, icmp, hops, servers, troubles }
    CaptureTcp { openings, closes }
    CaptureTls { alerts, versions, sni, alpn, alpn_offered, certificates }
    CaptureAlert { level, description, by }
    CaptureCertificate { subject, san, not_before, not_after, issuer, by }
    CaptureHttp { responses_by_code, grpc_by_status, methods, rst_stream, goaway }
    CaptureDns { responses_by_rcode, failed_names }
    CaptureFailedName { name, rcode, clients, servers }
    CaptureServer { server, name, hop }
    CaptureTrouble { kind, text, by, spoken, server, name, hop, clients }
    CaptureClient { address, name }
    Stream { client, server, client_name, server_name, hop, outcome, opening, close, tls, http, icmp_error }
    StreamClose { kind, by }
    StreamTls { version, sni, alpn, alpn_offered, alert, cipher_suite }
    StreamAlert { level, description, by }
    StreamHttp { responses_by_code, grpc_by_status, host, user_agent }
    Correlation { time_spent_ms, unjoined_because, told_by, time_spent_from, by_destination, examples }
    DestinationSpent { time_spent_ms, name, reporter, from }
    JoinExample { time_spent_ms, stream, told_by, story }
    StreamRef { client, server }
    Selection { condition }
    Top { groups }
    TopGroup { values }
    Topology { nodes, edges }
    TopologyNode { name, kind }
    TopologyEdge { source, destination }
    Limit { table, what }
}

impl Texts for Input {
    fn texts(&mut self, origin: Origin, visit: &mut dyn FnMut(Origin, &mut String)) {
        self.path.texts(Origin::Place, visit);
        self.member.texts(Origin::Place, visit);
        self.kind.texts(origin, visit);
        self.records_by_kind.texts(origin, visit);
        self.format.texts(origin, visit);
        self.wrapper.texts(origin, visit);
        self.compression.texts(origin, visit);
        self.pod.texts(origin, visit);
        self.namespace.texts(origin, visit);
        self.container.texts(origin, visit);
        self.node.texts(origin, visit);
        self.role.texts(origin, visit);
        self.time.texts(origin, visit);
        self.problems.texts(origin, visit);
        self.rejected_samples.texts(origin, visit);
        self.application.texts(origin, visit);
    }
}

impl Texts for Excerpt {
    fn texts(&mut self, origin: Origin, visit: &mut dyn FnMut(Origin, &mut String)) {
        self.path.texts(Origin::Place, visit);
        self.says.texts(origin, visit);
        self.lines.texts(origin, visit);
        self.client.texts(origin, visit);
        self.server.texts(origin, visit);
        self.wireshark.texts(origin, visit);
        self.frames.texts(origin, visit);
    }
}

impl Texts for Unresolved {
    fn texts(&mut self, origin: Origin, visit: &mut dyn FnMut(Origin, &mut String)) {
        self.reference.texts(Origin::Place, visit);
        self.why.texts(origin, visit);
    }
}

impl Texts for Trace {
    fn texts(&mut self, origin: Origin, visit: &mut dyn FnMut(Origin, &mut String)) {
        self.request_id.texts(origin, visit);
        self.connection.texts(origin, visit);
        self.participants.texts(origin, visit);
        self.connections.texts(origin, visit);
        self.rows.texts(origin, visit);
        self.events.texts(origin, visit);
        self.inputs.texts(Origin::Place, visit);
    }
}

// What `show` and `trace` print.
parts! {
    Shown { excerpts, unresolved }
    ShownLine { text }
    ShownFrame { frame }
    Frame { flags, text, request_id }
    Participant { name, address }
    trace::Connection { client, server, wireshark }
    Row { request, flags, details, cluster, request_id }
    trace::Event { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{fixtures, json};
    use serde_json::Value;

    fn leaves(value: &Value, path: &str, visit: &mut dyn FnMut(&str, &str)) {
        match value {
            Value::String(text) => visit(path, text),
            Value::Array(list) => list.iter().for_each(|part| leaves(part, path, visit)),
            Value::Object(map) => map
                .iter()
                .for_each(|(name, part)| leaves(part, &format!("{path}.{name}"), visit)),
            _ => {}
        }
    }

    #[test]
    fn no_text_of_a_report_is_missed() {
        for mut report in [
            fixtures::with_text_everywhere("x y"),
            fixtures::captured_with_text("x y"),
            fixtures::captured(),
        ] {
            report.texts(Origin::Input, &mut |_, text| "~".clone_into(text));
            let mut data = Vec::new();
            json::render(&report, &mut data).unwrap();
            let mut seen = 0;
            leaves(&serde_json::from_slice(&data).unwrap(), "", &mut |path, text| {
                let name = path.rsplit('.').next().unwrap_or_default();
                let is_time = text.ends_with('Z') && text.starts_with("20");
                let is_enumeration =
                    ["state", "severity", "role", "unit", "kind"].contains(&name) && !text.contains(' ');
                assert!(text == "~" || is_time || is_enumeration, "{path}: {text}");
                seen += 1;
            });
            assert!(seen > 100);
        }
    }
}
