//! Packets that a capture holds twice, because it was taken on several interfaces that the packet passed.

use crate::decode::packet::{Packet, TcpSegment};
use crate::units::Timestamp;

/// Two sights of one packet lie no further apart.
const WITHIN_NS: i64 = 1_000_000;

/// Sights kept: a power of two. A million packets a second are 16 in a millisecond for each shard; more sights than
/// needed would only take room in the processor's cache (3 KiB for a shard).
const KEPT: usize = 128;

#[derive(Clone, Copy, Debug)]
struct Sight {
    hash: u64,
    time: i64,
    interface: u32,
}

/// The latest packets of a shard, by hash; a newer one replaces an older one in its place.
#[derive(Debug)]
pub(super) struct Sights {
    kept: Box<[Sight]>,
}

impl Default for Sights {
    fn default() -> Self {
        let none = Sight {
            hash: 0,
            time: i64::MIN,
            interface: u32::MAX,
        };
        Self {
            kept: vec![none; KEPT].into(),
        }
    }
}

impl Sights {
    /// True if the same segment was seen on another interface just before. On the same interface it is a
    /// retransmission, and without times nothing can be said.
    #[inline]
    pub(super) fn seen_before(&mut self, flow: u64, packet: &Packet, segment: &TcpSegment) -> bool {
        if packet.interface == Packet::ONLY_INTERFACE {
            return false;
        }
        let Some(Timestamp(time)) = packet.time else {
            return false;
        };
        let hash = fingerprint(flow, packet, segment);
        let place = usize::try_from(hash >> 32).unwrap_or(0) & (KEPT - 1);
        let Some(sight) = self.kept.get_mut(place) else {
            return false;
        };
        let same = sight.hash == hash && time.saturating_sub(sight.time).saturating_abs() <= WITHIN_NS;
        if same && sight.interface != packet.interface {
            return true;
        }
        *sight = Sight {
            hash,
            time,
            interface: packet.interface,
        };
        false
    }
}

/// Of what tells two segments apart: numbers, flags, window, checksum (which covers the rest), and IP identification.
fn fingerprint(flow: u64, packet: &Packet, segment: &TcpSegment) -> u64 {
    let numbers = (u64::from(segment.sequence) << 32) | u64::from(segment.acknowledgment);
    let rest = (u64::from(segment.window) << 48)
        | (u64::from(segment.checksum) << 32)
        | (u64::from(packet.ip_identification) << 16)
        | u64::from(segment.flags.0);
    let sender = u64::from(packet.source.port) << 32 | u64::from(packet.payload_wire_bytes);
    let mix = |a: u64, b: u64| {
        let product = u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b ^ 0xd1b5_4a32_d192_ed03);
        let bytes = product.to_le_bytes();
        let [a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7] = bytes;
        u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7])
            ^ u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7])
    };
    mix(mix(numbers, rest), flow ^ sender)
}
