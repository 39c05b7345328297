//! Whole documents of saved output (JSON, YAML) to what their objects say, with the lines that say it.
//!
//! In: the text of a document, bounded by [`DOCUMENT_BYTES_MAX`]. Out: [`Said`], object by object. Never: holds more than one object as a tree,
//! follows an alias, keeps the contents of a secret.

mod aligned;
mod describe;
mod envoy;
pub mod facts;
mod kubernetes;
mod log_format;
mod parse;
mod probe;
mod series;
mod sockets;
pub(crate) mod table;
mod tree;
mod words;
mod ztunnel;

pub(crate) use aligned::is_aligned;
pub use facts::{Said, Spot, Statement};
pub(crate) use probe::is_probe;
pub(crate) use sockets::is_sockets;

use super::output::Fact;
use tree::{Builder, Node, Starts, Value};

/// Bytes of a document that are read. The configuration of a proxy that knows 3,000 services takes some 40 MiB.
pub const DOCUMENT_BYTES_MAX: usize = 64 << 20;

/// Statements kept of one document.
const STATEMENTS_MAX: usize = 1 << 18;

/// Longest message of the analyzer that is kept.
const MESSAGE_CHARS_MAX: usize = 1024;

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// JSON, one document or several.
    Json,
    /// YAML, one document or several.
    Yaml,
    /// `kubectl describe pod`.
    Describe,
    /// An answer of Prometheus.
    Prometheus,
    /// `curl -v`, `nslookup`, `dig`, `openssl s_client`, `iptables`.
    Probe,
    /// Tables of `istioctl ztunnel-config` and `proxy-config listener`.
    Aligned,
    /// `lsof`, `/proc/PID/fd`, `/proc/PID/limits`, `ss`, `netstat`.
    Sockets,
}

/// Where a document cannot be read any further, or was not read whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Damage {
    /// Where.
    pub line: Spot,
    /// What is wrong.
    pub what: String,
}

/// What a document says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Statements in the order of the document.
    pub said: Vec<Said>,
    /// What is wrong with it.
    pub damage: Vec<Damage>,
}

/// A YAML map that is the value of a string.
fn inner(text: &str) -> Option<Node> {
    // As the member of a document it is not an envelope, of which few members are kept.
    let mut document = "spec:\n".to_owned();
    for line in text.lines() {
        document.push(' ');
        document.push_str(line);
        document.push('\n');
    }
    let starts = Starts::of(document.as_bytes(), 0);
    let mut found = None;
    let mut keep = |_: &str, node: Node| found = found.take().or(Some(node));
    let mut builder = Builder::new(&mut keep, &starts);
    // What stands before the first damage counts.
    let _ = parse::parse(document.as_bytes(), Form::Yaml, &mut builder);
    let Value::Map(members) = found?.value else {
        return None;
    };
    let spec = members.into_iter().find(|(name, _)| name == "spec");
    spec.map(|(_, node)| node)
}

/// Reads a document; what stands before its first damage counts.
/// `base_bytes` of the input stand before it.
pub fn read(data: &[u8], form: Form, base_bytes: u64) -> Read {
    let starts = Starts::of(data, base_bytes);
    let mut said = Vec::new();
    match form {
        Form::Describe => {
            describe::read(data, &starts, STATEMENTS_MAX, &mut said);
            return Read {
                said,
                damage: Vec::new(),
            };
        }
        Form::Prometheus => {
            let damage = series::read(data, &starts, STATEMENTS_MAX, &mut said);
            return Read {
                said,
                damage: damage.into_iter().collect(),
            };
        }
        Form::Probe => {
            probe::read(data, &starts, STATEMENTS_MAX, &mut said);
            return Read {
                said,
                damage: Vec::new(),
            };
        }
        Form::Aligned | Form::Sockets => {
            let read = if form == Form::Aligned {
                aligned::read
            } else {
                sockets::read
            };
            read(data, &starts, STATEMENTS_MAX, &mut said);
            return Read {
                said,
                damage: Vec::new(),
            };
        }
        Form::Json | Form::Yaml => {}
    }
    let mut beyond = None;
    let mut found = |list: &str, node: Node| {
        if said.len() < STATEMENTS_MAX {
            object(list, &node, &mut said);
        } else {
            beyond.get_or_insert(node.line);
        }
    };
    let mut builder = Builder::new(&mut found, &starts);
    let stopped = parse::parse(data, form, &mut builder).map(|(line, what)| Damage {
        line: starts.spot(line),
        what,
    });
    let mut damage: Vec<Damage> = stopped.into_iter().collect();
    damage.extend(builder.left_out_at.map(|line| Damage {
        line,
        what: "values that are nested too deep, or too many in one object, are left out from here".to_owned(),
    }));
    damage.extend(beyond.map(|line| Damage {
        line,
        what: format!("the document says more than {STATEMENTS_MAX} things: the rest is left out from here"),
    }));
    damage.sort();
    if form == Form::Json {
        log_format::read(data, &starts, &mut said);
    }
    said.truncate(STATEMENTS_MAX);
    Read { said, damage }
}

/// A line's number, from 0, as places have it.
fn number_of(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

fn object(list: &str, node: &Node, out: &mut Vec<Said>) {
    if node.get("kind").is_some() && node.get("metadata").is_some() {
        kubernetes::read(node, out);
    } else if let (Some(code), Some(level)) = (node.get("code"), node.text_of("level")) {
        out.extend(message(node, code, level));
    } else if ztunnel::is_own(node) {
        ztunnel::read(node, out);
    } else {
        envoy::read(list, node, out);
    }
}

/// A message of `istioctl analyze -o json`.
fn message(node: &Node, code: &Node, level: &str) -> Option<Said> {
    let text = code.text().filter(|code| code.starts_with("IST"))?;
    let fact = Fact::Message {
        code: words::name(text),
        subject: words::name(node.text_of("origin").unwrap_or_default()),
        severe: level != "Info",
    };
    // As it is printed for people, which is what signatures are searched for in.
    let line = format!(
        "{level} [{text}] ({}) {}",
        node.text_of("origin").unwrap_or_default(),
        node.text_of("message").unwrap_or_default()
    );
    Some(Said {
        line: code.line,
        statement: Statement::Message(fact, line.chars().take(MESSAGE_CHARS_MAX).collect()),
    })
}

#[cfg(test)]
mod tests;
