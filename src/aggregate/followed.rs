//! Rows that are followed one by one: to the connections that carried them, and to the rows of other proxies on the same
//! request.
//!
//! A row is kept by the hash of its request id, so that all rows of a request that are kept at all are kept together.
//! Rows that failed or took long have a table of their own, and are not crowded out by those that went well. Which rows
//! are kept depends on the set of rows alone.

use super::Merge;
use super::fingerprint::short_hash;
use super::sampled::Sampled;
use crate::decode::log::Row;
use crate::decode::packet::{Address, Endpoint};
use crate::units::{Place, Timestamp};
use std::net::SocketAddr;

/// Rows kept of those that failed, were denied or canceled, or took [`SLOW_MS`]; and as many of all others.
pub const MAX_FOLLOWED: usize = 1 << 14;

/// A request that takes so long is kept among the remarkable ones.
pub const SLOW_MS: u64 = 1000;

/// Stands for no number of milliseconds.
const NO_MS: u32 = u32::MAX;

/// Hash of a request id that stands for none: no hash of an id is it.
const NO_REQUEST: u64 = 0;

/// A row that is followed. Addresses are kept by their [`endpoint_hash`], 0 where the row has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FollowedRow {
    /// Where it stands.
    pub place: Place,
    /// `START_TIME`, in nanoseconds since the epoch.
    pub start_ns: i64,
    duration_ms: u32,
    upstream_ms: u32,
    /// Hash of its group: [`super::class::GroupKey`].
    pub group: u64,
    /// Hash of its `x-request-id`, or [`NO_REQUEST`].
    request: u64,
    /// `UPSTREAM_LOCAL_ADDRESS`: the client's end of its upstream connection.
    pub upstream_local: u64,
    /// `UPSTREAM_HOST`: the server's end.
    pub upstream_host: u64,
    /// `DOWNSTREAM_REMOTE_ADDRESS`: the client's end of its downstream connection.
    pub downstream_remote: u64,
    /// `DOWNSTREAM_LOCAL_ADDRESS`: the server's end, before any translation of addresses.
    pub downstream_local: u64,
}

impl FollowedRow {
    /// `DURATION` in milliseconds.
    pub fn duration_ms(&self) -> Option<u64> {
        (self.duration_ms != NO_MS).then(|| u64::from(self.duration_ms))
    }

    /// `X-ENVOY-UPSTREAM-SERVICE-TIME` in milliseconds.
    pub fn upstream_ms(&self) -> Option<u64> {
        (self.upstream_ms != NO_MS).then(|| u64::from(self.upstream_ms))
    }

    /// Hash of its `x-request-id`, where it has one.
    pub fn request(&self) -> Option<u64> {
        (self.request != NO_REQUEST).then_some(self.request)
    }

    /// `START_TIME`.
    pub fn start(&self) -> Timestamp {
        Timestamp(self.start_ns)
    }

    /// When the last byte was sent: the row's start and its duration, as exact as milliseconds are.
    pub fn end(&self) -> Timestamp {
        self.start().plus_millis(self.duration_ms().unwrap_or(0))
    }
}

/// The rows that are followed.
#[derive(Clone, Debug)]
pub struct Followed {
    /// Failed, denied, canceled, slow.
    remarkable: Sampled<FollowedRow>,
    /// All others.
    ordinary: Sampled<FollowedRow>,
}

impl Default for Followed {
    fn default() -> Self {
        Self {
            remarkable: Sampled::new(MAX_FOLLOWED),
            ordinary: Sampled::new(MAX_FOLLOWED),
        }
    }
}

