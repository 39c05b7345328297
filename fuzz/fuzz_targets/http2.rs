//! Arbitrary frames and header blocks of HTTP/2.
#![no_main]

#[path = "shared/talk.rs"]
mod talk;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    talk::both_sides(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\0\x04\0\0\0\0\0", 80, data);
});
