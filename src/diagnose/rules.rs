//! The rules by which rows and lines show causes: `data/rules.toml`, read once.

use crate::Error;
use crate::aggregate::class::GroupKey;
use serde::Deserialize;

/// `data/rules.toml`, as `build.rs` makes JSON of it.
const BUILT_IN: &str = include_str!(concat!(env!("OUT_DIR"), "/rules.json"));

/// All rules.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Signatures of lines by which a proxy says that it took in new configuration.
    pub config_applied: Vec<String>,
    /// Signatures of lines by which istiod says that it pushed to a proxy.
    pub pushed: Vec<String>,
    /// Signatures of lines by which a proxy says that it has become ready.
    pub became_ready: Vec<String>,
    /// Signatures of lines of applications whose connections nobody took.
    pub refused_to_application: Vec<String>,
    /// Ports on which the control plane serves configuration.
    pub control_plane_ports: Vec<u16>,
    /// Causes that stop traffic to a destination: what is sent again meanwhile is not loss.
    pub stops_traffic: Vec<String>,
    /// Numbers, each with its source in the file.
    pub thresholds: Thresholds,
    /// What lowers the confidence of a finding.
    pub confidence: Factors,
    /// What rows show.
    pub rule: Vec<Rule>,
    /// What errors show that the called proxy made and the caller's takes for the application's.
    pub answer: Vec<Rule>,
    /// What component lines show.
    pub line: Vec<LineRule>,
    /// How sure it is that packets are lost where only the rows of both proxies tell it.
    pub lost_time_confidence: f64,
    /// Lines that tell of a change.
    pub change: Vec<ChangeRule>,
    /// Signatures of lines that are no events.
    pub events_untold: Vec<String>,
    /// What lines are told as on the time line.
    pub event: Vec<EventRule>,
    /// What connections in captures show.
    pub packet: Vec<PacketRule>,
    /// What rows say of faults that connections show closer by.
    pub shown_by_packets: Vec<Consequence>,
    /// What failed names in captures show.
    pub name: NameRule,
    /// Causes that measurements across rows show.
    pub measured: Vec<MeasuredCause>,
    /// Causes on the caller's rows that the called proxy's rows explain.
    pub carried: Vec<Carried>,
    /// Causes that follow from others.
    pub consequence: Vec<Consequence>,
}

/// Numbers of the diagnosis; `data/rules.toml` tells where each comes from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "each is explained beside its value in data/rules.toml"
)]
pub struct Thresholds {
    pub min_failures: u64,
    pub onset_failures: u64,
    pub enough_rows: u64,
    pub blip_ms: i64,
    pub symptoms: u64,
    pub symptom_share: f64,
    pub critical_share: f64,
    pub ejecting_errors: u64,
    pub ejection_lookback_s: i64,
    pub idle_race_ms: i64,
    pub idle_race_share: f64,
    /// Share of good requests up to which nothing gets through to a destination.
    pub got_through_share: f64,
    pub gradual_hosts: usize,
    pub gradual_spread_s: i64,
    pub rate_change_gaps: f64,
    pub cluster_spread: f64,
    pub slow_factor: f64,
    pub slow_floor_ms: u64,
    pub slow_rows: u64,
    pub slow_buckets: usize,
    pub stall_ms: u64,
    pub changed_before_s: i64,
    pub resent_ms: u64,
    pub usual_way_ms: u64,
    pub resent_share: f64,
    pub seen_in_clear: u64,
    pub called_side_share: f64,
    pub startup_s: i64,
    pub leak_samples: u64,
    pub leak_s: u64,
    pub leak_factor: f64,
    pub leak_bytes: u64,
    pub leak_falling: u64,
    pub traffic_factor: f64,
    pub at_limit_share: f64,
    pub proxy_bytes: f64,
    pub bytes_per_route: f64,
    pub bytes_per_cluster: f64,
    pub istiod_bytes: f64,
    pub istiod_bytes_per_1000_services: f64,
    pub explained_factor: f64,
}

/// Lines that tell of a change: a remark where they come shortly before a finding begins.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeRule {
    /// Its name in the report.
    pub kind: String,
    /// One of these hits.
    pub signatures: Vec<String>,
    /// True where it matters whichever proxy writes it; else it must be the caller or a called pod.
    #[serde(default)]
    pub anywhere: bool,
    /// What it says.
    pub says: String,
}