impl Followed {
    /// Offers a row that has a start; `good` as its class is, `id_hash` is the [`id_hash`] of its request id, and `group` tells the hash of its
    /// group if the row is kept.
    #[expect(
        clippy::inline_always,
        reason = "one step of the row loop, which mostly ends at its first test"
    )]
    #[inline(always)]
    pub fn offer(
        &mut self,
        good: bool,
        row: &impl Row,
        id_hash: Option<u64>,
        place: Place,
        group: impl FnOnce() -> u64,
    ) {
        let Some(start) = row.start() else { return };
        let remarkable = !good || row.duration_ms().is_some_and(|duration| duration >= SLOW_MS);
        let table = if remarkable {
            &mut self.remarkable
        } else {
            &mut self.ordinary
        };
        let hash = id_hash.unwrap_or_else(|| hash_without_id(row, start));
        table.offer_with(hash, || followed(group(), row, start, place));
    }

    /// Kept rows in order of place: all, or those of so many requests by hash that they are at most `limit`.
    pub fn rows(&self, limit: usize) -> Vec<FollowedRow> {
        let kept = || {
            [&self.remarkable, &self.ordinary]
                .into_iter()
                .flat_map(Sampled::rows)
        };
        let mut threshold = u64::MAX;
        let mut count = self.kept();
        while threshold > 0 && count > limit {
            threshold /= 2;
            count = kept().filter(|(hash, _)| *hash <= threshold).count();
        }
        let mut rows = Vec::with_capacity(count);
        rows.extend(kept().filter(|(hash, _)| *hash <= threshold).map(|(_, row)| row));
        rows.sort_unstable();
        rows
    }

    /// Rows that were offered.
    pub fn seen(&self) -> u64 {
        self.remarkable.seen() + self.ordinary.seen()
    }

    /// Rows that are kept.
    pub fn kept(&self) -> usize {
        self.remarkable.kept() + self.ordinary.kept()
    }

    /// True where rows were left out.
    pub fn is_truncated(&self) -> bool {
        self.remarkable.is_truncated() || self.ordinary.is_truncated()
    }

    /// Adds those of other lines.
    pub fn absorb(&mut self, other: Self) {
        self.remarkable.absorb(other.remarkable);
        self.ordinary.absorb(other.ordinary);
    }
}

impl Merge for Followed {
    fn merge(&mut self, other: Self) {
        self.absorb(other);
    }
}

/// The hash by which a row is kept that has no request id.
#[cold]
fn hash_without_id(row: &impl Row, start: Timestamp) -> u64 {
    let remote = row.downstream_remote().unwrap_or_default();
    let remote = short_hash(start.0.cast_unsigned(), remote);
    short_hash(remote, row.upstream_local().unwrap_or_default())
}

/// The hash of a request id by which rows are kept.
#[inline]
pub fn id_hash(id: &[u8]) -> u64 {
    short_hash(0, id)
}

#[cold]
fn followed(group: u64, row: &impl Row, start: Timestamp, place: Place) -> FollowedRow {
    let ms = |ms: Option<u64>| {
        ms.and_then(|ms| u32::try_from(ms).ok())
            .map_or(NO_MS, |ms| ms.min(NO_MS - 1))
    };
    let end = |address: Option<&[u8]>| address.map_or(0, address_hash);
    FollowedRow {
        place,
        start_ns: start.0,
        duration_ms: ms(row.duration_ms()),
        upstream_ms: ms(row.upstream_ms()),
        group,
        request: row
            .request_id()
            .map_or(NO_REQUEST, |id| crate::streams::request_id_hash(id).max(1)),
        upstream_local: end(row.upstream_local()),
        upstream_host: end(row.upstream_host()),
        downstream_remote: end(row.downstream_remote()),
        downstream_local: end(row.downstream_local()),
    }
}

/// The hash of an address and port by which rows and connections meet; never 0. It is made of the text that Envoy would
/// write: rows are many more than connections, and their texts need not be read then.
pub fn endpoint_hash(endpoint: Endpoint) -> u64 {
    text_hash(endpoint.to_string().as_bytes())
}

