//! The members of one JSON object on one line (RFC 8259), without recursion and without building a tree.
//!
//! Nested values are stepped over: nothing that a proxy logs by default is nested, and of what a user's own layout nests the
//! objects are given as they stand.

/// Nesting past this is taken for damage.
const MAX_DEPTH: u32 = 64;

/// The text is not one whole JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The value of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'block> {
    /// `null`, or no such member.
    Null,
    /// A string without escapes.
    Text(&'block [u8]),
    /// A string with escapes, as written.
    Escaped(&'block [u8]),
    /// A number, as written.
    Number(&'block [u8]),
    /// At most eight digits, as written, and the number that they make.
    Digits(&'block [u8], u32),
    /// An object, as written.
    Object(&'block [u8]),
    /// `true`, `false` or an array.
    Other,
}

/// One member of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member<'block> {
    /// What stands between the value before (or the start) and this value: comma, key, colon, white space.
    pub(super) lead: &'block [u8],
    /// The key as written between its quotes.
    pub(super) key: &'block [u8],
    /// The value.
    pub(super) value: Value<'block>,
}

/// Steps through the members of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Members<'block> {
    /// What is yet to be read.
    rest: &'block [u8],
    first: bool,
}

impl<'block> Members<'block> {
    /// Of an object that begins with the first byte of `text`.
    pub(super) fn new(text: &'block [u8]) -> Self {
        Self {
            rest: text,
            first: true,
        }
    }

    /// The next member; `None` after the last one, when nothing but white space follows the object.
    pub(super) fn next(&mut self) -> Result<Option<Member<'block>>, Malformed> {
        let start = self.rest;
        let opened = std::mem::replace(&mut self.first, false);
        let (mark, rest) = skip_blank(start).split_first().ok_or(Malformed)?;
        let rest = skip_blank(rest);
        match (mark, rest) {
            (b'{', [b'}', after @ ..]) if opened => return end(after),
            (b'}', after) if !opened => return end(after),
            (b'{', _) if opened => {}
            (b',', _) if !opened => {}
            _ => return Err(Malformed),
        }
        let rest = rest.strip_prefix(b"\"").ok_or(Malformed)?;
        let (key, _, rest) = string(rest)?;
        let rest = skip_blank(skip_blank(rest).strip_prefix(b":").ok_or(Malformed)?);
        let lead = before(start, rest);
        let (value, rest) = value(rest)?;
        self.rest = rest;
        Ok(Some(Member { lead, key, value }))
    }
}

fn end(after: &[u8]) -> Result<Option<Member<'_>>, Malformed> {
    if skip_blank(after).is_empty() {
        Ok(None)
    } else {
        Err(Malformed)
    }
}

/// The part of `whole` that ends where `rest`, its end, begins.
fn before<'block>(whole: &'block [u8], rest: &[u8]) -> &'block [u8] {
    whole
        .get(..whole.len().saturating_sub(rest.len()))
        .unwrap_or_default()
}

fn skip_blank(text: &[u8]) -> &[u8] {
    let blanks = text
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
        .count();
    text.get(blanks..).unwrap_or_default()
}

/// A string after its opening quote: its content, whether it has escapes, and what follows its closing quote.
pub(super) fn string(text: &[u8]) -> Result<(&[u8], bool, &[u8]), Malformed> {
    let mut at = 0_usize;
    let mut escaped = false;
    loop {
        at = at.wrapping_add(plain_len(text.get(at..).ok_or(Malformed)?));
        let (content, rest) = text.split_at_checked(at).ok_or(Malformed)?;
        match rest {
            [b'"', rest @ ..] => return Ok((content, escaped, rest)),
            [_, _, ..] => {
                escaped = true;
                at = at.wrapping_add(2);
            }
            _ => return Err(Malformed),
        }
    }
}

/// Bytes before the first quote or backslash. Values are short: eight bytes at a time beat a search that is
/// set up for long ones.
#[inline]
fn plain_len(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    let mut at = 0_usize;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let marks = zero_bytes(word ^ QUOTES) | zero_bytes(word ^ BACKSLASHES);
        if marks != 0 {
            return at.wrapping_add(first_byte(marks));
        }
        at = at.wrapping_add(8);
    }
    at.wrapping_add(
        rest.iter()
            .take_while(|byte| !matches!(byte, b'"' | b'\\'))
            .count(),
    )
}

const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);
const BACKSLASHES: u64 = u64::from_le_bytes([b'\\'; 8]);

/// Marks the zero bytes of a word; the lowest mark is right, those above it may not be.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080
}

/// The number of the lowest marked byte; 8 if there is none.
#[inline]
fn first_byte(marks: u64) -> usize {
    (marks.trailing_zeros() / 8) as usize
}

