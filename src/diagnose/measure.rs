//! What is measured about the rows of a destination: the named conditions that rules require, each with the
//! words and places that tell what was found.

use super::resets::{self, ResetStats, median, ratio, share_at_least};
use super::rules::{Rules, Thresholds};
use crate::aggregate::Merge;
use crate::aggregate::address;
use crate::aggregate::class::Reporter;
use crate::aggregate::collector::scope_hash;
use crate::aggregate::flags::Outcome;
use crate::aggregate::signatures::{HitKey, Hits};
use crate::aggregate::totals::Dimension;
use crate::catalog::Catalog;
use crate::correlate::{Call, Hop, HopSum, Incident, JoinedRow};
use crate::decode::packet::FrameRef;
use crate::diagnose::answer::EvidenceKind;
use crate::units::{Place, Timestamp};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// The measurement that finds paths in other letter case.
pub const CASE_VARIANT: &str = "case-variant";

/// The measurements that rules may require.
pub const NAMES: [&str; 14] = [
    "called-log-unread",
    "called-proxy-alive",
    "called-proxy-read",
    "called-proxy-silent",
    CASE_VARIANT,
    "ends-when-ready",
    "errors-before",
    "external-name",
    "fresh-connections-reset",
    "idle-before-reset",
    "mesh-name",
    "no-push-after",
    "nothing-got-through",
    "worked-before",
];

/// Everything that a diagnosis looks at.
#[derive(Debug)]
pub struct Facts<'i> {
    /// The incident.
    pub incident: &'i Incident<'i>,
    /// The catalogue.
    pub catalog: &'i Catalog,
    /// The rules.
    pub rules: &'i Rules,
    resets: BTreeMap<u64, ResetStats>,
    by_destination: BTreeMap<&'i str, Vec<usize>>,
    /// Called services with the proxies that wrote rows of their own about being called.
    called_proxies: BTreeMap<&'i str, BTreeSet<&'i str>>,
    hops_by_destination: BTreeMap<&'i str, Vec<usize>>,
    hops_by_source: BTreeMap<&'i str, Vec<usize>>,
    /// Connections seen in captures by their destination.
    connections: BTreeMap<&'i str, u64>,
    /// What [`Self::last_good`] said of a destination.
    last_good: RefCell<BTreeMap<String, Option<Timestamp>>>,
    /// Rows of `incident.joined` by their call, in order of call.
    joined_rows: Vec<(usize, usize)>,
    /// Proxies whose access rows were read.
    pub proxies: usize,
}

/// Something that was measured and holds.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Which measurement.
    pub name: &'static str,
    /// What kind of evidence it is.
    pub kind: EvidenceKind,
    /// What it says.
    pub text: String,
    /// How many records say it.
    pub count: u64,
    /// 0..1.
    pub strength: f64,
    /// Where.
    pub places: Vec<Place>,
    /// Where in captures.
    pub frames: Vec<FrameRef>,
}

