//! Any bytes as frames of any link type, twice and cut: one packet each, whose payload lies in its block.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postmesh::decode::packet::{CaptureDecoder, PacketBlock};
use postmesh::units::InputId;

fuzz_target!(|data: &[u8]| {
    let Some((link_type, frame)) = data.split_first_chunk::<2>() else {
        return;
    };
    let mut block = PacketBlock::default();
    block.data.extend([0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    block.data.extend(link_type);
    let wire_bytes = (frame.len() as u32).to_be_bytes();
    for cut in [frame.len(), frame.len() / 2, frame.len()] {
        block.data.extend([0; 8]);
        block.data.extend((cut as u32).to_be_bytes());
        block.data.extend(wire_bytes);
        block.data.extend(&frame[..cut]);
    }
    let mut decoder = CaptureDecoder::new(InputId(0));
    decoder.decode(&mut block, true);
    if frame.len() <= 256 << 10 {
        assert_eq!(block.packets.len(), 3);
    }
    for packet in &block.packets {
        let payload = packet.payload.of(&block.data);
        assert_eq!(payload.len(), packet.payload.length as usize);
    }
    assert_eq!(decoder.finish().packets, block.packets.len() as u64);
});
