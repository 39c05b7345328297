//! Counts of descriptors and connections as people save them: `lsof`, a list of `/proc/PID/fd`, `/proc/PID/limits`, `ss`, `netstat`.
//!
//! Sources: proc(5); lsof(8), section "Output"; iproute2 `misc/ss.c`; net-tools `netstat.c`. lsof lists memory maps and, with `-K` or in old
//! versions, threads besides: only numbered descriptors of one task count.

use super::tree::Starts;
use super::{Said, Statement, number_of};
use crate::decode::output::{Fact, Figure};
use std::collections::BTreeMap;

/// Lines of the head in which a text is told by.
const HEAD_LINES: usize = 6;

/// Processes that are told apart.
const PROCESSES_MAX: usize = 256;

/// The name of the proxy's process.
const ENVOY: &str = "envoy";

/// What a list is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    /// `ls -l /proc/PID/fd`.
    Links,
    /// `lsof`; the columns of the process, and of the descriptor.
    Lsof,
    /// `ss`, `netstat`.
    Sockets,
}

/// True if the text is one of these.
pub(crate) fn is_sockets(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    text.lines().take(HEAD_LINES).any(|line| {
        list(line).is_some() || limit(line).is_some() || counted(line).is_some() || summed(line).is_some()
    })
}

fn list(line: &str) -> Option<List> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["COMMAND", "PID", rest @ ..] if rest.contains(&"FD") && rest.contains(&"DEVICE") => Some(List::Lsof),
        ["State" | "Netid", ..] if line.contains("Recv-Q") && line.contains("Peer Address:Port") => {
            Some(List::Sockets)
        }
        ["Proto", "Recv-Q", "Send-Q", "Local", "Address", ..] => Some(List::Sockets),
        _ if link(line) => Some(List::Links),
        _ => None,
    }
}

/// `lrwx------ 1 1337 1337 64 Nov 24 10:02 23 -> socket:[123456]`.
fn link(line: &str) -> bool {
    let Some((before, after)) = line.split_once(" -> ") else {
        return false;
    };
    let is_number = before
        .rsplit(' ')
        .next()
        .is_some_and(|fd| !fd.is_empty() && fd.bytes().all(|byte| byte.is_ascii_digit()));
    let to = ["socket:[", "anon_inode:", "pipe:[", "/dev/", "/"];
    line.starts_with('l') && is_number && to.iter().any(|begin| after.starts_with(begin))
}

/// `Max open files  1024  1048576  files`, after the file's name where several were searched.
fn limit(line: &str) -> Option<u64> {
    let at = line.find("Max open files ")?;
    let rest = line.get(at.saturating_add("Max open files ".len())..)?;
    if !(at == 0 || line.starts_with("/proc/")) || !rest.trim_end().ends_with("files") {
        return None;
    }
    // The first is the soft limit, which counts.
    rest.split_whitespace().next()?.parse().ok()
}

/// `1019 /usr/local/bin/envoy -c etc/istio/proxy/envoy-rev.json`: descriptors of a process.
fn counted(line: &str) -> Option<u64> {
    let (count, command) = line.trim_start().split_once(' ')?;
    let program = command.split(' ').next()?;
    (program.starts_with('/') && program.ends_with("/envoy")).then(|| count.parse().ok())?
}

/// `TCP:   210 (estab 150, closed 20, orphaned 0, timewait 20)` of `ss -s`.
fn summed(line: &str) -> Option<u64> {
    let (_, rest) = line.strip_prefix("TCP:")?.split_once("(estab ")?;
    rest.split(',').next()?.parse().ok()
}

/// Adds what the text counts.
pub(super) fn read(data: &[u8], starts: &Starts, limit_of_statements: usize, out: &mut Vec<Said>) {
    let text = String::from_utf8_lossy(data);
    let mut current: Option<(List, usize)> = None;
    let mut links: Option<(usize, u64)> = None;
    let mut established: Option<(usize, u64)> = None;
    let mut processes: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    let mut say = |number: usize, figure: Figure, value: u64| {
        if out.len() < limit_of_statements {
            out.push(Said {
                line: starts.spot(number_of(number)),
                statement: Statement::Fact(Fact::Figure {
                    subject: String::new(),
                    figure,
                    value,
                }),
            });
        }
    };
    for (number, line) in text.lines().enumerate() {
        if let Some(value) = limit(line) {
            say(number, Figure::MaxFiles, value);
        } else if let Some(value) = counted(line) {
            say(number, Figure::OpenFiles, value);
        } else if let Some(value) = summed(line) {
            say(number, Figure::Connections, value);
        } else if let Some(found) = list(line).filter(|found| *found != List::Links) {
            current = Some((found, number));
        } else if link(line) {
            let (_, count) = links.get_or_insert((number, 0));
            *count = count.saturating_add(1);
        } else if let Some((of, header)) = current {
            match of {
                List::Lsof => {
                    if let Some(process) = descriptor(line)
                        && (processes.len() < PROCESSES_MAX || processes.contains_key(process))
                    {
                        let (_, count) = processes.entry(process.to_owned()).or_insert((number, 0));
                        *count = count.saturating_add(1);
                    }
                }
                List::Sockets => {
                    let (_, count) = established.get_or_insert((header, 0));
                    let is_open = line
                        .split_whitespace()
                        .any(|word| matches!(word, "ESTAB" | "ESTABLISHED"));
                    *count = count.saturating_add(u64::from(is_open));
                }
                List::Links => {}
            }
        }
    }
    if let Some((number, count)) = links {
        say(number, Figure::OpenFiles, count);
    }
    for (number, count) in processes.into_values() {
        say(number, Figure::OpenFiles, count);
    }
    if let Some((number, count)) = established {
        say(number, Figure::Connections, count);
    }
}

