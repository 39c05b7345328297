//! Where a buffer of lines may be cut: pure functions over bytes.
//!
//! Nothing here reads, allocates or keeps state; [`super::BlockReader`] decides what to do with the places
//! found. All of them look from the end of what they are given, so that their cost is that of a few lines
//! and not of the whole buffer.

use super::RecordBoundary;
use memchr::memrchr;

/// Looks for the first line that is longer than `max_line_bytes` (its newline not counted), from `from`, which
/// must be the start of a line. Gives the start of that line, or else the start of a line near the end before
/// which no such line begins.
///
/// A line that long shows as a window of `max_line_bytes + 1` bytes without a newline. The newline nearest
/// to the end of the window proves every line before it short enough, so a buffer costs one short backward
/// search for each `max_line_bytes` and not a pass over all its bytes.
pub(super) fn find_long_line(data: &[u8], from: usize, max_line_bytes: usize) -> Result<usize, usize> {
    let mut start = from;
    while let Some(window) = data.get(start..).and_then(|rest| rest.get(..=max_line_bytes)) {
        match memrchr(b'\n', window) {
            Some(newline) => start += newline + 1,
            None => return Ok(start),
        }
    }
    Err(start)
}

/// The last place where `boundary` allows a cut and the line after it is complete, above `refused`.
///
/// `data` must begin at the start of a line. A line of which only the beginning is there is never shown to
/// `boundary`: what it says must not depend on where a buffer happens to end.
pub(super) fn last_allowed_cut(data: &[u8], refused: usize, boundary: &RecordBoundary) -> Option<usize> {
    let mut next_end = memrchr(b'\n', data)?;
    loop {
        let cut = memrchr(b'\n', &data[..next_end])? + 1;
        if cut <= refused {
            return None;
        }
        let previous = &data[line_start(&data[..cut - 1])..cut - 1];
        let next = &data[cut..next_end];
        if boundary.allows(without_return(previous), without_return(next)) {
            return Some(cut);
        }
        next_end = cut - 1;
    }
}

/// The last place where [`last_allowed_cut`] looked, to be handed to it as `refused` when more was read.
pub(super) fn last_known_cut(data: &[u8]) -> usize {
    memrchr(b'\n', data).map_or(0, |next_end| line_start(&data[..next_end]))
}

/// Start of the last line of `data`, which is 0 if it holds no newline.
pub(super) fn line_start(data: &[u8]) -> usize {
    memrchr(b'\n', data).map_or(0, |newline| newline + 1)
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines() {
        // (data, max_line_bytes, found)
        let cases: [(&[u8], usize, Result<usize, usize>); 10] = [
            (b"", 4, Err(0)),
            (b"abcd", 4, Err(0)),
            (b"abcd\n", 4, Err(5)),
            (b"abcde", 4, Ok(0)),
            (b"abcde\n", 4, Ok(0)),
            (b"ab\ncd\nabcde\nabcdefgh\n", 4, Ok(6)),
            (b"\n\n\n\n\n\n\n", 4, Err(5)),
            (b"ab\nabcdefgh", 4, Ok(3)),
            (b"ab\nabcd\n", 4, Err(8)),
            (b"a", 0, Ok(0)),
        ];
        for (data, max, expected) in cases {
            assert_eq!(
                find_long_line(data, 0, max),
                expected,
                "{:?} max {max}",
                data.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn cuts() {
        fn unless_indented(_: &[u8], next: &[u8]) -> bool {
            !next.starts_with(b" ")
        }
        // (data, refused, cut)
        let cases: [(&[u8], usize, Option<usize>); 9] = [
            (b"", 0, None),
            (b"a\n", 0, None),
            (b"a\nb", 0, None),
            (b"a\nb\n", 0, Some(2)),
            (b"a\nb\nc", 0, Some(2)),
            (b"a\n b\n c\nd", 0, None),
            (b"a\nb\n c\n d\n", 0, Some(2)),
            (b"a\nb\n c\n d\n", 2, None),
            (b"\n\n\n", 0, Some(2)),
        ];
        for (data, refused, expected) in cases {
            let found = last_allowed_cut(data, refused, &RecordBoundary::new(unless_indented));
            assert_eq!(found, expected, "{:?}", data.escape_ascii().to_string());
        }
    }

    #[test]
    fn boundary_sees_lines_without_their_ends() {
        fn exact(previous: &[u8], next: &[u8]) -> bool {
            previous == b"one" && next == b"two"
        }
        let exact = RecordBoundary::new(exact);
        assert_eq!(last_allowed_cut(b"one\r\ntwo\r\nthree", 0, &exact), Some(5));
        assert_eq!(
            last_allowed_cut(b"zero\none\ntwo\nthree\nfour", 0, &exact),
            Some(9)
        );
    }

    #[test]
    fn what_was_refused_is_not_asked_again() {
        fn never(_: &[u8], _: &[u8]) -> bool {
            false
        }
        let data = b"a\nb\nc\nd";
        assert_eq!(last_allowed_cut(data, 0, &RecordBoundary::new(never)), None);
        assert_eq!(
            last_known_cut(data),
            4,
            "d is not complete, so c is the last that could be asked"
        );
        assert_eq!(last_known_cut(b"a"), 0);
    }
}
