//! Rows that are followed one by one: to the connections that carried them, and to the rows of other proxies on the same
//! request.
//!
//! A row is kept by the hash of its request id, so that all rows of a request that are kept at all are kept together.
//! Rows that failed or took long have a table of their own, and are not crowded out by those that went well. Which rows
//! are kept depends on the set of rows alone.

use super::Merge;
use super::fingerprint::short_hash;
use super::sampled::Sampled;
use crate::decode::log::AccessRow;
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
    #[inline]
    pub fn offer(
        &mut self,
        good: bool,
        row: &AccessRow<'_>,
        id_hash: Option<u64>,
        place: Place,
        group: impl FnOnce() -> u64,
    ) {
        let Some(start) = row.start else { return };
        let remarkable = !good || row.duration_ms.is_some_and(|duration| duration >= SLOW_MS);
        let table = if remarkable {
            &mut self.remarkable
        } else {
            &mut self.ordinary
        };
        let hash = id_hash.unwrap_or_else(|| {
            let remote = short_hash(start.0.cast_unsigned(), row.downstream_remote.unwrap_or_default());
            short_hash(remote, row.upstream_local.unwrap_or_default())
        });
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
        while threshold > 0 && kept().filter(|(hash, _)| *hash <= threshold).count() > limit {
            threshold /= 2;
        }
        let mut rows: Vec<FollowedRow> = kept()
            .filter(|(hash, _)| *hash <= threshold)
            .map(|(_, row)| row)
            .collect();
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

/// The hash of a request id by which rows are kept.
#[inline]
pub fn id_hash(id: &[u8]) -> u64 {
    short_hash(0, id)
}

#[cold]
fn followed(group: u64, row: &AccessRow<'_>, start: Timestamp, place: Place) -> FollowedRow {
    let ms = |ms: Option<u64>| {
        ms.and_then(|ms| u32::try_from(ms).ok())
            .map_or(NO_MS, |ms| ms.min(NO_MS - 1))
    };
    let end = |address: Option<&[u8]>| address.and_then(endpoint).map_or(0, endpoint_hash);
    FollowedRow {
        place,
        start_ns: start.0,
        duration_ms: ms(row.duration_ms),
        upstream_ms: ms(row.upstream_ms),
        group,
        request: row
            .request_id
            .map_or(NO_REQUEST, |id| crate::streams::request_id_hash(id).max(1)),
        upstream_local: end(row.upstream_local),
        upstream_host: end(row.upstream_host),
        downstream_remote: end(row.downstream_remote),
        downstream_local: end(row.downstream_local),
    }
}

/// The hash of an address and port by which rows and connections meet; never 0.
pub fn endpoint_hash(endpoint: Endpoint) -> u64 {
    let mut bytes = [0; 18];
    let (address, port) = bytes.split_at_mut(16);
    address.copy_from_slice(&endpoint.address.0);
    port.copy_from_slice(&endpoint.port.to_be_bytes());
    rapidhash::v3::rapidhash_v3(&bytes).max(1)
}

/// `10.0.0.1:80` or `[2001:db8::1]:80`; nothing else has both (`envoy://..`, a path of a socket, a name).
fn endpoint(text: &[u8]) -> Option<Endpoint> {
    if let Some(endpoint) = ipv4_endpoint(text) {
        return Some(endpoint);
    }
    let address: SocketAddr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(Endpoint {
        address: Address::from(address.ip()),
        port: address.port(),
    })
}

/// The usual form without a detour; anything else is read by the standard library.
fn ipv4_endpoint(text: &[u8]) -> Option<Endpoint> {
    let mut octets = [0_u8; 4];
    let mut rest = text;
    for (place, octet) in octets.iter_mut().enumerate() {
        let end = if place == 3 { b':' } else { b'.' };
        let at = rest.iter().take(4).position(|byte| *byte == end)?;
        let (digits, after) = rest.split_at_checked(at)?;
        *octet = u8::try_from(number(digits)?).ok()?;
        rest = after.get(1..)?;
    }
    let port = u16::try_from(number(rest)?).ok()?;
    Some(Endpoint {
        address: Address::v4(octets),
        port,
    })
}

/// A decimal number of at most five digits.
fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(
        digits
            .iter()
            .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::flags::Outcome;
    use crate::decode::log::AccessFormat;
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

    #[test]
    fn addresses_of_logs_and_packets_meet() {
        let of_packet = |address: &str| {
            let address: SocketAddr = address.parse().unwrap();
            Endpoint {
                address: Address::from(address.ip()),
                port: address.port(),
            }
        };
        for address in [
            "10.244.1.11:42048",
            "127.0.0.6:1",
            "[2001:db8::1]:80",
            "[::ffff:10.0.0.1]:80",
        ] {
            assert_eq!(
                endpoint(address.as_bytes()),
                Some(of_packet(address)),
                "{address}"
            );
        }
        for not_one in [
            "",
            "10.0.0.1",
            "10.0.0:80",
            "10.0.0.256:80",
            "10.0.0.1:65536",
            "10.0.0.1:",
            "envoy://a/b",
            "a:80",
        ] {
            assert_eq!(endpoint(not_one.as_bytes()), None, "{not_one}");
        }
        assert_eq!(
            endpoint_hash(of_packet("[::ffff:10.0.0.1]:80")),
            endpoint_hash(of_packet("10.0.0.1:80"))
        );
    }

    proptest! {
        #[test]
        fn the_short_way_reads_what_the_library_reads(text in "[0-9]{1,4}\\.[0-9]{1,4}\\.[0-9]{1,3}\\.[0-9]{1,3}:[0-9]{1,6}") {
            let plain: Option<SocketAddr> = text.parse().ok();
            if let Some(plain) = plain {
                let expected = Endpoint { address: Address::from(plain.ip()), port: plain.port() };
                prop_assert_eq!(endpoint(text.as_bytes()), Some(expected));
            }
        }
    }
}