/// The value at the start of `text`, and what follows it.
#[inline]
pub(super) fn value(text: &[u8]) -> Result<(Value<'_>, &[u8]), Malformed> {
    match text {
        [b'"', rest @ ..] => {
            let (content, escaped, rest) = string(rest)?;
            Ok((
                if escaped {
                    Value::Escaped(content)
                } else {
                    Value::Text(content)
                },
                rest,
            ))
        }
        [b'n', b'u', b'l', b'l', rest @ ..] => Ok((Value::Null, rest)),
        [b't', b'r', b'u', b'e', rest @ ..] | [b'f', b'a', b'l', b's', b'e', rest @ ..] => {
            Ok((Value::Other, rest))
        }
        [b'{', ..] => {
            let rest = skip_nested(text)?;
            Ok((Value::Object(before(text, rest)), rest))
        }
        [b'[', ..] => Ok((Value::Other, skip_nested(text)?)),
        [b'-' | b'0'..=b'9', ..] => Ok(number(text)),
        _ => Err(Malformed),
    }
}

/// A number and what follows. Its exact grammar is left to whoever uses it.
fn number(text: &[u8]) -> (Value<'_>, &[u8]) {
    let len = text
        .iter()
        .take_while(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
        .count();
    let (number, rest) = text.split_at_checked(len).unwrap_or((text, b""));
    (Value::Number(number), rest)
}

/// What follows the object or array at the start of `text`.
pub(super) fn skip_nested(text: &[u8]) -> Result<&[u8], Malformed> {
    // One bit a level: set for an object.
    let mut kinds = 0_u64;
    let mut depth = 0_u32;
    let mut rest = text;
    loop {
        let (byte, after) = rest.split_first().ok_or(Malformed)?;
        rest = after;
        match byte {
            b'"' => rest = string(after)?.2,
            b'{' | b'[' if depth < MAX_DEPTH => {
                kinds = kinds << 1 | u64::from(*byte == b'{');
                depth = depth.wrapping_add(1);
            }
            b'{' | b'[' => return Err(Malformed),
            b'}' | b']' => {
                if kinds & 1 != u64::from(*byte == b'}') {
                    return Err(Malformed);
                }
                kinds >>= 1;
                depth = depth.wrapping_sub(1);
                if depth == 0 {
                    return Ok(rest);
                }
            }
            _ => {}
        }
    }
}

/// Puts the meaning of an escaped string into `into` and tells its length, which is never above that of
/// `text`; `None` for an escape that JSON does not know, or if `into` is too short.
///
/// Beside JSON's escapes, `\ooo` stands for the byte of that octal number: so does Envoy write strings that
/// are not UTF-8 (`Json::sanitize`). A lone surrogate becomes U+FFFD.
pub(super) fn unescape(text: &[u8], into: &mut [u8]) -> Option<usize> {
    let mut written = 0_usize;
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let word = rest.first_chunk::<8>().filter(|_| *first != b'\\');
        if let (Some(word), Some(room)) = (word, into.get_mut(written..)?.first_chunk_mut::<8>()) {
            *room = *word;
            let plain = first_byte(zero_bytes(u64::from_le_bytes(*word) ^ BACKSLASHES));
            written = written.wrapping_add(plain);
            rest = rest.get(plain..)?;
            continue;
        }
        let mut encoded = [*first, 0, 0, 0];
        let mut len = 1;
        rest = after;
        if *first == b'\\' {
            (encoded, len, rest) = escape(after)?;
        }
        let end = written.wrapping_add(len);
        into.get_mut(written..end)?.copy_from_slice(encoded.get(..len)?);
        written = end;
    }
    Some(written)
}

/// The meaning of an escape after its backslash (bytes and how many of them count), and what follows.
fn escape(text: &[u8]) -> Option<([u8; 4], usize, &[u8])> {
    let (kind, rest) = text.split_first()?;
    let byte = match kind {
        b'"' | b'\\' | b'/' => *kind,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return unicode(rest),
        b'0'..=b'3' => {
            let [middle @ b'0'..=b'7', low @ b'0'..=b'7', rest @ ..] = rest else {
                return None;
            };
            let byte = (kind & 7) << 6 | (middle & 7) << 3 | low & 7;
            return Some(([byte, 0, 0, 0], 1, rest));
        }
        _ => return None,
    };
    Some(([byte, 0, 0, 0], 1, rest))
}

fn unicode(text: &[u8]) -> Option<([u8; 4], usize, &[u8])> {
    let (unit, mut rest) = hex4(text)?;
    let mut scalar = char::from_u32(unit);
    if let (0xd800..=0xdbff, [b'\\', b'u', low @ ..]) = (unit, rest)
        && let Some((low @ 0xdc00..=0xdfff, after)) = hex4(low)
    {
        let above = (unit & 0x3ff) << 10 | low & 0x3ff;
        scalar = char::from_u32(above.wrapping_add(0x1_0000));
        rest = after;
    }
    let mut encoded = [0; 4];
    let len = scalar
        .unwrap_or(char::REPLACEMENT_CHARACTER)
        .encode_utf8(&mut encoded)
        .len();
    Some((encoded, len, rest))
}

