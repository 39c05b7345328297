//! One row after another, in the order in which a proxy writes them: by completion, stamped with the start.

use crate::mesh::{Mesh, OWN_HOST, Service};
use crate::outcome::{Duration, INBOUND, OUTBOUND, Outcome, Reached, draw};
use crate::random::Random;
use std::fmt::Write as _;

/// A row before it is encoded; `None` and `-` both mean that the field is unset.
#[derive(Debug)]
pub(crate) struct Row<'mesh> {
    pub(crate) inbound: bool,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) protocol: &'static str,
    pub(crate) outcome: &'static Outcome,
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) duration_ms: u64,
    pub(crate) upstream_ms: Option<u64>,
    pub(crate) user_agent: &'static str,
    pub(crate) request_id: String,
    pub(crate) forwarded_for: Option<&'static str>,
    pub(crate) authority: &'mesh str,
    pub(crate) upstream_host: Option<&'mesh str>,
    pub(crate) cluster: Option<&'mesh str>,
    pub(crate) upstream_local: Option<&'mesh str>,
    pub(crate) downstream_local: &'mesh str,
    pub(crate) downstream_remote: &'mesh str,
    pub(crate) server_name: Option<&'static str>,
    pub(crate) route: Option<&'mesh str>,
}

impl Default for Row<'_> {
    fn default() -> Self {
        Self {
            inbound: false,
            start_ms: 0,
            end_ms: 0,
            method: "GET",
            path: String::new(),
            protocol: "HTTP/1.1",
            outcome: &crate::outcome::GOOD,
            received_bytes: 0,
            sent_bytes: 0,
            duration_ms: 0,
            upstream_ms: None,
            user_agent: "-",
            request_id: String::new(),
            forwarded_for: None,
            authority: "-",
            upstream_host: None,
            cluster: None,
            upstream_local: None,
            downstream_local: OWN_HOST,
            downstream_remote: "-",
            server_name: None,
            route: None,
        }
    }
}

const USER_AGENTS: [&str; 8] = [
    "python-requests/2.31.0",
    "grpc-java-netty/1.64.0",
    "Go-http-client/2.0",
    "okhttp/4.12.0",
    "axios/1.7.2",
    "Apache-HttpClient/5.3.1 (Java/21.0.3)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
];
const METHODS: [&str; 8] = ["GET", "GET", "GET", "GET", "GET", "POST", "POST", "PUT"];

/// 2026-11-02T02:00:00Z, where the logs begin.
pub(crate) const BEGIN_MS: i64 = 1_793_584_800_000;
/// One row in so many is of a call to this pod's own app.
const INBOUND_EVERY: u64 = 3;
/// Calls that find the app's port closed are tried again by the caller, at most so often.
const MAX_RETRIES: u32 = 2;

/// The traffic of one proxy.
#[derive(Debug)]
pub(crate) struct Traffic<'mesh> {
    mesh: &'mesh Mesh,
    /// Completion time of the row before.
    pub(crate) clock_ms: i64,
    /// Outbound rows so far, for [`Self::pick_service`].
    calls: usize,
    /// Whether destinations are taken in turn (each once in as many rows) instead of at random.
    in_turn: bool,
    /// Retries of the row before, if that failed before the app got it.
    retries: u32,
}

impl<'mesh> Traffic<'mesh> {
    /// From `clock_ms` on, to destinations by chance.
    pub(crate) fn at_random(mesh: &'mesh Mesh, clock_ms: i64) -> Self {
        Self {
            mesh,
            clock_ms,
            calls: 0,
            in_turn: false,
            retries: 0,
        }
    }

    /// From `clock_ms` on, to one destination after the other, and none to this pod.
    pub(crate) fn in_turn(mesh: &'mesh Mesh, clock_ms: i64) -> Self {
        Self {
            mesh,
            clock_ms,
            calls: 0,
            in_turn: true,
            retries: 0,
        }
    }

    /// Makes the next row.
    pub(crate) fn next(&mut self, random: &mut Random, row: &mut Row<'mesh>) {
        let is_retry = row.inbound && row.outcome.flags == "UF" && self.retries < MAX_RETRIES;
        self.retries = if is_retry { self.retries + 1 } else { 0 };
        row.inbound = is_retry || (!self.in_turn && random.one_in(INBOUND_EVERY));
        if !is_retry {
            describe_request(random, row);
        }
        if row.inbound {
            self.inbound(random, row, is_retry);
        } else {
            self.outbound(random, row);
        }
        self.clock_ms += i64::try_from(random.below(4)).unwrap_or(0);
        row.end_ms = self.clock_ms;
        row.start_ms = self.clock_ms - i64::try_from(row.duration_ms).unwrap_or(0);
    }