/// What lines, and events of Kubernetes, are told as on the time line.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventRule {
    /// Its name in the report.
    pub kind: String,
    /// One of these hits.
    #[serde(default)]
    pub signatures: Vec<String>,
    /// One of these is the reason of an event.
    #[serde(default)]
    pub reasons: Vec<String>,
}

/// Factors of confidence; `data/rules.toml` tells when each holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "each is explained beside its value in data/rules.toml"
)]
pub struct Factors {
    pub few: f64,
    pub half_seen: f64,
    pub captures_alone: f64,
    pub hidden: f64,
    pub no_effect: f64,
    pub doubt_left_by_configuration: f64,
    pub against_configuration: f64,
}

/// Rows that show a cause.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name.
    pub id: String,
    /// The cause.
    pub cause: String,
    /// How sure it is by itself, 0..1.
    pub confidence: f64,
    /// Which rows.
    #[serde(rename = "match")]
    pub rows: RowMatch,
    /// Measurements that must hold for the rows' destination.
    #[serde(default)]
    pub requires: Vec<String>,
    /// What the rows say.
    pub says: String,
    /// What is said when no row fits; empty to say nothing.
    pub absent: String,
}

/// Which rows; every condition that is given must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RowMatch {
    /// `source` or `destination`.
    pub reporter: Option<String>,
    /// One of these flags is set.
    pub flags: Vec<String>,
    /// One of these stands in details, failure reason or termination details.
    pub text: Vec<String>,
    /// One of these is the cluster.
    pub clusters: Vec<String>,
    /// If the row is of a TCP connection, it names its cluster.
    pub tcp_with_cluster: bool,
    /// One of these is the route.
    pub routes: Vec<String>,
    /// An upstream connection was made, or not.
    pub connected: Option<bool>,
    /// The caller named a server by TLS, or not.
    pub tls: Option<bool>,
    /// The row is of a TCP connection, or not.
    pub tcp: Option<bool>,
    /// One of these is the status.
    pub codes: Vec<u16>,
    /// The body is as long as one of these (see [`crate::aggregate::class::PROXY_BODIES`]).
    pub bodies: Vec<String>,
    /// The row says nothing of why it ended so but by its flags (its layout has no details), or it does.
    pub untold: Option<bool>,
    /// Median duration is at least this.
    pub slower_than_ms: Option<u64>,
    /// Median duration is below this.
    pub faster_than_ms: Option<u64>,
    /// A tenth of the durations are at least this: requests that wait for one connection share its wait, and those that came last
    /// waited for a moment.
    pub tenth_slower_than_ms: Option<u64>,
    /// They are not.
    pub tenth_faster_than_ms: Option<u64>,
}

impl RowMatch {
    /// True if the rows of a group, whose durations have these quantiles, fit.
    pub fn fits(&self, key: &GroupKey, quantile_ms: impl Fn(f64) -> u64) -> bool {
        let any =
            |list: &[String], test: &dyn Fn(&str) -> bool| list.is_empty() || list.iter().any(|x| test(x));
        let reporter = match self.reporter.as_deref() {
            None => true,
            Some(name) => name == key.reporter.name(),
        };
        // Texts are searched last: mostly something else decides.
        reporter
            && self.connected.is_none_or(|c| c == key.connected)
            && self.tls.is_none_or(|t| t == key.tls)
            && self.tcp.is_none_or(|t| t == key.tcp)
            && !(self.tcp_with_cluster && key.tcp && key.cluster.is_empty())
            && self.untold.is_none_or(|u| u == key.is_untold())
            && (self.codes.is_empty() || self.codes.contains(&key.code))
            && any(&self.flags, &|f| key.has_flag(f))
            && any(&self.clusters, &|c| key.cluster == c)
            && any(&self.routes, &|r| key.route == r)
            && any(&self.bodies, &|b| b.len() == usize::from(key.proxy_body))
            && any(&self.text, &|t| {
                [&key.details, &key.failure_reason, &key.termination]
                    .iter()
                    .any(|field| contains_token(field, t))
            })
            && self.slower_than_ms.is_none_or(|ms| quantile_ms(0.5) >= ms)
            && self.faster_than_ms.is_none_or(|ms| quantile_ms(0.5) < ms)
            && self.tenth_slower_than_ms.is_none_or(|ms| quantile_ms(0.9) >= ms)
            && self.tenth_faster_than_ms.is_none_or(|ms| quantile_ms(0.9) < ms)
    }
}

