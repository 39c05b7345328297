//! What each figure means.

use super::Context;
use super::element::{Element, el};
use super::inputs;

const DEFINITIONS: [(&str, &str); 14] = [
    (
        "seen by caller, called",
        "Istio's reporter: the caller's proxy (outbound rows) or the called proxy (inbound rows). One request leaves a row at each; the two are never added up or mixed in one percentile.",
    ),
    (
        "requests",
        "HTTP rows of one reporter for each hop: those of the caller where they were read, else those of the called proxy.",
    ),
    (
        "failed",
        "Status 500 or above, no status at all, a gRPC status other than 0, or a response flag that means a failure.",
    ),
    ("denied", "401, 403 or 429 that a proxy made."),
    ("canceled", "The caller went away: neither good nor failed."),
    (
        "by code, flag, detail, protocol",
        "All rows as they stand in the files, so that grep can check them.",
    ),
    (
        "retries",
        "Rows with the same request id, proxy and cluster are attempts of one request; attempts divided by requests is the amplification.",
    ),
    (
        "latency",
        "The duration that Envoy writes, in milliseconds, at three significant digits. Percentiles of good requests never contain failed ones.",
    ),
    (
        "onset",
        "When failures of the finding began to be more than before; told from 20 failures on.",
    ),
    (
        "confidence",
        "0 to 1: how well evidence of several kinds agrees, less what is missing and what speaks against it. No probability.",
    ),
    (
        "impact",
        "Of the requests in the finding's scope and time, how many failed. Without access logs, connections or packets stand for them.",
    ),
    (
        "where the time went",
        "connect and TLS: of a connection made for the request. send: first to last byte of the request. wait: to the first byte of the answer; network and application are its parts. receive: to its last byte. retries: before the last attempt. proxy: the rest.",
    ),
    (
        "connections gone wrong",
        "Not opened, reset or closed with something under way, or at odds over TLS. A connection captured at both its ends is two.",
    ),
    (
        "no data",
        "Nothing was there to examine: not the same as clean, where it was examined and nothing was found.",
    ),
];

/// The section.
pub(super) fn method(context: &Context<'_>) -> Element {
    let mut list = el("dl").class("pairs");
    for (name, meaning) in DEFINITIONS {
        list = list.child(el("dt").text(name)).child(el("dd").text(meaning));
    }
    let report = context.report;
    let tool = format!("{} {}", report.tool.name, report.tool.version);
    el("").child(list).child(
        el("p")
            .class("note")
            .text(format!(
                "Made by {tool} from the inputs above alone; the same inputs give the same figures. "
            ))
            .text(inputs::run(report).unwrap_or_default()),
    )
}