    fn inbound(&self, random: &mut Random, row: &mut Row<'mesh>, is_retry: bool) {
        row.protocol = "HTTP/2";
        row.authority = "storefront.storefront-prod.svc.cluster.local:8080";
        row.downstream_local = OWN_HOST;
        if !is_retry {
            row.path.push_str("/storefront/page/");
            finish_path(random, row);
            row.downstream_remote = pick(random, &self.mesh.callers);
        }
        row.forwarded_for = Some("203.0.113.77,10.244.0.5");
        row.server_name = Some("outbound_.8080_._.storefront.storefront-prod.svc.cluster.local");
        let fate = draw(&INBOUND, random.below(100_000));
        let local = pick(random, &self.mesh.passthrough);
        settle(
            random,
            row,
            fate,
            20,
            Target {
                host: OWN_HOST,
                cluster: "inbound|8080||",
                local,
                route: "default",
            },
        );
    }

    fn outbound(&mut self, random: &mut Random, row: &mut Row<'mesh>) {
        let Some(service) = self.pick_service(random) else {
            return;
        };
        row.protocol = "HTTP/1.1";
        row.authority = &service.authority;
        row.path.push_str(&service.stem);
        finish_path(random, row);
        row.downstream_local = &service.vip;
        row.downstream_remote = pick(random, &self.mesh.app_connections);
        row.forwarded_for = None;
        row.server_name = None;
        let fate = draw(&OUTBOUND, random.below(100_000));
        let Some(pod) = service.pods.get(random.index(service.pods.len())) else {
            return;
        };
        let local = pick(random, &pod.connections);
        let target = Target {
            host: &pod.host,
            cluster: &service.cluster,
            local,
            route: &service.route,
        };
        settle(random, row, fate, service.median_ms, target);
    }

    /// Low numbers are called more often than high ones, as in real meshes.
    fn pick_service(&mut self, random: &mut Random) -> Option<&'mesh Service> {
        let services = &self.mesh.services;
        self.calls = self.calls.wrapping_add(1);
        if self.in_turn {
            return services.get(self.calls % services.len().max(1));
        }
        services.get(random.index(services.len()).min(random.index(services.len())))
    }
}

/// Where a call goes if it gets that far.
#[derive(Clone, Copy, Debug)]
struct Target<'mesh> {
    host: &'mesh str,
    cluster: &'mesh str,
    local: &'mesh str,
    route: &'mesh str,
}

fn describe_request(random: &mut Random, row: &mut Row<'_>) {
    row.method = METHODS.get(random.index(METHODS.len())).copied().unwrap_or("GET");
    row.user_agent = USER_AGENTS
        .get(random.index(USER_AGENTS.len()))
        .copied()
        .unwrap_or("-");
    row.received_bytes = if row.method == "GET" {
        0
    } else {
        random.log_normal(600, 300)
    };
    row.path.clear();
    row.request_id.clear();
    let (a, b) = (random.next(), random.next());
    // RFC 9562 version 4; writing to a string cannot fail.
    let _ = write!(
        row.request_id,
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 48 & 0x3fff | 0x8000,
        b & 0xffff_ffff_ffff
    );
}

fn finish_path(random: &mut Random, row: &mut Row<'_>) {
    let item = random.below(1_000_000);
    let _ = write!(row.path, "{item}");
    if !random.one_in(3) {
        let (page, session) = (random.below(40), random.next());
        let _ = write!(
            row.path,
            "?page={page}&per_page=50&sort=-updated&region=eu-1&session={session:016x}"
        );
    }
}

/// Writes into the row what became of the call.
fn settle<'mesh>(
    random: &mut Random,
    row: &mut Row<'mesh>,
    outcome: &'static Outcome,
    median_ms: u64,
    target: Target<'mesh>,
) {
    row.outcome = outcome;
    row.duration_ms = match outcome.duration {
        Duration::Service => random.log_normal(median_ms, 220),
        Duration::UpTo(bound_ms) => random.below(bound_ms),
        Duration::Timeout(after_ms) => after_ms + random.below(5),
    };
    let answered = outcome.reached == Reached::Answer;
    row.sent_bytes = if answered {
        random.log_normal(900, 350)
    } else {
        outcome.reply_bytes
    };
    let upstream_ms = row.duration_ms - random.below(3).min(row.duration_ms);
    row.upstream_ms = answered.then_some(upstream_ms);
    let connected = answered || outcome.reached == Reached::Connection;
    row.upstream_local = connected.then_some(target.local);
    row.upstream_host = (connected || outcome.reached == Reached::Host).then_some(target.host);
    let lost = matches!(outcome.reached, Reached::Route | Reached::Nothing);
    row.cluster = (!lost).then_some(target.cluster);
    row.route = (outcome.reached != Reached::Nothing).then_some(target.route);
}

fn pick<'mesh>(random: &mut Random, choices: &'mesh [String]) -> &'mesh str {
    choices
        .get(random.index(choices.len()))
        .map_or("-", String::as_str)
}
