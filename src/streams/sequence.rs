//! Arithmetic on sequence numbers, which wrap (RFC 9293 section 3.4).

/// True if `a` comes after `b`: less than half the number space lies between them.
pub(super) fn after(a: u32, b: u32) -> bool {
    b.wrapping_sub(a).cast_signed() < 0
}

/// True if `a` is `b` or comes before it.
pub(super) fn at_or_before(a: u32, b: u32) -> bool {
    !after(a, b)
}

/// The later of two.
pub(super) fn later(a: u32, b: u32) -> u32 {
    if after(b, a) { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_holds_across_the_wrap() {
        for (a, b) in [(1, 0), (0, u32::MAX), (5, u32::MAX - 5), (1 << 30, 0)] {
            assert!(after(a, b), "{a} after {b}");
            assert!(!after(b, a), "{b} not after {a}");
            assert!(at_or_before(b, a));
            assert_eq!(later(a, b), a);
            assert_eq!(later(b, a), a);
        }
        assert!(!after(7, 7));
        assert!(at_or_before(7, 7));
    }
}
