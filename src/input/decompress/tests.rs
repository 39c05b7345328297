//! Each format: whole, in several parts, cut off at many places, damaged, followed by something else.

use super::{Compression, Damage, Decompressor, Fault};
use flate2::write::GzEncoder;
use std::io::{Cursor, Write};

/// Lines that compress somewhat but not away.
fn lines(count: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for i in 0..count {
        let id = i.wrapping_mul(2_654_435_761) % 1_000_003;
        writeln!(
            text,
            "[2026-11-02T03:12:{:02}.{:03}Z] \"GET /item/{id} HTTP/1.1\" 200",
            i / 1000 % 60,
            i % 1000
        )
        .unwrap();
    }
    text
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd_with_checksum(text: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

struct Decoded {
    text: Vec<u8>,
    compression: Compression,
    damage: Option<Damage>,
    stored_bytes: u64,
}

/// Decodes in steps of `step_bytes`, as a reader with small blocks would.
fn decode(stored: Vec<u8>, step_bytes: usize) -> Decoded {
    let mut decompressor = Decompressor::new(Box::new(Cursor::new(stored))).unwrap();
    let mut text = Vec::new();
    let mut step = vec![0; step_bytes];
    loop {
        match decompressor.read(&mut step) {
            0 => break,
            count => text.extend_from_slice(&step[..count]),
        }
    }
    assert_eq!(decompressor.read(&mut step), 0, "the end stays the end");
    Decoded {
        text,
        compression: decompressor.compression(),
        damage: decompressor.damage(),
        stored_bytes: decompressor.stored_bytes_read(),
    }
}

#[test]
fn whole_streams_in_steps_of_any_size() {
    let text = lines(300);
    let cases = [
        ("plain", text.clone(), Compression::None),
        ("gzip", gzip(&text), Compression::Gzip),
        ("zstd", zstd_with_checksum(&text), Compression::Zstd),
        (
            "gzip in members",
            [gzip(&text[..5000]), gzip(b""), gzip(&text[5000..])].concat(),
            Compression::Gzip,
        ),
        (
            "zstd in frames, a skippable one first",
            [
                b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc".to_vec(),
                zstd_with_checksum(&text[..5000]),
                zstd_with_checksum(b""),
                zstd_with_checksum(&text[5000..]),
            ]
            .concat(),
            Compression::Zstd,
        ),
    ];
    for (name, stored, compression) in cases {
        for step_bytes in [1, 2, 7, 64, 4096, 1 << 20] {
            let decoded = decode(stored.clone(), step_bytes);
            assert_eq!(decoded.compression, compression, "{name}");
            assert_eq!(decoded.damage, None, "{name} in steps of {step_bytes}");
            assert!(decoded.text == text, "{name} in steps of {step_bytes}");
            assert_eq!(decoded.stored_bytes, stored.len() as u64, "{name}");
        }
    }
}

#[test]
fn larger_than_every_buffer() {
    let text = lines(60_000);
    for stored in [gzip(&text), zstd_with_checksum(&text)] {
        let decoded = decode(stored, 1 << 18);
        assert_eq!(decoded.damage, None);
        assert!(decoded.text == text);
    }
}

#[test]
fn truncated_at_every_37th_byte() {
    let text = lines(300);
    for (compression, whole) in [
        (Compression::Gzip, gzip(&text)),
        (Compression::Zstd, zstd_with_checksum(&text)),
    ] {
        let mut longest = 0;
        for end in (4..whole.len()).step_by(37) {
            let decoded = decode(whole[..end].to_vec(), 1000);
            let stored_bytes = end as u64;
            assert_eq!(
                decoded.damage,
                Some(Damage {
                    fault: Fault::Truncated,
                    compression,
                    stored_bytes
                }),
                "{end}"
            );
            assert!(text.starts_with(&decoded.text), "{compression:?} cut at {end}");
            longest = longest.max(decoded.text.len());
        }
        if compression == Compression::Gzip {
            assert!(
                longest * 10 > text.len() * 9,
                "{longest} of {}: what could be decoded is handed out",
                text.len()
            );
        }
    }
}

#[test]
fn text_before_the_truncation_is_not_lost() {
    let text = lines(20_000);
    for whole in [gzip(&text), zstd_with_checksum(&text)] {
        let decoded = decode(whole[..whole.len() / 2].to_vec(), 1 << 20);
        assert!(
            decoded.text.len() * 5 > text.len() * 2,
            "{} of {}",
            decoded.text.len(),
            text.len()
        );
        assert!(text.starts_with(&decoded.text));
    }
}

#[test]
fn truncated_in_a_later_member() {
    let text = lines(300);
    let second = gzip(&text);
    for kept in [2, 3, 9, 10, 11, 500] {
        let decoded = decode([gzip(&text), second[..kept].to_vec()].concat(), 4096);
        assert_eq!(
            decoded.damage.map(|damage| damage.fault),
            Some(Fault::Truncated),
            "{kept}"
        );
        assert!(decoded.text.starts_with(&text));
    }
}

#[test]
fn damage_in_the_middle() {
    let text = lines(20_000);
    for (compression, whole) in [
        (Compression::Gzip, gzip(&text)),
        (Compression::Zstd, zstd_with_checksum(&text)),
    ] {
        let middle = whole.len() / 2;
        let mut damaged = whole;
        for byte in &mut damaged[middle..middle + 40] {
            *byte = 0xff;
        }
        let decoded = decode(damaged, 1 << 20);
        let damage = decoded.damage.unwrap();
        assert_eq!((damage.fault, damage.compression), (Fault::Corrupt, compression));
        assert!(
            decoded.text.starts_with(&lines(7000)),
            "{compression:?}: what stands before is used"
        );
    }
}

#[test]
fn wrong_checksums() {
    let text = lines(100);
    for whole in [gzip(&text), zstd_with_checksum(&text)] {
        let checksum = if whole.starts_with(b"\x1f") {
            whole.len() - 8
        } else {
            whole.len() - 4
        };
        let mut damaged = whole;
        damaged[checksum] ^= 1;
        let decoded = decode(damaged, 1 << 16);
        assert_eq!(decoded.damage.map(|damage| damage.fault), Some(Fault::Corrupt));
        assert!(decoded.text == text, "the text is all there, only in doubt");
    }
}

#[test]
fn followed_by_something_else() {
    let text = lines(100);
    for (whole, tail) in [
        (gzip(&text), &b"plain text"[..]),
        (gzip(&text), b"\0\0\0\0"),
        (gzip(&text), b"\x1f"),
        (zstd_with_checksum(&text), b"plain text"),
        (zstd_with_checksum(&text), b"\x28\xb5"),
    ] {
        let decoded = decode([whole.clone(), tail.to_vec()].concat(), 4096);
        let damage = decoded.damage.unwrap();
        assert_eq!(
            (damage.fault, damage.stored_bytes),
            (Fault::Trailing, whole.len() as u64)
        );
        assert!(decoded.text == text);
        assert!(
            damage.to_string().contains(&format!("from byte {}", whole.len())),
            "{damage}"
        );
    }
}

#[test]
fn a_window_that_is_too_large_is_refused() {
    // Frame header descriptor 0: no checksum, no content size, a window descriptor follows; exponent 20 is
    // a window of 2^30 bytes (RFC 8878 section 3.1.1.1.2). Then a raw last block of one byte.
    let frame = b"\x28\xb5\x2f\xfd\x00\xa0\x09\x00\x00x".to_vec();
    let damage = decode(frame, 4096).damage.unwrap();
    assert_eq!(damage.fault, Fault::WindowTooLarge);
    assert!(damage.to_string().contains("--long"), "{damage}");
    // The same with exponent 17, 2^27 bytes.
    let frame = b"\x28\xb5\x2f\xfd\x00\x88\x09\x00\x00x".to_vec();
    let decoded = decode(frame, 4096);
    assert_eq!((decoded.text, decoded.damage), (b"x".to_vec(), None));
}

#[test]
fn beginnings_that_are_not_compressed() {
    for text in [&b""[..], b"\x1f", b"\x1f\x8b\x00\x00", b"\x28\xb5\x2f", b"plain"] {
        let decoded = decode(text.to_vec(), 4096);
        assert_eq!((decoded.compression, decoded.damage), (Compression::None, None));
        assert_eq!(decoded.text, text);
    }
    assert_eq!(
        decode(b"\x1f\x8b".to_vec(), 4096)
            .damage
            .map(|damage| damage.fault),
        Some(Fault::Truncated)
    );
}