fn hex4(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<4>()?;
    let mut unit = 0;
    for digit in digits {
        unit = unit << 4 | char::from(*digit).to_digit(16)?;
    }
    Some((unit, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn members(text: &[u8]) -> Result<Vec<(Vec<u8>, String)>, Malformed> {
        let mut members = Members::new(text);
        let mut found = Vec::new();
        while let Some(member) = members.next()? {
            found.push((member.key.to_vec(), format!("{:?}", member.value)));
        }
        Ok(found)
    }

    #[test]
    fn values_of_every_kind() {
        let text =
            br#" { "a" : "x" , "b":"\"","c":-1.5e+3, "d":null,"e":{"f":[1,"]}"],"g":{}},"h":[],"i":true} "#;
        let found = members(text).unwrap();
        let keys: Vec<_> = found.iter().map(|(key, _)| key[0] as char).collect();
        assert_eq!(keys, ['a', 'b', 'c', 'd', 'e', 'h', 'i']);
        assert!(found[0].1.starts_with("Text") && found[1].1.starts_with("Escaped"));
        assert!(found[2].1.starts_with("Number") && found[3].1 == "Null");
        assert!(found[4].1.starts_with("Object") && found[5].1 == "Other" && found[6].1 == "Other");
        assert_eq!(members(b"{}"), Ok(vec![]));
    }

    #[test]
    fn leads_are_what_stands_between_values() {
        let text = br#"{"a":1, "b" :"x"}"#;
        let mut members = Members::new(text);
        assert_eq!(members.next().unwrap().unwrap().lead, br#"{"a":"#);
        assert_eq!(members.next().unwrap().unwrap().lead, br#", "b" :"#);
        assert_eq!(members.next(), Ok(None));
    }

    #[test]
    fn damage() {
        let deep = [b"{\"a\":".as_slice(), &[b'['; 65], &[b']'; 65], b"}"].concat();
        assert_eq!(members(&deep), Err(Malformed));
        for text in [
            "",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,}",
            "{\"a\":1}}",
            "{,\"a\":1}",
            "{a:1}",
            "{\"a\":[}]}",
            "{\"a\":nul}",
            "{\"a\" 1}",
            "{\"a\":1 \"b\":2}",
            "[1]",
            "{\"a\":\"\\",
            "}",
            "{\"a\":1}{\"b\":1}",
        ] {
            assert_eq!(members(text.as_bytes()), Err(Malformed), "{text}");
        }
    }

    fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
        let mut into = vec![0; text.len()];
        let len = unescape(text, &mut into)?;
        into.truncate(len);
        Some(into)
    }

    #[test]
    fn escapes() {
        let cases: [(&str, &[u8]); 8] = [
            (r#"a\"b\\c\/d"#, b"a\"b\\c/d"),
            (r"\b\f\n\r\t", b"\x08\x0c\n\r\t"),
            (r"\u0041\u00e9\u20ac", "A\u{e9}\u{20ac}".as_bytes()),
            (r"\ud83d\ude00", "\u{1f600}".as_bytes()),
            (r"\udbff\udfff", "\u{10ffff}".as_bytes()),
            (r"\ud83dx", "\u{fffd}x".as_bytes()),
            (r"\ud83d\u0041", "\u{fffd}A".as_bytes()),
            (r"\377\012", b"\xff\n"),
        ];
        for (text, meaning) in cases {
            assert_eq!(unescaped(text.as_bytes()).as_deref(), Some(meaning), "{text}");
        }
        for text in [r"\x41", r"\u12", r"\u12g4", "\\", r"\400", r"\18"] {
            assert_eq!(unescaped(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_serde(keys in proptest::collection::vec("[a-z]{1,3}", 0..6), text in "\\PC{0,20}", number: i64) {
            let mut object = serde_json::Map::new();
            for key in keys {
                object.insert(key.clone(), serde_json::json!(text));
                object.insert(key + "_n", serde_json::json!([number, {"x": text}]));
            }
            let line = serde_json::to_vec(&object).unwrap();
            let found = members(&line).unwrap();
            prop_assert_eq!(found.len(), object.len());
            for (key, value) in found {
                prop_assert!(object.contains_key(std::str::from_utf8(&key).unwrap()));
                prop_assert!(value == "Other" || value.starts_with("Text") || value.starts_with("Escaped"));
            }
            let quoted = serde_json::to_vec(&text).unwrap();
            prop_assert_eq!(unescaped(&quoted[1..quoted.len() - 1]).unwrap(), text.as_bytes());
        }

        #[test]
        fn any_bytes(text: Vec<u8>) {
            let _ = members(&text);
            if let Some(meaning) = unescaped(&text) {
                prop_assert!(meaning.len() <= text.len());
            }
        }
    }
}