/// The process of a row of lsof that is a numbered descriptor of Envoy: `envoy 17 istio-proxy 23u IPv4 ...`.
fn descriptor(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let command = words.next()?;
    if command != ENVOY {
        return None;
    }
    let process = words.next()?;
    // Between them may stand a task, its name, and the user.
    let is_descriptor = |word: &str| {
        let digits = word.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        let mode = word.get(digits.len()..).unwrap_or_default();
        !digits.is_empty()
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && mode.starts_with(['r', 'w', 'u'])
            && mode.len() <= 2
    };
    words.take(4).any(is_descriptor).then_some(process)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::document::{Form, read};

    fn figures(text: &str) -> Vec<(Figure, u64, u32)> {
        assert!(is_sockets(text.as_bytes()), "{text}");
        let found = read(text.as_bytes(), Form::Sockets, 0);
        let figure = |said: Said| match said.statement {
            Statement::Fact(Fact::Figure { figure, value, .. }) => (figure, value, said.line.line),
            other => panic!("{other:?}"),
        };
        found.said.into_iter().map(figure).collect()
    }

    #[test]
    fn descriptors() {
        let proc = "\
18 /usr/local/bin/pilot-agent proxy sidecar
1019 /usr/local/bin/envoy -c etc/istio/proxy/envoy-rev.json
/proc/17/limits:Max open files            1024                 1048576              files
";
        assert_eq!(
            figures(proc),
            [(Figure::OpenFiles, 1019, 1), (Figure::MaxFiles, 1024, 2)]
        );
        let links = "\
total 0
lrwx------ 1 1337 1337 64 Nov 24 10:02 0 -> /dev/null
lrwx------ 1 1337 1337 64 Nov 24 10:02 23 -> socket:[123456]
l-wx------ 1 1337 1337 64 Nov 24 10:02 24 -> 'pipe:[7]'
";
        assert_eq!(figures(links), [(Figure::OpenFiles, 2, 1)]);
        let lsof = "\
COMMAND    PID        USER   FD      TYPE  DEVICE SIZE/OFF    NODE NAME
envoy       17 istio-proxy  cwd       DIR   0,123     4096       2 /
envoy       17 istio-proxy  mem       REG   0,123   123456      11 /lib/libc.so.6
envoy       17 istio-proxy    0u      CHR     1,3      0t0       6 /dev/null
envoy       17 istio-proxy   23u     IPv4 9911223      0t0     TCP 10.244.1.5:40412->10.244.2.7:9080 (ESTABLISHED)
pilot-age    1 istio-proxy   23u     IPv4 9911224      0t0     TCP *:15020 (LISTEN)
";
        assert_eq!(figures(lsof), [(Figure::OpenFiles, 2, 3)]);
    }

    #[test]
    fn connections() {
        let ss = "\
State      Recv-Q Send-Q Local Address:Port    Peer Address:Port
ESTAB      0      0      10.244.1.5:40412      10.244.2.7:9080
SYN-SENT   0      1      10.244.1.5:40414      10.244.2.7:9080
ESTAB      0      0      10.244.1.5:40416      10.244.2.8:9080
";
        assert_eq!(figures(ss), [(Figure::Connections, 2, 0)]);
        let summary = "Total: 260\nTCP:   210 (estab 150, closed 20, orphaned 0, timewait 20)\n";
        assert_eq!(figures(summary), [(Figure::Connections, 150, 1)]);
    }

    #[test]
    fn what_is_none_of_these() {
        for text in [
            "2026-11-24T10:02:03Z info Max open files 12",
            "17 requests",
            "ls -> x",
            "State of the mesh: Recv-Q",
        ] {
            assert!(!is_sockets(text.as_bytes()), "{text}");
        }
    }
}
