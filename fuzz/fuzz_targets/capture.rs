//! Any bytes as a capture, in parts of any size: the packets are the same, and their payloads lie in their block.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postmesh::decode::packet::{CaptureDecoder, PacketBlock};
use postmesh::units::InputId;

fn decode(bytes: &[u8], part_bytes: usize) -> (Vec<String>, String) {
    let mut decoder = CaptureDecoder::new(InputId(0));
    let mut block = PacketBlock::default();
    let mut packets = Vec::new();
    let mut carried = Vec::new();
    let mut parts = bytes.chunks(part_bytes).peekable();
    while let Some(part) = parts.next() {
        block.packets.clear();
        block.data.clear();
        block.data.append(&mut carried);
        block.data.extend_from_slice(part);
        let length = block.data.len();
        let decoded = decoder.decode(&mut block, parts.peek().is_none());
        carried.extend_from_slice(&block.data[decoded.consumed..length]);
        for packet in &block.packets {
            let payload = packet.payload.of(&block.data);
            assert_eq!(payload.len(), packet.payload.length as usize);
            let mut placeless = *packet;
            placeless.payload.start = 0;
            packets.push(format!("{placeless:?} {payload:?}"));
        }
    }
    assert!(carried.is_empty(), "at the end all is consumed");
    (packets, format!("{:?}", decoder.finish()))
}

fuzz_target!(|data: &[u8]| {
    let whole = decode(data, usize::MAX);
    for part_bytes in [1, 13, 100] {
        assert_eq!(whole, decode(data, part_bytes));
    }
});
