//! What collectors and stores of logs put around a line: an object of JSON, one a line, that has the line in one member and whose line
//! it is in others.
//!
//! Names of members: Fluent Bit and Fluentd (filter `kubernetes`), Vector (`kubernetes_logs`), Filebeat (ECS), Promtail and Grafana Alloy
//! (labels of Loki, `logcli --output=jsonl`), the OpenTelemetry collector (`k8s.*` of its semantic conventions), exports of Elasticsearch
//! (`_source`), Splunk (`_raw`), Google Cloud Logging (`textPayload`, `jsonPayload`) and `VictoriaLogs` (`_msg`).

use super::json::{Members, Value};
use memchr::{memchr, memmem};

/// Objects in each other that are gone into.
const MAX_DEPTH: u32 = 4;

/// Names of pods are at most 253 bytes (RFC 1123 as Kubernetes applies it); those of namespaces and containers less.
const MAX_NAME_BYTES: usize = 253;

/// What such an object says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope<'block> {
    /// The line: a text, or an object that is the line as it was parsed; null where there is none.
    pub(super) line: Value<'block>,
    /// Time of writing, as it stands there.
    pub(super) time: Option<&'block [u8]>,
    /// `stdout` or `stderr`.
    pub(super) stream: Option<&'block [u8]>,
    /// The runtime cut the line here (`P` where CRI's tag was kept).
    pub(super) partial: bool,
    pub(super) pod: Option<&'block [u8]>,
    pub(super) namespace: Option<&'block [u8]>,
    pub(super) container: Option<&'block [u8]>,
    /// It has what component lines in JSON have.
    is_component: bool,
}

/// What a member says, by its key.
enum Role {
    Line,
    /// A line that was parsed: its members stand in an object.
    Parsed,
    Time,
    Stream,
    Tag,
    Pod,
    Namespace,
    Container,
    /// Members that name or hold the line stand in it.
    Inside,
    /// What only component lines have.
    Scope,
}

impl<'block> Envelope<'block> {
    /// What the object that `text` is says; `None` if it is none, or begins as rows and component lines do.
    pub(super) fn read(text: &'block [u8]) -> Option<Self> {
        let mut envelope = Self {
            line: Value::Null,
            time: None,
            stream: None,
            partial: false,
            pod: None,
            namespace: None,
            container: None,
            is_component: false,
        };
        // An array with an element a line.
        let text = text.strip_suffix(b",").unwrap_or(text);
        let is_record = matches!(
            first_key(text)?,
            b"authority" | b"bytes_received" | b"level" | b"method" | b"response_code" | b"start_time"
        );
        if is_record && !may_name(text) {
            return None;
        }
        envelope.add(text, MAX_DEPTH)?;
        Some(envelope)
    }

    fn add(&mut self, text: &'block [u8], depth: u32) -> Option<()> {
        let mut members = Members::new(text);
        while let Some(member) = members.next().ok()? {
            let Some(role) = role(member.key) else { continue };
            match (role, member.value) {
                (Role::Line, line @ (Value::Text(_) | Value::Escaped(_))) if self.line == Value::Null => {
                    self.line = line;
                }
                (Role::Parsed, line @ Value::Object(_)) => self.line = line,
                (Role::Time, Value::Text(time)) => {
                    self.time.get_or_insert(time);
                }
                (Role::Stream, Value::Text(stream)) => {
                    self.stream.get_or_insert(stream);
                }
                (Role::Tag, Value::Text(tag)) => self.partial |= tag == b"P",
                (Role::Pod, value) => set(&mut self.pod, value),
                (Role::Namespace, value) => set(&mut self.namespace, value),
                (Role::Container, value) => set(&mut self.container, value),
                (Role::Stream | Role::Inside, Value::Object(inside)) if depth > 0 => {
                    self.add(inside, depth.saturating_sub(1))?;
                }
                (Role::Scope, _) => self.is_component = true,
                _ => {}
            }
        }
        Some(())
    }

    /// True if it says whose line it holds: one name alone may be a member of an application's own line.
    pub(super) fn is_named(&self) -> bool {
        self.pod.is_some() && (self.namespace.is_some() || self.container.is_some())
    }

    /// True if it is one whatever the line in it begins with.
    pub(super) fn is_certain(&self) -> bool {
        self.is_named() && !self.is_component
    }
}

fn first_key(text: &[u8]) -> Option<&[u8]> {
    let key = text.strip_prefix(b"{")?.trim_ascii_start().strip_prefix(b"\"")?;
    key.get(..memchr(b'"', key)?)
}

/// Whether pod and container may be named in a text.
pub(super) fn may_name(text: &[u8]) -> bool {
    const NAMING: [&[u8]; 3] = [b"\"kubernetes", b"\"pod", b"\"k8s"];
    NAMING.iter().any(|name| memmem::find(text, name).is_some())
}

/// Sets a name, which may stand in an object as its `name`.
fn set<'block>(name: &mut Option<&'block [u8]>, value: Value<'block>) {
    let found = match value {
        Value::Text(text) => Some(text),
        Value::Object(object) => {
            let mut members = Members::new(object);
            std::iter::from_fn(|| members.next().ok().flatten()).find_map(|member| {
                match (member.key, member.value) {
                    (b"name", Value::Text(text)) => Some(text),
                    _ => None,
                }
            })
        }
        _ => None,
    };
    *name = name.or(found.filter(|name| (1..=MAX_NAME_BYTES).contains(&name.len())));
}

/// Where collectors put the names that Kubernetes knows.
const PLACES: [&[u8]; 6] = [
    b"kubernetes.",
    b"kubernetes_",
    b"resource.labels.",
    b"labels.",
    b"k8s.",
    b"k8s_",
];

fn role(key: &[u8]) -> Option<Role> {
    Some(match key {
        b"log" | b"message" | b"msg" | b"line" | b"textPayload" | b"_raw" | b"@message" | b"MESSAGE"
        | b"body" | b"_msg" => Role::Line,
        b"jsonPayload" | b"log_processed" => Role::Parsed,
        b"time" | b"timestamp" | b"@timestamp" | b"_time" => Role::Time,
        // Loki's API has labels under it.
        b"stream" => Role::Stream,
        b"logtag" | b"_p" => Role::Tag,
        b"kubernetes" | b"k8s" | b"labels" | b"resource" | b"attributes" | b"fields" | b"_source"
        | b"result" => Role::Inside,
        b"scope" | b"logger" => Role::Scope,
        _ => {
            let name = PLACES
                .iter()
                .find_map(|place| key.strip_prefix(*place))
                .unwrap_or(key);
            match name {
                b"pod" | b"pod_name" | b"podName" | b"pod.name" => Role::Pod,
                b"namespace" | b"namespace_name" | b"namespaceName" | b"namespace.name"
                | b"pod_namespace" => Role::Namespace,
                b"container" | b"container_name" | b"containerName" | b"container.name" => Role::Container,
                _ => return None,
            }
        }
    })
}
