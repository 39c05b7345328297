//! What saved output of commands says, line by line: facts by their subject, with the first places.

use super::Merge;
use super::bounded::Key;
use super::signatures::example_text;
use crate::decode::output::{
    DurationsFact, Fact, Figure, HostState, Mtls, Probed, RequestsFact, SeriesFact, Sync,
};
use crate::units::{Place, Timestamp};
use std::collections::BTreeMap;

/// Facts kept.
pub const LIMIT: usize = 8192;

/// Places kept of one fact.
const PLACES: usize = 3;

/// What a fact is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Proxy and control plane.
    Proxy(Sync),
    /// Message of the analyzer, by code; true from Warning on.
    Message(String, bool),
    /// Cluster that is configured.
    Cluster,
    /// Host of a cluster.
    Host(HostState),
    /// Certificate; true if it was valid when the command ran.
    Certificate(bool),
    /// Pod, with what is wrong with it.
    Pod(String),
    /// A figure, and what it is.
    Figure(Figure, u64),
    /// Waypoint of a service, empty for none.
    Waypoint(String),
    /// Whether ztunnel takes traffic for a pod.
    Tunnel(bool),
    /// Level of a logger.
    Logger(String),
    /// State of a proxy and seconds since its start.
    Server(String, u64),
    /// Requests that a metric counts.
    Requests(RequestsFact),
    /// Durations that a metric holds.
    Durations(DurationsFact),
    /// A container that ended, and why.
    Terminated(String, String),
    /// What a pod or a host takes.
    Mtls(Mtls),
    /// How a figure went.
    Series(SeriesFact),
    /// How something went that was tried by hand; the subject is the host.
    Probe(Probed),
    /// Warning event, by reason.
    Event(String),
    /// Event with a time, by reason; true if it is a warning.
    Happened(String, bool),
}

/// A fact and whom it concerns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FactKey {
    /// What it is about.
    pub topic: Topic,
    /// Proxy, object, cluster, certificate or pod.
    pub subject: String,
}

impl FactKey {
    /// Figures of a page that does not say whose it is are of the proxy that its path names.
    pub fn belong_to(&mut self, proxy: &str) {
        if self.subject.is_empty() && matches!(self.topic, Topic::Figure(..) | Topic::Server(..)) {
            proxy.clone_into(&mut self.subject);
        }
    }
}

impl Key for FactKey {
    type Lump = ();

    /// All facts of one subject are kept or none, so that what is not said of it was not there.
    fn key_hash(&self) -> u64 {
        super::stable_hash(self.subject.as_bytes())
    }

    fn lump(&self) {}
}

/// Lines that say it.
#[derive(Clone, Debug, Default)]
pub struct FactSum {
    /// How many.
    pub count: u64,
    /// Earliest time that the lines name: the end of a certificate, the time of an event.
    pub time: Option<Timestamp>,
    /// First places with their text.
    pub places: BTreeMap<Place, String>,
}

impl Merge for FactSum {
    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.time = super::signatures::earliest(self.time, other.time);
        self.places.extend(other.places);
        while self.places.len() > PLACES {
            self.places.pop_last();
        }
    }
}

/// A fact as it is summed.
pub fn summed(fact: Fact, place: Place, line: &[u8]) -> (FactKey, FactSum) {
    let mut time = None;
    let (topic, subject) = match fact {
        Fact::Proxy { name, sync } => (Topic::Proxy(sync), name),
        Fact::Message {
            code,
            subject,
            severe,
        } => (Topic::Message(code, severe), subject),
        Fact::Cluster { cluster } => (Topic::Cluster, cluster),
        Fact::Host { cluster, state } => (Topic::Host(state), cluster),
        Fact::Certificate {
            name,
            not_after,
            valid,
        } => {
            time = Some(not_after);
            (Topic::Certificate(valid), name)
        }
        Fact::Pod { name, trouble } => (Topic::Pod(trouble), name),
        Fact::Figure {
            subject,
            figure,
            value,
        } => (Topic::Figure(figure, value), subject),
        Fact::Waypoint { service, waypoint } => (Topic::Waypoint(waypoint), service),
        Fact::Tunnel { pod, hbone } => (Topic::Tunnel(hbone), pod),
        Fact::Logger { name, level } => (Topic::Logger(level), name),
        Fact::Server { state, uptime_s } => (Topic::Server(state, uptime_s), String::new()),
        Fact::Requests(requests) => {
            let subject = requests.destination.clone();
            (Topic::Requests(requests), subject)
        }
        Fact::Durations(durations) => {
            let subject = durations.destination.clone();
            (Topic::Durations(durations), subject)
        }
        Fact::Terminated {
            pod,
            container,
            reason,
            at,
        } => {
            time = at;
            (Topic::Terminated(container, reason), pod)
        }
        Fact::Series(series) => {
            time = Some(series.start);
            let subject = series.subject.clone();
            (Topic::Series(series), subject)
        }
        Fact::Mtls { subject, mode } => (Topic::Mtls(mode), subject),
        Fact::Probe { host, probed } => (Topic::Probe(probed), host),
        Fact::Event { object, reason } => (Topic::Event(reason), object),
        Fact::Happened {
            object,
            reason,
            at,
            warning,
        } => {
            time = Some(at);
            (Topic::Happened(reason, warning), object)
        }
    };
    let sum = FactSum {
        count: 1,
        time,
        places: BTreeMap::from([(place, example_text(line))]),
    };
    (FactKey { topic, subject }, sum)
}
