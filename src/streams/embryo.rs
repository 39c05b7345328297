//! A connection of which one SYN was seen and nothing else, in a fraction of the room: floods consist of them.

use super::mark::Mark;
use crate::decode::packet::{FlowKey, Packet, PayloadRange, TcpFlags, TcpOptions, TcpSegment, Transport};

/// One SYN without payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Embryo {
    pub(super) key: FlowKey,
    pub(super) serial: u64,
    mark: Mark,
    interface: u32,
    captured_bytes: u32,
    wire_bytes: u32,
    sequence: u32,
    acknowledgment: u32,
    window: u16,
    window_scale: Option<u8>,
    flags: TcpFlags,
    /// True if the lesser endpoint sent it.
    by_low: bool,
}

impl Embryo {
    /// Of this packet, if it is a SYN without payload.
    pub(super) fn of(key: FlowKey, serial: u64, packet: &Packet, segment: &TcpSegment) -> Option<Self> {
        let plain = segment.flags.syn()
            && !segment.flags.has(TcpFlags::ACK | TcpFlags::FIN | TcpFlags::RST)
            && packet.payload_wire_bytes == 0;
        plain.then(|| Self {
            key,
            serial,
            mark: Mark::of(packet),
            interface: packet.interface,
            captured_bytes: packet.captured_bytes,
            wire_bytes: packet.wire_bytes,
            sequence: segment.sequence,
            acknowledgment: segment.acknowledgment,
            window: segment.window,
            window_scale: segment.options.window_scale,
            flags: segment.flags,
            by_low: packet.source == key.low,
        })
    }

    /// The packet again, as far as connections look at it.
    pub(super) fn packet(&self) -> Packet {
        let (source, destination) = if self.by_low {
            (self.key.low, self.key.high)
        } else {
            (self.key.high, self.key.low)
        };
        Packet {
            at: self.mark.at(),
            time: self.mark.time(),
            interface: self.interface,
            captured_bytes: self.captured_bytes,
            wire_bytes: self.wire_bytes,
            source,
            destination,
            ttl: 0,
            ip_identification: 0,
            tunnels: 0,
            transport: Transport::Tcp(self.segment()),
            payload: PayloadRange::default(),
            payload_wire_bytes: 0,
        }
    }

    /// Its header.
    pub(super) fn segment(&self) -> TcpSegment {
        TcpSegment {
            sequence: self.sequence,
            acknowledgment: self.acknowledgment,
            flags: self.flags,
            window: self.window,
            checksum: 0,
            options: TcpOptions {
                window_scale: self.window_scale,
                ..TcpOptions::default()
            },
        }
    }
}