impl<'i> Facts<'i> {
    /// Prepares what several measurements share.
    pub fn of(incident: &'i Incident<'i>, catalog: &'i Catalog, rules: &'i Rules) -> Self {
        let mut by_destination: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut called_proxies: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (index, call) in incident.calls.iter().enumerate() {
            by_destination.entry(&call.destination).or_default().push(index);
            if !call.is_source() {
                let proxies = called_proxies.entry(&call.destination).or_default();
                proxies.insert(call.key.proxy());
            }
        }
        let mut hops_by_destination: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut hops_by_source: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, hop) in incident.hops.iter().enumerate() {
            hops_by_destination
                .entry(&hop.destination)
                .or_default()
                .push(index);
            if !hop.source.is_empty() {
                hops_by_source.entry(&hop.source).or_default().push(index);
            }
        }
        let mut connections: BTreeMap<&str, u64> = BTreeMap::new();
        for of_group in incident.connections.iter().filter(|c| c.key.class.is_primary()) {
            *connections.entry(&of_group.destination).or_default() += of_group.group.count;
        }
        let proxies: BTreeSet<&str> = incident.calls.iter().map(|c| c.key.proxy()).collect();
        let proxies = proxies.len();
        let resets = resets::by_scope(&incident.totals.connections, rules.thresholds.idle_race_ms);
        let joined = incident.joined.rows.iter().enumerate();
        let mut joined_rows: Vec<(usize, usize)> = joined.map(|(row, joined)| (joined.call, row)).collect();
        joined_rows.sort_unstable();
        Self {
            incident,
            catalog,
            rules,
            resets,
            by_destination,
            called_proxies,
            hops_by_destination,
            hops_by_source,
            connections,
            last_good: RefCell::default(),
            joined_rows,
            proxies,
        }
    }

    /// Thresholds.
    pub fn thresholds(&self) -> &Thresholds {
        &self.rules.thresholds
    }

    /// A call by its number.
    pub fn call(&self, index: usize) -> Option<&Call<'i>> {
        self.incident.calls.get(index)
    }

    /// The followed rows of a call, in order of place.
    pub fn joined_rows_of(&self, call: usize) -> impl Iterator<Item = &JoinedRow> {
        let first = self.joined_rows.partition_point(|(of, _)| *of < call);
        let rows = self.joined_rows.get(first..).unwrap_or_default().iter();
        rows.take_while(move |(of, _)| *of == call)
            .filter_map(|(_, row)| self.incident.joined.rows.get(*row))
    }

    /// Calls by their numbers.
    pub fn calls<'a>(&'a self, indexes: &'a [usize]) -> impl Iterator<Item = &'a Call<'i>> {
        indexes.iter().filter_map(|&i| self.call(i))
    }

    /// Destinations with the numbers of their calls.
    pub fn destinations(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.by_destination
            .iter()
            .map(|(name, calls)| (*name, calls.as_slice()))
    }

    /// The numbers of all calls to a destination.
    pub fn numbers_to(&self, destination: &str) -> &[usize] {
        self.by_destination.get(destination).map_or(&[], Vec::as_slice)
    }

    /// All calls to a destination.
    pub fn calls_to<'a>(&'a self, destination: &str) -> impl Iterator<Item = &'a Call<'i>> {
        self.calls(self.numbers_to(destination))
    }

    /// True if a called proxy of this destination wrote rows.
    pub fn is_called_side_read(&self, destination: &str) -> bool {
        self.called_proxies.contains_key(destination)
    }

    /// True if this proxy wrote rows about being called as this destination.
    pub fn is_called_proxy_read(&self, destination: &str, proxy: &str) -> bool {
        let proxies = self.called_proxies.get(destination);
        proxies.is_some_and(|proxies| proxies.contains(proxy))
    }

    /// All hops to a destination.
    pub fn hops_to<'a>(&'a self, destination: &str) -> impl Iterator<Item = &'a Hop<'i>> {
        let hops = self
            .hops_by_destination
            .get(destination)
            .map_or(&[][..], Vec::as_slice);
        hops.iter().filter_map(|&i| self.incident.hops.get(i))
    }

    /// All hops of a caller.
    pub fn hops_of<'a>(&'a self, source: &str) -> impl Iterator<Item = &'a Hop<'i>> {
        let hops = self.hops_by_source.get(source).map_or(&[][..], Vec::as_slice);
        hops.iter().filter_map(|&i| self.incident.hops.get(i))
    }

    /// Requests to a destination that completed in the seconds `from..=to`, of those that count.
    pub fn requests_between(&self, destination: &str, from: i64, to: i64) -> HopSum {
        let mut sum = HopSum::default();
        for hop in self.hops_to(destination).filter(|hop| hop.counted) {
            sum.merge(hop.between(from, to));
        }
        sum
    }

    /// All requests to a destination, where what is known of a span is not all.
    pub fn requests_beyond_hops(&self, destination: &str) -> Option<u64> {
        let totals = self.incident.totals;
        let figures = totals.figures.get(&Dimension::Destination)?;
        let of = |reporter: Reporter| -> u64 {
            let of_it = figures.iter().filter(|(key, _)| {
                key.reporter == reporter && self.incident.names.service(&key.name) == destination
            });
            of_it.map(|(_, figures)| figures.requests()).sum()
        };
        totals
            .hops
            .is_incomplete()
            .then(|| of(Reporter::Source).max(of(Reporter::Destination)))
    }

    /// Rows read of calls to a destination, whoever reports.
    pub fn rows_to(&self, destination: &str) -> u64 {
        self.calls_to(destination).map(Call::count).sum()
    }

    /// Connections seen in captures to a destination, `*` for all.
    pub fn connections_to(&self, destination: &str) -> u64 {
        match destination {
            "*" => self.connections.values().sum(),
            _ => self.connections.get(destination).copied().unwrap_or(0),
        }
    }

    /// Proxies with the lines by which they say that they took in new configuration.
    pub fn config_applied(&self) -> impl Iterator<Item = (&String, &Hits)> {
        let hits = self.incident.totals.hits.iter();
        hits.filter(|(key, _)| {
            let signature = self.catalog.signatures.get(usize::from(key.signature));
            signature.is_some_and(|s| self.rules.config_applied.contains(&s.id))
        })
        .map(|(key, hits)| (&key.proxy, hits))
    }

    /// True if a log of this kind was read: one of istiod, ztunnel or istio-cni by the kind of its input, `agent-log` where a
    /// proxy's agent wrote.
    pub fn has_read(&self, kind: &str) -> bool {
        let mut inputs = self.incident.totals.inputs.values();
        inputs.any(|stats| {
            (kind == "agent-log" && stats.agent > 0)
                || stats.others.keys().any(|other| other.input_kind() == Some(kind))
        })
    }

    /// Lines of these signatures that a proxy wrote.
    pub fn lines_of<'a>(
        &'a self,
        signatures: &'a [String],
        proxy: &'a str,
    ) -> impl Iterator<Item = &'a Hits> {
        let known = (0..=u16::MAX).zip(&self.catalog.signatures);
        let wanted = known.filter(|(_, signature)| signatures.contains(&signature.id));
        wanted.filter_map(move |(signature, _)| {
            let proxy = proxy.to_owned();
            self.incident.totals.hits.get(&HitKey { signature, proxy })
        })
    }

    /// Last good completion of calls to a destination; where groups of rows were left out, not before this.
    pub fn last_good(&self, destination: &str) -> Option<Timestamp> {
        if let Some(said) = self.last_good.borrow().get(destination) {
            return *said;
        }
        let last = self.find_last_good(destination);
        self.last_good.borrow_mut().insert(destination.to_owned(), last);
        last
    }

    fn find_last_good(&self, destination: &str) -> Option<Timestamp> {
        let known = self
            .calls_to(destination)
            .filter(|c| c.outcome() == Outcome::Ok && !c.key.tcp)
            .filter_map(|c| c.group.last)
            .max();
        if !self.incident.totals.groups.is_truncated() {
            return known;
        }
        let last_of = |hop: &Hop<'_>| {
            let mut buckets = hop.series.iter().rev();
            let last = buckets.find(|(_, moment)| moment.good.count > 0);
            last.map(|(second, _)| Timestamp::from_secs(second))
        };
        known.max(self.hops_to(destination).filter_map(last_of).max())
    }

    /// First and last completion of calls to a destination; where groups of rows were left out, the second is not before
    /// this.
    fn extent(&self, destination: &str) -> Option<(Timestamp, Timestamp)> {
        let first = self.calls_to(destination).filter_map(|c| c.group.first).min()?;
        let last = self.calls_to(destination).filter_map(|c| c.group.last).max()?;
        if !self.incident.totals.groups.is_truncated() {
            return Some((first, last));
        }
        let seconds = |hop: &Hop<'i>| {
            let mut buckets = hop.series.iter().map(|(second, _)| second);
            let first = buckets.next()?;
            Some((first, buckets.next_back().unwrap_or(first)))
        };
        let hops = self.hops_to(destination).filter_map(seconds);
        Some(hops.fold((first, last), |(began, ended), (first, last)| {
            let (first, last) = (Timestamp::from_secs(first), Timestamp::from_secs(last));
            (began.min(first), ended.max(last))
        }))
    }

    /// Rows (at least as many as an onset takes) that began, or ended, within what was read of their destination: they
    /// are a change and no habit.
    pub fn is_change(&self, destination: &str, calls: &[usize]) -> bool {
        let thresholds = self.thresholds();
        let count: u64 = self.calls(calls).map(Call::count).sum();
        let last = self.calls(calls).filter_map(|c| c.group.last).max();
        let (Some(first), Some(last), Some((began, ended))) =
            (self.first(calls), last, self.extent(destination))
        else {
            return false;
        };
        if count < thresholds.onset_failures {
            return false;
        }
        let silence_ms = (thresholds.rate_change_gaps * ms_between(first, last) / as_f64(count - 1))
            .max(thresholds.rate_change_gaps);
        ms_between(began, first) > silence_ms || ms_between(last, ended) > silence_ms
    }

    /// Measures `name` for rows of `destination` (numbers in `calls`); `None` where it does not hold.
    pub fn measure(&self, name: &str, destination: &str, calls: &[usize]) -> Option<Measured> {
        match name {
            "called-log-unread" => self.called_log_unread(destination, calls),
            "called-proxy-alive" => self.called_proxy_alive(destination, calls),
            "called-proxy-read" => self.called_proxy_read(calls),
            "called-proxy-silent" => self.called_proxy_silent(destination, calls),
            CASE_VARIANT => self.case_variant(destination),
            "ends-when-ready" => super::startup::ends_when_ready(self, calls),
            "errors-before" => self.errors_before(destination, calls),
            "external-name" => external_name(destination),
            "fresh-connections-reset" => self.fresh_connections_reset(calls),
            "idle-before-reset" => self.idle_before_reset(calls),
            "mesh-name" => self.mesh_name(destination),
            "nothing-got-through" => self.nothing_got_through(destination, calls),
            "worked-before" => self.worked_before(destination, calls),
            _ => None,
        }
    }

    fn first(&self, calls: &[usize]) -> Option<Timestamp> {
        self.calls(calls).filter_map(|c| c.group.first).min()
    }

    /// No log of a pod of this destination was read, or none that reaches as far.
    fn called_log_unread(&self, destination: &str, calls: &[usize]) -> Option<Measured> {
        let called: Vec<&Call<'_>> = self.calls_to(destination).filter(|c| !c.is_source()).collect();
        let read = self
            .first(calls)
            .is_none_or(|first| !self.ends_before(&called, first));
        (called.is_empty() || !read).then(|| Measured {
            name: "called-log-unread",
            kind: EvidenceKind::Absence,
            text: format!(
                "no log of the called side of {destination} was read: a proxy that refuses connections and an application that breaks them off look alike here"
            ),
            count: 0,
            strength: 0.2,
            frames: Vec::new(),
            places: Vec::new(),
        })
    }

    /// True if the logs that hold these rows have damaged rows, and no row from `time` on: they may have been cut off.
    fn ends_before(&self, called: &[&Call<'_>], time: Timestamp) -> bool {
        let damaged = |place: &Place| {
            let stats = self.incident.totals.inputs.get(&place.input);
            stats.is_some_and(|stats| stats.rejected() > 0)
        };
        called.iter().all(|c| c.group.last.is_none_or(|last| last < time))
            && called.iter().flat_map(|c| &c.group.places).any(damaged)
    }

    /// Pods that these rows called and whose log was read: a proxy takes the connections to all their ports.
    fn called_pods<'a>(&'a self, calls: &'a [usize]) -> Option<BTreeSet<&'a str>> {
        let pods: Option<BTreeSet<&str>> = self.calls(calls).map(|c| c.destination_pod.as_deref()).collect();
        let pods = pods.filter(|pods| !pods.is_empty())?;
        let mut unread = pods.clone();
        for call in &self.incident.calls {
            if unread.remove(call.key.proxy()) && unread.is_empty() {
                return Some(pods);
            }
        }
        None
    }

    fn called_proxy_read(&self, calls: &[usize]) -> Option<Measured> {
        let pods = self.called_pods(calls)?;
        Some(Measured {
            name: "called-proxy-read",
            kind: EvidenceKind::Join,
            text: format!(
                "{} has a proxy that takes the connections to all ports: if it runs, something on the way refused them; its log does not say whether it ran",
                some(&pods.into_iter().map(str::to_owned).collect::<Vec<_>>(), 2)
            ),
            count: self.calls(calls).map(Call::count).sum(),
            strength: 0.4,
            frames: Vec::new(),
            places: Vec::new(),
        })
    }

    /// The proxies of the called pods went on to log requests meanwhile, of their own or of others.
    fn called_proxy_alive(&self, destination: &str, calls: &[usize]) -> Option<Measured> {
        let pods = self.called_pods(calls)?;
        let first = self.first(calls)?.secs();
        let last = self.calls(calls).filter_map(|c| c.group.last).max()?.secs();
        let own: BTreeSet<&str> = self
            .incident
            .calls
            .iter()
            .filter(|c| c.is_source() && pods.contains(c.key.proxy()))
            .map(|c| c.source.as_str())
            .collect();
        let served = |hop: &Hop<'_>| {
            hop.reporter == Reporter::Destination && hop.destination == destination && pods.len() == 1
        };
        let hops = self.incident.hops.iter();
        let requests: u64 = hops
            .filter(|hop| {
                served(hop) || hop.reporter == Reporter::Source && own.contains(hop.source.as_str())
            })
            .map(|hop| hop.between(first + 1, last - 1).requests)
            .sum();
        (requests >= self.thresholds().min_failures).then(|| Measured {
            name: "called-proxy-alive",
            kind: EvidenceKind::Join,
            text: format!(
                "the proxy of {} ran meanwhile ({requests} requests in its log), and a proxy takes the connections to all ports: something on the way refused them",
                some(&pods.into_iter().map(str::to_owned).collect::<Vec<_>>(), 2)
            ),
            count: requests,
            strength: 0.7,
            frames: Vec::new(),
            places: Vec::new(),
        })
    }

    /// The called proxy's log was read, covers the time, and shows no failure of this destination.
    fn called_proxy_silent(&self, destination: &str, calls: &[usize]) -> Option<Measured> {
        let first = self.first(calls)?;
        let called: Vec<&Call<'_>> = self.calls_to(destination).filter(|c| !c.is_source()).collect();
        let recording = called.iter().any(|c| c.group.first.is_some_and(|t| t <= first));
        let faults = called
            .iter()
            .any(|c| c.outcome() != Outcome::Ok && !c.key.is_answered());
        (recording && !faults && !self.ends_before(&called, first)).then(|| Measured {
            name: "called-proxy-silent",
            kind: EvidenceKind::Absence,
            text: format!(
                "the log of the called proxy was being written and shows no failure of {destination}"
            ),
            count: called.iter().map(|c| c.count()).sum(),
            strength: 0.6,
            frames: Vec::new(),
            places: called
                .iter()
                .filter_map(|c| c.group.places.first())
                .copied()
                .take(2)
                .collect(),
        })
    }

    /// Paths without a route that are routed when written in other letter case, and no more than as many others.
    fn case_variant(&self, destination: &str) -> Option<Measured> {
        let (variants, plain) = self.case_variants(destination);
        let told: Vec<String> = variants
            .iter()
            .map(|(path, routed)| format!("{path} (routed as {routed})"))
            .collect();
        (!told.is_empty() && told.len() >= plain).then(|| Measured {
            name: CASE_VARIANT,
            kind: EvidenceKind::Statistic,
            text: format!(
                "paths without a route differ from routed ones in letter case alone: {}",
                some(&told, 3)
            ),
            count: told.len() as u64,
            strength: 0.95,
            frames: Vec::new(),
            places: Vec::new(),
        })
    }

    /// Paths without a route, each with the spelling that is routed; and how many there are of which no spelling is.
    pub fn case_variants(&self, destination: &str) -> (Vec<(&'i str, &'i str)>, usize) {
        let names = &self.incident.names;
        let port = address::port(destination).unwrap_or_default();
        let (mut variants, mut plain) = (Vec::new(), 0);
        for (key, spellings) in self.incident.totals.paths.table().iter() {
            let authority = &key.authority;
            let with_port = format!("{authority}:{port}");
            if names.service(authority) != destination && names.service(&with_port) != destination {
                continue;
            }
            let routed = spellings.0.iter().find(|(_, seen)| seen.routed);
            let unrouted = spellings
                .0
                .iter()
                .filter(|(_, seen)| seen.unrouted && !seen.routed);
            for (path, _) in unrouted {
                match routed {
                    Some((routed, _)) => variants.push((path.as_str(), routed.as_str())),
                    None => plain += 1,
                }
            }
        }
        (variants, plain)
    }

    /// A burst of errors of the destination's hosts shortly before the first of these rows.
    fn errors_before(&self, destination: &str, calls: &[usize]) -> Option<Measured> {
        let thresholds = self.thresholds();
        let first = self.first(calls)?.secs();
        let from = first - thresholds.ejection_lookback_s;
        let errors: Vec<&Call<'_>> = self
            .calls_to(destination)
            .filter(|c| c.is_source() && !c.key.host.is_empty() && c.outcome() == Outcome::Failed)
            .collect();
        let between = |from: i64, to: i64| -> u64 { errors.iter().map(|c| rows_between(c, from, to)).sum() };
        let (recent, earlier) = (between(from, first), between(i64::MIN, from - 1));
        let start = self.incident.start?.secs();
        let span_before = u64::try_from(from - start).unwrap_or(0);
        let lookback = u64::try_from(thresholds.ejection_lookback_s).unwrap_or(1);
        // Background errors of the application at a steady rate eject nobody: the burst must stand out.
        let steady =
            earlier.saturating_mul(lookback) * 3 > recent.saturating_mul(span_before) && span_before > 0;
        (recent >= thresholds.ejecting_errors && !steady).then(|| Measured {
            name: "errors-before",
            kind: EvidenceKind::Statistic,
            text: format!("{recent} errors came from hosts of {destination} in the {lookback} s before the first call without a host"),
            count: recent,
            strength: 0.85,
            frames: Vec::new(),
            places: first_places(errors.iter().copied(), 3),
        })
    }

    fn worked_before(&self, destination: &str, calls: &[usize]) -> Option<Measured> {
        let first = self.first(calls)?.secs();
        let count: u64 = self
            .hops_to(destination)
            .filter(|hop| hop.reporter == Reporter::Source)
            .map(|hop| hop.between(i64::MIN, first).good)
            .sum();
        (count > 0).then(|| Measured {
            name: "worked-before",
            kind: EvidenceKind::Statistic,
            text: format!(
                "{} to {destination} went well before the first failure",
                counted(count, "call")
            ),
            count,
            strength: 0.3,
            frames: Vec::new(),
            places: Vec::new(),
        })
    }

    fn mesh_name(&self, destination: &str) -> Option<Measured> {
        let clustered = self
            .calls_to(destination)
            .find(|c| c.is_source() && c.key.cluster.starts_with("outbound|"));
        clustered.map(|call| Measured {
            name: "mesh-name",
            kind: EvidenceKind::Log,
            text: format!(
                "earlier calls to {destination} went to its own cluster {}",
                call.key.cluster
            ),
            count: call.count(),
            strength: 0.7,
            frames: Vec::new(),
            places: call.group.places.first().copied().into_iter().collect(),
        })
    }

    /// What came before the resets among these rows, on their connections.
    pub fn reset_stats(&self, calls: &[usize]) -> ResetStats {
        let scopes: BTreeSet<u64> = self
            .calls(calls)
            .map(|c| scope_hash(c.key.reporter, &c.key.destination))
            .collect();
        let mut all = ResetStats::default();
        for stats in scopes.iter().filter_map(|scope| self.resets.get(scope)) {
            all.reset_idle_ms.extend(&stats.reset_idle_ms);
            all.fresh_resets += stats.fresh_resets;
            all.good_used += stats.good_used;
            all.good_idle += stats.good_idle;
        }
        all.reset_idle_ms.sort_unstable();
        all
    }

    /// Resets hit used connections after idle time, and much more often than good rows do.
    fn idle_before_reset(&self, calls: &[usize]) -> Option<Measured> {
        let thresholds = self.thresholds();
        let stats = self.reset_stats(calls);
        let idle_resets = share_at_least(&stats.reset_idle_ms, thresholds.idle_race_ms);
        let of_all = idle_resets * ratio(stats.reset_idle_ms.len() as u64, stats.resets());
        let idle_good = ratio(stats.good_idle, stats.good_used);
        let median_ms = median(&stats.reset_idle_ms)?;
        let stands_out = idle_good < idle_resets / 2.0 || tight(&stats.reset_idle_ms);
        (stats.resets() >= 3 && of_all >= thresholds.idle_race_share && stands_out).then(|| Measured {
            name: "idle-before-reset",
            kind: EvidenceKind::Join,
            text: format!(
                "{} of {} resets hit a connection that had been idle (median {:.2} s); good requests follow idle time in {:.0} % of cases",
                stats.reset_idle_ms.iter().filter(|&&ms| ms >= thresholds.idle_race_ms).count(),
                stats.resets(),
                seconds(median_ms),
                idle_good * 100.0
            ),
            count: stats.reset_idle_ms.len() as u64,
            strength: 0.85,
            frames: Vec::new(),
            places: first_places(self.calls(calls), 3),
        })
    }

    /// Every reset is of a connection without an earlier row.
    fn fresh_connections_reset(&self, calls: &[usize]) -> Option<Measured> {
        let stats = self.reset_stats(calls);
        let fresh = ratio(stats.fresh_resets, stats.resets());
        (stats.resets() >= 3 && fresh >= 0.95).then(|| Measured {
            name: "fresh-connections-reset",
            kind: EvidenceKind::Join,
            text: format!(
                "{} of {} resets hit a connection that had carried no request before",
                stats.fresh_resets,
                stats.resets()
            ),
            count: stats.fresh_resets,
            strength: 0.6,
            frames: Vec::new(),
            places: first_places(self.calls(calls), 3),
        })
    }

    /// Rows that do not name their connections, and hardly a request of these callers went well between the first and the last of
    /// them: the same as if every reset were of a new connection.
    fn nothing_got_through(&self, destination: &str, calls: &[usize]) -> Option<Measured> {
        // Beyond the limit of rows whose connections are followed, those of a few resets may be left out.
        if self.reset_stats(calls).resets() > 0 || self.incident.totals.connections.is_truncated() {
            return None;
        }
        let first = self.first(calls)?;
        let last = self.calls(calls).filter_map(|c| c.group.last).max()?;
        let callers: BTreeSet<&str> = self.calls(calls).map(|c| c.source.as_str()).collect();
        let mut sum = HopSum::default();
        for hop in self
            .hops_to(destination)
            .filter(|hop| hop.reporter == Reporter::Source && callers.contains(hop.source.as_str()))
        {
            // In the seconds of the first and of the last the state changed.
            sum.merge(hop.between(first.secs() + 1, last.secs() - 1));
        }
        let got_through = ratio(sum.good, sum.requests);
        (sum.requests >= 3 && got_through <= self.thresholds().got_through_share).then(|| Measured {
            name: "nothing-got-through",
            kind: EvidenceKind::Statistic,
            text: format!(
                "{} of {} of these callers to {destination} went well between the first and the last of them, and their rows do not name connections: new ones that are refused and requests that are broken off look alike here",
                sum.good,
                counted(sum.requests, "request")
            ),
            count: sum.requests,
            strength: 0.3,
            frames: Vec::new(),
            places: Vec::new(),
        })
    }
}