/// True if `text` holds `token`, and where the token ends in a digit no further digit follows: errno 11 is not 111.
fn contains_token(text: &str, token: &str) -> bool {
    let (text, token) = (text.as_bytes(), token.as_bytes());
    let Some((first, rest)) = token.split_first() else {
        return true;
    };
    let numeric = token.last().is_some_and(u8::is_ascii_digit);
    // The texts are short: making a searcher for each would take longer than the search.
    memchr::memchr_iter(*first, text).any(|at| {
        let after = text.get(at + 1..).and_then(|text| text.strip_prefix(rest));
        after.is_some_and(|after| !numeric || !after.first().is_some_and(u8::is_ascii_digit))
    })
}

/// Component lines that show a cause.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineRule {
    /// The cause.
    pub cause: String,
    /// Signatures, one of which must have hit.
    pub signatures: Vec<String>,
    /// How sure it is by itself.
    pub confidence: f64,
    /// Measurements that must hold.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Fewer lines of one proxy are a remark.
    #[serde(default)]
    pub min: u64,
    /// Lines of one proxy that lie closer together than this, first to last, are a remark.
    #[serde(default)]
    pub lasting_s: i64,
    /// Lines that go on for this long accuse without rows that follow (with the measurement `no-push-after`); 0 for never.
    #[serde(default)]
    pub sustained_s: i64,
    /// Signatures that show that it is over: after the last line they make it a remark.
    #[serde(default)]
    pub unless_after: Vec<String>,
    /// Lines that hold one of these speak of another cause.
    #[serde(default)]
    pub unless_text: Vec<String>,
    /// Causes whose rows follow from it.
    pub explains: Vec<String>,
    /// True where the fault lies with the proxy that the line is about, else with the control plane (`caller`).
    #[serde(default)]
    pub of_proxy: bool,
    /// Who the proxy that wrote the line is to the rows that follow: `called`, `caller`, `node` (whose ztunnel it is about),
    /// `machine` (whatever runs there), or `named` where the line names what they called.
    pub at: String,
    /// How long after the last line rows that follow may begin, in seconds; any time if it is absent.
    pub within_s: Option<u64>,
    /// What the lines say.
    pub says: String,
    /// What is said when there is none.
    pub absent: String,
    /// Kinds of logs (`istiod-log`, `ztunnel-log`, `cni-log`, `agent-log`), of which one must have been read to say so; empty
    /// for any.
    #[serde(default)]
    pub absent_from: Vec<String>,
}

/// Connections that show a cause; the keys are explained in the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PacketRule {
    /// Its name.
    pub id: String,
    /// The cause.
    pub cause: String,
    /// Causes that it bears out instead, where rows show one of them: they say more than packets can.
    #[serde(default)]
    pub bears_out: Vec<String>,
    /// Classes of connections, one of which it must be.
    pub trouble: Vec<String>,
    /// Alerts, one of which it must be; empty for any.
    #[serde(default)]
    pub alerts: Vec<String>,
    /// Whose packet showed it: `client` or `server`.
    pub by: Option<String>,
    /// Beginnings of names of ICMP messages, one of which it must be; empty for any.
    #[serde(default)]
    pub icmp: Vec<String>,
    /// The request that got no answer came after idle time, or not.
    pub after_idle: Option<bool>,
    /// The RSTs came from another number of hops away than the server's SYN-ACKs, or did not (or that is not known).
    pub foreign: Option<bool>,
    /// Ports of servers on which it counts; empty for all but the control plane's.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// What the client's first bytes are: `tls`, `http1`, `http2`, `plaintext` or `nothing`.
    pub client_spoke: Option<String>,
    /// What the server's first bytes are.
    pub server_spoke: Option<String>,
    /// Legs on which it counts; empty for all but probes and the way from an application to its own proxy.
    #[serde(default)]
    pub hops: Vec<String>,
    /// How sure it is by itself, 0..1.
    pub confidence: f64,
    /// True if it accuses even where rows show no fault.
    #[serde(default)]
    pub alone: bool,
    /// Fewer are noise.
    pub min: u64,
    /// A smaller share is noise.
    #[serde(default)]
    pub min_share: f64,
    /// What the connections say.
    pub says: String,
    /// What is said when there is none; empty to say nothing.
    pub absent: String,
    /// What is said when there are such connections, and `after_idle` is not as it is for this cause.
    pub otherwise: Option<String>,
}

impl PacketRule {
    /// True if connections that fit accuse together with a few rows that say why: they are no common sight otherwise.
    pub fn accuses_with_rows(&self) -> bool {
        self.alone || self.min_share > 0.0
    }
}

