//! Arbitrary heads and bodies of HTTP/1.
#![no_main]

#[path = "shared/talk.rs"]
mod talk;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    talk::both_sides(b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n", 80, data);
});