/// The destination is a name that no service of the cluster has.
fn external_name(destination: &str) -> Option<Measured> {
    let host = destination.rsplit_once(':').map_or(destination, |(host, _)| host);
    let in_cluster = host.split('.').any(|label| label == "svc");
    let is_name = host.contains('.') && host.bytes().any(|b| b.is_ascii_alphabetic());
    (is_name && !in_cluster).then(|| Measured {
        name: "external-name",
        kind: EvidenceKind::Log,
        text: format!(
            "{host} is no service of the cluster (no .svc in its name): its addresses come from a ServiceEntry, usually by DNS"
        ),
        count: 1,
        strength: 0.5,
        frames: Vec::new(),
        places: Vec::new(),
    })
}

/// True when the middle half of sorted idle times lies within a tenth of their median: a timer's doing.
fn tight(sorted: &[i64]) -> bool {
    let at = |share: usize| sorted.get(sorted.len() * share / 4).copied();
    matches!((at(1), at(2), at(3)), (Some(low), Some(mid), Some(high)) if mid > 0 && (high - low) * 10 <= mid)
}

fn ms_between(from: Timestamp, to: Timestamp) -> f64 {
    as_f64(u64::try_from(to.millis_since(from)).unwrap_or(0))
}

fn as_f64(value: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "spans in ms and counts are far below 2^52"
    )]
    let value = value as f64;
    value
}

