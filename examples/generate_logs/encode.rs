//! A row as Istio's default text line (release 1.23 and later) or as its default JSON object (sorted keys).
//!
//! No text of a generated row needs escaping in JSON.

use crate::row::Row;
use postmesh::units::Timestamp;
use std::io::{self, Write};

/// Turns rows into lines.
#[derive(Debug)]
pub(crate) struct Encoder {
    json: bool,
    /// The second whose text is at hand: rows share it by the hundred.
    second: i64,
    second_text: String,
}

impl Encoder {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            second: i64::MIN,
            second_text: String::new(),
        }
    }

    /// Appends the row with its line end.
    pub(crate) fn write(&mut self, row: &Row<'_>, out: &mut Vec<u8>) -> io::Result<()> {
        if self.json {
            self.write_json(row, out)
        } else {
            self.write_text(row, out)
        }
    }

    /// Date and time without the fraction.
    fn text_of_second(&mut self, ms: i64) -> &str {
        let second = ms.div_euclid(1000);
        if second != self.second {
            self.second = second;
            self.second_text = Timestamp::from_secs(second).to_string();
            self.second_text.truncate("2026-11-02T02:00:00".len());
        }
        &self.second_text
    }

    fn write_text(&mut self, row: &Row<'_>, out: &mut Vec<u8>) -> io::Result<()> {
        let outcome = row.outcome;
        let second = self.text_of_second(row.start_ms);
        write!(
            out,
            "[{second}.{:03}Z] \"{} ",
            row.start_ms.rem_euclid(1000),
            row.method
        )?;
        push(out, &[&row.path, " ", row.protocol, "\" "]);
        write!(out, "{} ", outcome.code)?;
        push(
            out,
            &[
                outcome.flags,
                " ",
                outcome.details,
                " - \"",
                outcome.reason,
                "\" ",
            ],
        );
        write!(
            out,
            "{} {} {} ",
            row.received_bytes, row.sent_bytes, row.duration_ms
        )?;
        match row.upstream_ms {
            Some(ms) => write!(out, "{ms}")?,
            None => out.push(b'-'),
        }
        push(
            out,
            &[
                " \"",
                row.forwarded_for.unwrap_or("-"),
                "\" \"",
                row.user_agent,
                "\" \"",
                &row.request_id,
                "\" \"",
                row.authority,
            ],
        );
        push(
            out,
            &[
                "\" \"",
                row.upstream_host.unwrap_or("-"),
                "\" ",
                row.cluster.unwrap_or("-"),
            ],
        );
        push(
            out,
            &[" ", row.upstream_local.unwrap_or("-"), " ", row.downstream_local],
        );
        push(
            out,
            &[" ", row.downstream_remote, " ", row.server_name.unwrap_or("-")],
        );
        push(out, &[" ", row.route.unwrap_or("-"), "\n"]);
        Ok(())
    }

    fn write_json(&mut self, row: &Row<'_>, out: &mut Vec<u8>) -> io::Result<()> {
        let outcome = row.outcome;
        push(
            out,
            &["{\"authority\":\"", row.authority, "\",\"bytes_received\":"],
        );
        write!(out, "{},\"bytes_sent\":{}", row.received_bytes, row.sent_bytes)?;
        push(
            out,
            &[",\"connection_termination_details\":null,\"downstream_local_address\":\""],
        );
        push(
            out,
            &[
                row.downstream_local,
                "\",\"downstream_remote_address\":\"",
                row.downstream_remote,
            ],
        );
        write!(out, "\",\"duration\":{}", row.duration_ms)?;
        push(
            out,
            &[
                ",\"method\":\"",
                row.method,
                "\",\"path\":\"",
                &row.path,
                "\",\"protocol\":\"",
                row.protocol,
            ],
        );
        push(
            out,
            &[
                "\",\"request_id\":\"",
                &row.request_id,
                "\",\"requested_server_name\":",
            ],
        );
        push_value(out, row.server_name);
        write!(out, ",\"response_code\":{}", outcome.code)?;
        push(out, &[",\"response_code_details\":\"", outcome.details]);
        push(
            out,
            &["\",\"response_flags\":\"", outcome.flags, "\",\"route_name\":"],
        );
        push_value(out, row.route);
        let second = self.text_of_second(row.start_ms);
        write!(
            out,
            ",\"start_time\":\"{second}.{:03}Z\"",
            row.start_ms.rem_euclid(1000)
        )?;
        push(out, &[",\"upstream_cluster\":"]);
        push_value(out, row.cluster);
        push(out, &[",\"upstream_host\":"]);
        push_value(out, row.upstream_host);
        push(out, &[",\"upstream_local_address\":"]);
        push_value(out, row.upstream_local);
        match row.upstream_ms {
            Some(ms) => write!(out, ",\"upstream_service_time\":\"{ms}\"")?,
            None => push(out, &[",\"upstream_service_time\":null"]),
        }
        push(out, &[",\"upstream_transport_failure_reason\":"]);
        push_value(out, Some(outcome.reason).filter(|reason| *reason != "-"));
        push(
            out,
            &[",\"user_agent\":\"", row.user_agent, "\",\"x_forwarded_for\":"],
        );
        push_value(out, row.forwarded_for);
        push(out, &["}\n"]);
        Ok(())
    }
}

fn push(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// A JSON string, or null.
fn push_value(out: &mut Vec<u8>, value: Option<&str>) {
    match value {
        Some(text) => push(out, &["\"", text, "\""]),
        None => push(out, &["null"]),
    }
}