/// The [`endpoint_hash`] of `10.0.0.1:80` or `[2001:db8::1]:80`; 0 for what does not look like one (`envoy://..`, a path of a
/// socket, a name). A text that only looks like one meets no connection.
fn address_hash(text: &[u8]) -> u64 {
    // A port has five digits at most.
    let ends_with_port = || text.iter().rev().take(6).any(|byte| *byte == b':');
    if matches!(text, [b'0'..=b'9', .., b'0'..=b'9']) && ends_with_port() {
        return text_hash(text);
    }
    // An IPv6 address has several spellings.
    let address = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse::<SocketAddr>().ok());
    address.map_or(0, |address| {
        endpoint_hash(Endpoint {
            address: Address::from(address.ip()),
            port: address.port(),
        })
    })
}

fn text_hash(text: &[u8]) -> u64 {
    short_hash(0, text).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::flags::Outcome;
    use crate::decode::log::{AccessFormat, AccessRow};
    use crate::units::InputId;
    use proptest::prelude::*;

    fn place(offset_bytes: u64) -> Place {
        Place {
            input: InputId(0),
            offset_bytes,
            block: 0,
            line_in_block: 0,
        }
    }

    fn offer(followed: &mut Followed, id: u32, outcome: Outcome, duration_ms: u64, at: u64) {
        let text = format!("id-{id}");
        let row = AccessRow {
            start: Some(Timestamp::from_secs(i64::try_from(at).unwrap())),
            duration_ms: Some(duration_ms),
            request_id: Some(text.as_bytes()),
            upstream_host: Some(b"10.0.0.1:80"),
            ..AccessRow::empty(AccessFormat::IstioText)
        };
        followed.offer(
            outcome == Outcome::Ok,
            &row,
            Some(id_hash(text.as_bytes())),
            place(at),
            || 7,
        );
    }

    #[test]
    fn failed_and_slow_rows_are_kept_beside_any_number_of_good_ones() {
        let mut followed = Followed::default();
        for id in 0..100_000_u32 {
            offer(&mut followed, id, Outcome::Ok, 5, u64::from(id));
        }
        offer(&mut followed, 1, Outcome::Failed, 5, 200_000);
        offer(&mut followed, 2, Outcome::Ok, SLOW_MS, 200_001);
        assert!(followed.is_truncated());
        assert_eq!(followed.seen(), 100_002);
        let rows = followed.rows(usize::MAX);
        assert!(followed.rows(1000).len() <= 1000);
        assert!(rows.len() > MAX_FOLLOWED / 2 && rows.len() <= MAX_FOLLOWED + 2);
        let kept = |at| rows.iter().any(|row| row.place == place(at));
        assert!(kept(200_000) && kept(200_001));
    }

    fn of_packet(address: &str) -> Endpoint {
        let address: SocketAddr = address.parse().unwrap();
        Endpoint {
            address: Address::from(address.ip()),
            port: address.port(),
        }
    }

    #[test]
    fn addresses_of_logs_and_packets_meet() {
        for address in [
            "10.244.1.11:42048",
            "127.0.0.6:1",
            "[2001:db8::1]:80",
            "[2001:DB8:0:0::1]:80",
            "[::ffff:10.0.0.1]:80",
        ] {
            let hash = endpoint_hash(of_packet(address));
            assert_eq!(address_hash(address.as_bytes()), hash, "{address}");
        }
        for not_one in ["", "10.0.0.1", "envoy://a/b", "a:80", "/var/run/a.sock", "[::1]"] {
            assert_eq!(address_hash(not_one.as_bytes()), 0, "{not_one}");
        }
        assert_eq!(
            endpoint_hash(of_packet("[::ffff:10.0.0.1]:80")),
            endpoint_hash(of_packet("10.0.0.1:80"))
        );
    }

    proptest! {
        #[test]
        fn addresses_meet_only_their_own(octets: [u8; 4], port: u16, other in "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]\\.[0-9]:[0-9]{1,6}") {
            let [a, b, c, d] = octets;
            let text = format!("{a}.{b}.{c}.{d}:{port}");
            let hash = endpoint_hash(of_packet(&text));
            prop_assert_eq!(address_hash(text.as_bytes()), hash);
            prop_assert_eq!(address_hash(other.as_bytes()) == hash, other == text);
        }
    }
}
