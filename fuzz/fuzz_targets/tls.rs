//! Arbitrary TLS records and handshake messages.
#![no_main]

#[path = "shared/talk.rs"]
mod talk;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    talk::both_sides(b"\x16\x03\x01", b"\x16\x03\x03", 443, data);
});