/// Names that did not resolve, as captures show them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameRule {
    /// The cause.
    pub cause: String,
    /// How sure it is by itself, 0..1.
    pub confidence: f64,
    /// Fewer failed questions are noise.
    pub min: u64,
    /// What is said.
    pub says: String,
    /// What is said when there is none.
    pub absent: String,
}

/// See [`Rules::measured`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredCause {
    /// The cause.
    pub cause: String,
    /// What is said where they do not.
    pub absent: String,
}

/// See [`Rules::carried`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Carried {
    /// The causes.
    pub causes: Vec<String>,
}

/// See [`Rules::consequence`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consequence {
    /// What comes first.
    pub of: Vec<String>,
    /// What follows.
    pub cause: String,
}

impl Rules {
    /// The rules that come with the program.
    ///
    /// # Errors
    /// [`Error::BuiltIn`] if they cannot be read.
    pub fn built_in() -> Result<Self, Error> {
        serde_json::from_str(BUILT_IN).map_err(|e| Error::BuiltIn(format!("rules.toml: {e}")))
    }

    /// Rules of rows: of those that a proxy failed, and of errors that came as answers.
    pub fn of_rows(&self) -> impl Iterator<Item = &Rule> {
        self.rule.iter().chain(&self.answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::captures::StreamClass;
    use crate::aggregate::class::PROXY_BODIES;
    use crate::catalog::Catalog;

    #[test]
    fn built_in_rules_name_causes_measures_and_signatures_that_exist() {
        let rules = Rules::built_in().unwrap();
        let catalog = Catalog::built_in().unwrap();
        let causes = rules
            .rule
            .iter()
            .map(|r| &r.cause)
            .chain(rules.answer.iter().map(|r| &r.cause))
            .chain(rules.line.iter().map(|l| &l.cause))
            .chain(rules.measured.iter().map(|m| &m.cause))
            .chain(rules.packet.iter().map(|p| &p.cause))
            .chain([&rules.name.cause])
            .chain(&rules.stops_traffic);
        for cause in causes.chain(
            rules
                .consequence
                .iter()
                .chain(&rules.shown_by_packets)
                .flat_map(|c| c.of.iter().chain([&c.cause])),
        ) {
            assert!(catalog.cause(cause).is_some(), "cause {cause}");
        }
        let of_lines = rules.line.iter().flat_map(|l| &l.signatures);
        let of_heads = [&rules.config_applied, &rules.pushed, &rules.became_ready];
        let of_heads = of_heads
            .into_iter()
            .chain([&rules.refused_to_application])
            .flatten();
        let of_changes = rules.change.iter().flat_map(|change| &change.signatures);
        let of_ends = rules.line.iter().flat_map(|l| &l.unless_after);
        let of_events = rules.event.iter().flat_map(|event| &event.signatures);
        let of_ends = of_ends.chain(of_events).chain(&rules.events_untold);
        for id in of_lines.chain(of_heads).chain(of_changes).chain(of_ends) {
            assert!(catalog.signature(id).is_some(), "signature {id}");
        }
        for name in rules
            .rule
            .iter()
            .flat_map(|r| &r.requires)
            .chain(rules.line.iter().flat_map(|l| &l.requires))
        {
            assert!(
                super::super::measure::NAMES.contains(&name.as_str()),
                "measure {name}"
            );
        }
        let ids = rules.of_rows().map(|r| r.id.as_str());
        let mut ids: Vec<&str> = ids.chain(rules.packet.iter().map(|p| p.id.as_str())).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(
            ids.len(),
            rules.of_rows().count() + rules.packet.len(),
            "ids are unique"
        );
        for body in rules.answer.iter().flat_map(|r| &r.rows.bodies) {
            assert!(PROXY_BODIES.contains(&body.as_str()), "body {body}");
        }
        for rule in &rules.packet {
            for trouble in &rule.trouble {
                assert!(
                    StreamClass::NAMES.contains(&trouble.as_str()),
                    "trouble {trouble}"
                );
            }
        }
    }

    #[test]
    fn an_error_number_is_matched_whole() {
        assert!(contains_token("delayed_connect_error:_111", "connect_error:_111"));
        assert!(!contains_token(
            "delayed_connect_error:_1110",
            "connect_error:_111"
        ));
        assert!(contains_token("a:_1112,b:_111,", ":_111"));
    }
}
