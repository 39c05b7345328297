//! `kubectl describe pod`: how containers ended, and what they may use; `istioctl x describe pod`: what a pod takes.
//!
//! Sources: istio/istio `istioctl/pkg/describe/describe.go` (`printPeerAuthentication`); kubernetes/kubectl `pkg/describe/describe.go` (`describePod`, `describeContainers`, `describeStatus`).

use super::tree::Starts;
use super::{Said, Statement, number_of};
use crate::decode::output::{Fact, Figure, Mtls, quantity};
use crate::units::Timestamp;

/// Longest name that is kept.
const NAME_CHARS_MAX: usize = 253;

/// Where a line stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Containers,
    Other,
}

/// Which of the lines below a container's name it is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// `Last State:`, or `State:` if it says that it ended.
    Ended,
    Limits,
    Other,
}

/// Adds what the text says of containers.
pub(super) fn read(data: &[u8], starts: &Starts, limit: usize, out: &mut Vec<Said>) {
    let mut pod = String::new();
    let mut container = String::new();
    let (mut section, mut part) = (Section::Other, Part::Other);
    let mut reason: Option<(usize, String)> = None;
    for (number, line) in data.split(|byte| *byte == b'\n').enumerate() {
        if out.len() >= limit {
            return;
        }
        let text = String::from_utf8_lossy(line);
        let indent = text.len().saturating_sub(text.trim_start().len());
        let (key, value) = text.trim().split_once(':').unwrap_or((text.trim(), ""));
        let value = value.trim();
        match (indent, key) {
            // The second is istioctl's.
            (0, "Name" | "Pod") => {
                pod = name(value);
                section = Section::Other;
            }
            (_, "Workload mTLS mode" | "Workload mTLS") => {
                let mode = match value.split([' ', ',']).next().unwrap_or_default() {
                    "STRICT" => Mtls::Strict,
                    "PERMISSIVE" => Mtls::Permissive,
                    "DISABLE" | "DISABLED" => Mtls::Disabled,
                    _ => continue,
                };
                out.push(Said {
                    line: starts.spot(number_of(number)),
                    statement: Statement::Fact(Fact::Mtls {
                        // `pod.namespace`
                        subject: pod.split('.').next().unwrap_or_default().to_owned(),
                        mode,
                    }),
                });
            }
            (0, "Containers" | "Init Containers") => section = Section::Containers,
            (0, key) if !key.is_empty() => section = Section::Other,
            (2, key) if section == Section::Containers && value.is_empty() => {
                container = name(key);
                (part, reason) = (Part::Other, None);
            }
            (4, "Last State" | "State") if section == Section::Containers => {
                part = if value == "Terminated" {
                    Part::Ended
                } else {
                    Part::Other
                };
                reason = None;
            }
            (4, "Limits") if section == Section::Containers => part = Part::Limits,
            (4, _) => part = Part::Other,
            (6, "Reason") if part == Part::Ended => reason = Some((number, name(value))),
            (6, "Finished") if part == Part::Ended => {
                let Some((line, reason)) = reason.take() else {
                    continue;
                };
                out.push(Said {
                    line: starts.spot(number_of(line)),
                    statement: Statement::Fact(Fact::Terminated {
                        pod: pod.clone(),
                        container: container.clone(),
                        reason,
                        at: time(value),
                    }),
                });
            }
            (6, "memory") if part == Part::Limits => {
                if let Some(value) = quantity(value.as_bytes()) {
                    out.push(Said {
                        line: starts.spot(number_of(number)),
                        statement: Statement::Fact(Fact::Figure {
                            subject: format!("{pod}/{container}"),
                            figure: Figure::MemoryLimitBytes,
                            value,
                        }),
                    });
                }
            }
            _ => {}
        }
    }
}

fn name(value: &str) -> String {
    value.chars().take(NAME_CHARS_MAX).collect()
}

/// `Tue, 24 Nov 2026 10:02:03 +0000` (RFC 2822).
fn time(value: &str) -> Option<Timestamp> {
    let zoned = jiff::fmt::rfc2822::parse(value).ok()?;
    i64::try_from(zoned.timestamp().as_nanosecond())
        .ok()
        .map(Timestamp)
}
