//! Arbitrary DNS messages over UDP and TCP.
#![no_main]

#[path = "shared/talk.rs"]
mod talk;

use postmesh::decode::packet::{Packet, PayloadRange, Transport};
use postmesh::streams::CapturePoint;
use postmesh::streams::application::{DnsPairing, MAX_PENDING_DNS};
use postmesh::units::Timestamp;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    talk::both_sides(b"", b"", 53, data);
    let mut pairing = DnsPairing::new(CapturePoint(0));
    let mut messages = 0_usize;
    let mut handed_out = 0_usize;
    for (number, payload) in data.split(|byte| *byte == b'\n').enumerate() {
        let [asking, answering] = [talk::endpoint(1, 4000), talk::endpoint(2, 53)];
        let packet = Packet {
            at: talk::at(number as u64),
            time: Some(Timestamp(number as i64 * 7_000_000_000)),
            interface: number as u32 % 2,
            captured_bytes: 0,
            wire_bytes: 0,
            source: if number % 3 == 0 { answering } else { asking },
            destination: if number % 3 == 0 { asking } else { answering },
            ttl: 64,
            ip_identification: 0,
            tunnels: 0,
            transport: Transport::Udp,
            payload: PayloadRange::default(),
            payload_wire_bytes: 0,
        };
        messages += 1;
        pairing.udp(&packet, payload, |_| handed_out += 1);
    }
    let waiting = messages.saturating_sub(handed_out);
    let mut rest = 0;
    pairing.finish(|_| rest += 1);
    assert!(rest <= waiting.min(MAX_PENDING_DNS));
});
