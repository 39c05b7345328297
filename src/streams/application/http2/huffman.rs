//! The Huffman code of HPACK (RFC 7541 section 5.2 and appendix B).
//!
//! The code is canonical: codes of one length follow each other, in the order of their symbols. So lengths are enough.

/// Length of the code of each byte, and of the end of the string.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7,
    8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7,
    15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24,
    23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23,
    23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26,
    26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20,
    21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27,
    27, 27, 26, 30,
];

/// Symbols in the order of their codes, and of each length the first code and the place of its symbol.
struct Code {
    symbols: [u16; 257],
    first: [u32; 31],
    place: [u16; 31],
    count: [u16; 31],
}

const CODE: Code = build();

#[expect(clippy::indexing_slicing, reason = "runs while compiling")]
const fn build() -> Code {
    let mut code = Code {
        symbols: [0; 257],
        first: [0; 31],
        place: [0; 31],
        count: [0; 31],
    };
    let (mut length, mut next, mut place) = (1, 0_u32, 0);
    while length <= 30 {
        next <<= 1;
        code.first[length] = next;
        code.place[length] = place;
        let mut symbol = 0_u16;
        while (symbol as usize) < LENGTHS.len() {
            if LENGTHS[symbol as usize] as usize == length {
                code.symbols[place as usize] = symbol;
                code.count[length] += 1;
                place += 1;
                next += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    code
}

/// Decodes `bytes` to the end of `text`; what follows an invalid code is left out. At most 8 bytes for 5 of input.
pub(super) fn decode(bytes: &[u8], text: &mut Vec<u8>) {
    let (mut bits, mut have) = (0_u64, 0_usize);
    let mut bytes = bytes.iter();
    loop {
        while have <= 56
            && let Some(byte) = bytes.next()
        {
            bits = bits << 8 | u64::from(*byte);
            have += 8;
        }
        let Some((symbol, length)) = symbol(bits, have) else {
            return;
        };
        let Ok(byte) = u8::try_from(symbol) else {
            return;
        };
        text.push(byte);
        have -= length;
    }
}

/// The symbol at the head of the low `have` bits, and the length of its code.
fn symbol(bits: u64, have: usize) -> Option<(u16, usize)> {
    for length in 5..=have.min(30) {
        let code = (bits >> (have - length)) & ((1 << length) - 1);
        let code = u32::try_from(code).ok()?;
        let offset = code.checked_sub(*CODE.first.get(length)?)?;
        if offset < u32::from(*CODE.count.get(length)?) {
            let place = u32::from(*CODE.place.get(length)?) + offset;
            return CODE.symbols.get(place as usize).map(|symbol| (*symbol, length));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::decode;

    fn decoded(bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        decode(bytes, &mut text);
        text
    }

    /// Examples of RFC 7541 appendix C.4 and C.6.
    #[test]
    fn examples_of_the_standard() {
        let cases: [(&[u8], &[u8]); 5] = [
            (
                b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
                b"www.example.com",
            ),
            (b"\xa8\xeb\x10\x64\x9c\xbf", b"no-cache"),
            (b"\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf", b"custom-value"),
            (b"\x64\x02", b"302"),
            (
                b"\x9d\x29\xad\x17\x18\x63\xc7\x8f\x0b\x97\xc8\xe9\xae\x82\xae\x43\xd3",
                b"https://www.example.com",
            ),
        ];
        for (bytes, text) in cases {
            assert_eq!(decoded(bytes), text);
        }
    }

    #[test]
    fn invalid_codes_end_the_text() {
        assert_eq!(decoded(&[0xff; 16]), b"");
        assert_eq!(decoded(&[]), b"");
    }
}