fn seconds(ms: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let s = ms as f64 / 1000.0;
    s
}

/// Rows of a call that completed in the seconds `from..=to`; where the buckets of its series are wider than a
/// second, those of all buckets that reach into it.
pub fn rows_between(call: &Call<'_>, from: i64, to: i64) -> u64 {
    let series = &call.group.series;
    let places = series.places_reaching_into(from, to);
    series.held_at(places).map(|moment| moment.count).sum()
}

/// The first places of some calls, in order.
pub fn first_places<'a>(calls: impl Iterator<Item = &'a Call<'a>>, limit: usize) -> Vec<Place> {
    let mut places: Vec<Place> = calls.flat_map(|c| c.group.places.iter().copied()).collect();
    places.sort_unstable();
    places.truncate(limit);
    places
}

/// `1 line`, `2 lines`.
pub fn counted(count: u64, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else if let Some(stem) = what.strip_suffix("xy") {
        format!("{count} {stem}xies")
    } else if what.ends_with('h') {
        format!("{count} {what}es")
    } else {
        format!("{count} {what}s")
    }
}

/// The first of some names, and how many more there are.
pub fn some(names: &[impl AsRef<str>], limit: usize) -> String {
    let shown: Vec<&str> = names.iter().take(limit).map(AsRef::as_ref).collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(limit) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
