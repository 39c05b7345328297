//! Other names for what the inputs name: pods, workloads, services, namespaces, nodes, hosts, segments of paths, addresses.
//!
//! A pseudonym is a keyed hash (HMAC-SHA256) of a name, so equal names have equal pseudonyms in every output made with the
//! same key, and without the key nobody can try names. Structure is kept: labels of a host, the parts of a cluster's
//! name, a version (`-v1`), the ordinal of a `StatefulSet`, the form of the hashes that Kubernetes appends, prefixes of
//! addresses. Names of the mesh's own parts stay (`words`).
//!
//! Names are learned first, from places that hold nothing else; then texts are rewritten word by word. Also without
//! having been learned, what shows by its form is rewritten: addresses, hosts in a known domain, cluster names, SPIFFE ids,
//! generated pod names, paths in request lines.

mod addresses;
mod words;

use super::texts::{Content, Edit};
use crate::aggregate::address::workload;
use crate::decode::log::{AccessRow, Content as LineContent, LogDecoder};
use crate::decode::packet::{Address, Endpoint};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// Bytes that a key must have: as many bits as nobody can try.
pub const KEY_BYTES: usize = 16;

/// Names that are remembered.
const MAX_NAMES: usize = 1 << 20;

/// Longest text of an address, `[..]` not counted.
const ADDRESS_BYTES: usize = 45;

/// Digits of the id of a container, which the kubelet puts into names of files.
const CONTAINER_ID: usize = 64;

/// Digits of a number in a path that may be of a person, an order or the like.
const LONG_NUMBER: usize = 5;

/// What is done with names that are also words of sentences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// Names go first: a sentence may read oddly.
    Names,
    /// Words of known error texts go first, where nothing around them shows that a name is meant: for logs that are to be
    /// read again.
    Texts,
}

/// Names and what stands for them.
#[derive(Debug)]
pub struct Pseudonyms {
    mac: Hmac<Sha256>,
    care: Care,
    /// Names that show by their form are learned where texts are rewritten.
    learning: bool,
    /// Names that were learned, in lower case, without what was kept of them.
    names: HashSet<Box<str>>,
    /// Segments of paths: names only in paths.
    segments: HashSet<Box<str>>,
    /// Words of error texts.
    words: HashSet<Box<str>>,
    /// Pseudonyms that were made.
    made: HashMap<Box<str>, Box<str>>,
    addresses: HashMap<IpAddr, IpAddr>,
    /// Names as they stand in ids of findings, with their pseudonyms.
    ids: BTreeMap<String, String>,
    /// Names that were too many to remember.
    pub left_out: u64,
}

/// Where a word stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Among other words.
    Text,
    /// Where only names stand.
    Name,
    /// In a path of a request.
    Segment,
}

impl Pseudonyms {
    /// With a key of at least [`KEY_BYTES`] bytes; `words` are those of error texts, which are looked for in logs.
    pub fn new<'w>(key: &[u8], care: Care, texts: impl IntoIterator<Item = &'w str>) -> Option<Self> {
        let mac = Hmac::new_from_slice(key)
            .ok()
            .filter(|_| key.len() >= KEY_BYTES)?;
        let words = texts
            .into_iter()
            .flat_map(|text| text.split(|c: char| !is_word_char(c)))
            .filter(|word| word.len() > 2)
            .map(|word| word.to_ascii_lowercase().into())
            .collect();
        Some(Self {
            mac,
            care,
            learning: false,
            names: HashSet::new(),
            segments: HashSet::new(),
            words,
            made: HashMap::new(),
            addresses: HashMap::new(),
            ids: BTreeMap::new(),
            left_out: 0,
        })
    }

    /// What stands for what, sorted: names first, then addresses.
    pub fn map(&self) -> Vec<(String, String)> {
        let mut map: Vec<(String, String)> = self
            .made
            .iter()
            .map(|(name, other)| (other.to_string(), name.to_string()))
            .collect();
        map.sort_unstable();
        let mut addresses: Vec<(IpAddr, IpAddr)> = self
            .addresses
            .iter()
            .filter(|(address, other)| address != other)
            .map(|(address, other)| (*other, *address))
            .collect();
        addresses.sort_unstable();
        map.extend(
            addresses
                .iter()
                .map(|(other, address)| (other.to_string(), address.to_string())),
        );
        map
    }

    /// Learns the names in a text that holds nothing else.
    pub fn learn(&mut self, content: Content, text: &[u8]) {
        match content {
            Content::Name => {
                for word in words_of(text) {
                    self.learn_word(word, false);
                }
            }
            Content::Request => {
                let path = text.iter().position(|byte| *byte == b'/').unwrap_or(text.len());
                let path = text.get(path..).unwrap_or_default();
                let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
                for word in words_of(path) {
                    self.learn_word(word, true);
                }
            }
            Content::Said | Content::Advice | Content::Line | Content::Path | Content::Id => {}
        }
    }

    /// Learns the names in a line of a log that show by their form.
    pub fn learn_line(&mut self, line: &[u8]) {
        self.learning = true;
        let _ = self.rewrite(Content::Line, line);
        self.learning = false;
    }

    /// What is done from here on with names that are also words of sentences.
    pub fn set_care(&mut self, care: Care) {
        self.care = care;
    }

    /// Learns whom a row names.
    pub fn learn_row(&mut self, row: &AccessRow<'_>) {
        let names = [
            row.authority,
            row.upstream_host,
            row.cluster,
            row.upstream_local,
            row.downstream_local,
            row.downstream_remote,
            row.sni,
            row.route,
        ];
        for name in names.into_iter().flatten() {
            self.learn(Content::Name, name);
        }
        if let Some(path) = row.path {
            self.learn(Content::Request, path);
        }
    }

    fn learn_word(&mut self, word: &[u8], segment: bool) {
        let word = trim_underscores(word);
        let Ok(text) = std::str::from_utf8(word) else {
            return;
        };
        let (base, _) = split(text);
        let base = base.to_ascii_lowercase();
        if base.is_empty() || is_kept(&base, if segment { Place::Segment } else { Place::Name }) {
            return;
        }
        let known = if segment {
            &mut self.segments
        } else {
            &mut self.names
        };
        if known.contains(base.as_str()) {
            return;
        }
        if known.len() < MAX_NAMES {
            known.insert(base.into());
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    /// A text with pseudonyms in place of names; `None` where there is none in it.
    pub fn rewrite(&mut self, content: Content, text: &[u8]) -> Option<Vec<u8>> {
        let place = match content {
            Content::Name => Place::Name,
            Content::Path => return self.path(text),
            Content::Said | Content::Advice | Content::Line | Content::Id | Content::Request => Place::Text,
        };
        let mut rewriting = Rewriting {
            text,
            at: 0,
            place,
            until: Until::End,
            copied: 0,
            written: Vec::new(),
            apart_at: 0,
        };
        if content == Content::Request {
            let path = text.iter().position(|byte| *byte == b'/').unwrap_or(text.len());
            rewriting.at = path;
            rewriting.place = Place::Segment;
        }
        rewriting.run(self);
        rewriting.finish()
    }

    /// The path of an input: folders and files keep what says how a log is stored.
    fn path(&mut self, text: &[u8]) -> Option<Vec<u8>> {
        // A place in an input stands behind its path.
        let text = std::str::from_utf8(text).ok()?;
        let mut written = String::with_capacity(text.len());
        for piece in text.split_inclusive(['/', '.', '_', ':', '!', ' ', '@', '=', ',']) {
            let (word, end) = match piece.char_indices().last() {
                Some((at, c)) if !is_word_char(c) || c == '_' => piece.split_at_checked(at)?,
                _ => (piece, ""),
            };
            let keeps = |ending: &&str| word.strip_suffix(*ending).is_some_and(|rest| rest.ends_with('-'));
            let container = ["istio-proxy", "istio-init"].into_iter().find(keeps);
            let (word, container) = match container {
                Some(container) => word
                    .strip_suffix(container)
                    .and_then(|rest| rest.strip_suffix('-'))
                    .map_or((word, None), |rest| (rest, Some(container))),
                None => (word, None),
            };
            match self.of_path(word) {
                Some(other) => written.push_str(&other),
                None => written.push_str(word),
            }
            if let Some(container) = container {
                written.push('-');
                written.push_str(container);
            }
            written.push_str(end);
        }
        let written = self
            .rewrite_addresses(written.as_bytes())
            .unwrap_or_else(|| written.into_bytes());
        (written != text.as_bytes()).then_some(written)
    }

    /// A word of a path: what identities are not read from stays, else there would be more of them.
    fn of_path(&mut self, word: &str) -> Option<String> {
        let lower = word.to_ascii_lowercase();
        if is_kept(&lower, Place::Name) {
            return None;
        }
        if is_generated(word) {
            return self.word(word, Place::Name, false);
        }
        let first = word.split('-').next().unwrap_or(word);
        if first.is_empty() || crate::input::is_place_word(first) {
            let rest = word.strip_prefix(first)?.strip_prefix('-')?;
            return self
                .of_path(rest)
                .map(|other| format!("{first}-{other}"))
                .filter(|_| !first.is_empty());
        }
        if let Some((name, id)) = word.rsplit_once('-')
            && id.len() == CONTAINER_ID
            && id.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            return self.of_path(name).map(|other| format!("{other}-{id}"));
        }
        if word.len() > 20 && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
            return None;
        }
        self.word(word, Place::Name, false)
    }

    fn rewrite_addresses(&mut self, text: &[u8]) -> Option<Vec<u8>> {
        let mut rewriting = Rewriting {
            text,
            at: 0,
            place: Place::Text,
            until: Until::End,
            copied: 0,
            written: Vec::new(),
            apart_at: 0,
        };
        while rewriting.at < text.len() {
            if !rewriting.address(self) {
                rewriting.at = rewriting.at.saturating_add(1);
            }
        }
        rewriting.finish()
    }

    /// The pseudonym of an address.
    pub fn address(&mut self, address: IpAddr) -> IpAddr {
        if let Some(known) = self.addresses.get(&address) {
            return *known;
        }
        let mac = &self.mac;
        let other = addresses::pseudonym(address, &|bytes| hash(mac, b"address", bytes));
        if self.addresses.len() < MAX_NAMES {
            self.addresses.insert(address, other);
        }
        other
    }

    /// What stands for a word, if anything.
    fn word(&mut self, word: &str, place: Place, shown_to_be_name: bool) -> Option<String> {
        let (base, rest) = split(word);
        let lower = base.to_ascii_lowercase();
        if is_kept(&lower, place) {
            return (!rest.is_empty() && place != Place::Segment && is_generated(word))
                .then(|| format!("{base}{}", self.rest(rest)));
        }
        let renamed = match place {
            Place::Segment | Place::Name => true,
            Place::Text => {
                let known = self.names.contains(lower.as_str())
                    || (shown_to_be_name && self.segments.contains(lower.as_str()));
                let common = lower.len() <= 2
                    || words::COMMON.contains(&lower.as_str())
                    || (self.care == Care::Texts && self.words.contains(lower.as_str()));
                (known && (shown_to_be_name || !common || !rest.is_empty())) || is_generated(word)
            }
        };
        if !renamed {
            return self.parts(word);
        }
        if place == Place::Segment && is_id(word) {
            let hexadecimal = word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
            return Some(self.alike(word, hexadecimal));
        }
        let other = self.base(&lower);
        let other = if base.bytes().any(|byte| byte.is_ascii_lowercase()) {
            if base.starts_with(|c: char| c.is_ascii_uppercase()) {
                capitalised(&other)
            } else {
                other
            }
        } else {
            other.to_ascii_uppercase()
        };
        Some(format!("{other}{}", self.rest(rest)))
    }

    /// A word in text that holds a name between hyphens: `allow-ratings`.
    fn parts(&mut self, word: &str) -> Option<String> {
        if !word.contains('-') {
            return None;
        }
        let mut changed = false;
        let parts: Vec<String> = word
            .split('-')
            .map(|part| {
                let lower = part.to_ascii_lowercase();
                let is_name = lower.len() > 2
                    && self.names.contains(lower.as_str())
                    && !words::COMMON.contains(&lower.as_str())
                    && !(self.care == Care::Texts && self.words.contains(lower.as_str()));
                changed |= is_name;
                if is_name {
                    self.base(&lower)
                } else {
                    part.to_owned()
                }
            })
            .collect();
        changed.then(|| parts.join("-"))
    }

    /// The pseudonym of a name, in lower case: twelve letters, which no hash of Kubernetes' has (it has no vowels) and
    /// which no id in a path looks like (it has digits).
    fn base(&mut self, name: &str) -> String {
        const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvz";
        const VOWELS: &[u8; 4] = b"aeio";
        if let Some(made) = self.made.get(name) {
            return made.to_string();
        }
        let mut bits = hash(&self.mac, b"name", name.as_bytes());
        let mut made = String::with_capacity(12);
        for _ in 0..6 {
            for letters in [CONSONANTS.as_slice(), VOWELS.as_slice()] {
                let count = u64::try_from(letters.len()).unwrap_or(1);
                let at = usize::try_from(bits % count).unwrap_or(0);
                made.push(char::from(letters.get(at).copied().unwrap_or(b'a')));
                bits /= count;
            }
        }
        if self.made.len() < MAX_NAMES {
            self.made.insert(name.into(), made.clone().into());
        }
        made
    }

    /// What Kubernetes and people append: versions and ordinals stay, hashes become others of the same form.
    fn rest(&self, rest: &str) -> String {
        let mut written = String::with_capacity(rest.len());
        for part in rest.split_inclusive('-') {
            let word = part.trim_end_matches('-');
            if is_version(word) || is_ordinal(word) {
                written.push_str(part);
            } else {
                written.push_str(&self.alike(word, false));
                written.push_str(part.get(word.len()..).unwrap_or_default());
            }
        }
        written
    }

    /// Another word of the same form: digits stay digits and letters letters, hexadecimal or of Kubernetes' alphabet.
    fn alike(&self, word: &str, hexadecimal: bool) -> String {
        let letters: &[u8] = if hexadecimal {
            b"abcdef"
        } else {
            b"bcdfghjklmnpqrstvwxz"
        };
        let digits: &[u8] = if hexadecimal { b"0123456789" } else { b"2456789" };
        let mut written = String::with_capacity(word.len());
        let mut bits = 0;
        for (at, c) in word.chars().enumerate() {
            if at % 8 == 0 {
                let mut bytes = at.to_be_bytes().to_vec();
                bytes.extend_from_slice(word.as_bytes());
                bits = hash(&self.mac, b"form", &bytes);
            }
            let among = match c {
                '0'..='9' => digits,
                'a'..='z' | 'A'..='Z' => letters,
                _ => {
                    written.push(c);
                    continue;
                }
            };
            let count = u64::try_from(among.len()).unwrap_or(1);
            let chosen = among.get(usize::try_from(bits % count).unwrap_or(0)).copied();
            bits /= count;
            let chosen = char::from(chosen.unwrap_or(b'x'));
            written.push(if c.is_ascii_uppercase() {
                chosen.to_ascii_uppercase()
            } else {
                chosen
            });
        }
        written
    }

    /// Learns whom an id of a finding may name.
    fn learn_id(&mut self, name: &str) {
        let other = self.rewrite(Content::Name, name.as_bytes());
        if let Some(other) = other
            && self.ids.len() < MAX_NAMES
        {
            self.ids
                .insert(slug(name), slug(&String::from_utf8_lossy(&other)));
        }
    }

    /// An id of a finding: a cause, and the name of whom it concerns.
    fn id(&self, id: &str) -> Option<String> {
        id.match_indices('-').find_map(|(at, _)| {
            let (cause, name) = id.split_at_checked(at)?;
            let other = self.ids.get(name.strip_prefix('-')?)?;
            Some(format!("{cause}-{other}"))
        })
    }
}

/// A name as ids of findings write it.
fn slug(name: &str) -> String {
    let slug: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    slug.trim_matches('-').to_owned()
}

fn hash(mac: &Hmac<Sha256>, purpose: &[u8], bytes: &[u8]) -> u64 {
    let mut mac = mac.clone();
    mac.update(purpose);
    mac.update(&[0]);
    mac.update(bytes);
    let code = mac.finalize().into_bytes();
    code.iter()
        .take(8)
        .fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars
        .next()
        .map(|first| first.to_ascii_uppercase())
        .into_iter()
        .chain(chars)
        .collect()
}

/// Runs of bytes of words.
fn words_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let first = *rest.first()?;
            if first == PUNCTUATION {
                rest = rest.get(PUNCTUATION_BYTES..).unwrap_or_default();
            } else if is_word(first) {
                let length = rest
                    .iter()
                    .position(|byte| !is_word(*byte) || *byte == PUNCTUATION);
                let (word, behind) = rest.split_at_checked(length.unwrap_or(rest.len()))?;
                rest = behind;
                return Some(word);
            } else {
                rest = rest.get(1..)?;
            }
        }
    })
}

/// How the signs between U+2000 and U+2FFF begin in UTF-8: dashes, quotes, arrows, the ellipsis of what was cut.
const PUNCTUATION: u8 = 0xe2;

/// Their length.
const PUNCTUATION_BYTES: usize = 3;

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || byte >= 0x80
}

fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || !c.is_ascii()
}

fn trim_underscores(word: &[u8]) -> &[u8] {
    let start = word.iter().take_while(|byte| matches!(byte, b'_' | b'-')).count();
    let end = word
        .iter()
        .rev()
        .take_while(|byte| matches!(byte, b'_' | b'-'))
        .count();
    word.get(start..word.len().saturating_sub(end))
        .unwrap_or_default()
}

fn is_version(word: &str) -> bool {
    word.strip_prefix(['v', 'V'])
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_ordinal(word: &str) -> bool {
    (1..=3).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn has_digit(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit())
}

/// A name, and what Kubernetes and people append to it: `-v1`, `-0`, `-6484c4d9bb`, `-6484c4d9bb-x7x2p`.
fn split(word: &str) -> (&str, &str) {
    let mut base = if is_generated(word) { workload(word) } else { word };
    while let Some((head, last)) = base.rsplit_once('-') {
        let template = (8..=10).contains(&last.len()) && has_digit(last) && is_random(last);
        if head.is_empty() || !(is_version(last) || is_ordinal(last) || template) {
            break;
        }
        base = head;
    }
    word.split_at_checked(base.len()).unwrap_or((word, ""))
}

fn is_random(word: &str) -> bool {
    word.bytes()
        .all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte))
}

/// A name as a `Deployment` or `DaemonSet` makes it.
fn is_generated(word: &str) -> bool {
    let base = workload(word);
    word.strip_prefix(base).is_some_and(has_digit) && base.len() < word.len() && !base.is_empty()
}

/// A segment of a path that is an id: a long number, a UUID, a long word with digits in it.
fn is_id(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    digits >= LONG_NUMBER || (digits > 0 && word.len() >= 12)
}

fn is_kept(lower: &str, place: Place) -> bool {
    let number = lower.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let of_paths = place == Place::Segment && words::KEPT_IN_PATHS.contains(&lower);
    (number && !(place == Place::Segment && lower.len() >= LONG_NUMBER))
        || is_version(lower)
        || words::KEPT.contains(&lower)
        || of_paths
        || !lower
            .bytes()
            .any(|byte| byte.is_ascii_alphanumeric() || byte >= 0x80)
}

/// Where a place ends in which words are names or segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    End,
    /// A blank, a quote, or what else ends a path.
    PathEnd,
    /// What cannot stand in a cluster's name or a SPIFFE id.
    NameEnd,
}

/// What stands between a name of a path and the path.
const PATH_OPENINGS: &[&[u8]] = &[b"\":\"/", b"\": \"/", b"', '/", b"=/"];

/// A text on its way.
struct Rewriting<'t> {
    text: &'t [u8],
    at: usize,
    place: Place,
    until: Until,
    copied: usize,
    written: Vec<u8>,
    /// A word may begin here whatever stands before.
    apart_at: usize,
}

/// What stands before a path in a request line.
const METHODS: &[&[u8]] = &[
    b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"HEAD", b"OPTIONS", b"CONNECT", b"TRACE",
];

impl Rewriting<'_> {
    fn run(&mut self, names: &mut Pseudonyms) {
        let (place, until) = (self.place, self.until);
        while let Some(byte) = self.byte(self.at) {
            let ends = match self.until {
                Until::End => false,
                Until::PathEnd => {
                    byte <= b' ' || matches!(byte, b'"' | b'\'' | b'?' | b',' | b'\\' | b'<' | b'>')
                }
                // Envoy's /clusters parts its fields by two colons.
                Until::NameEnd if byte == b':' => self.byte(self.at.saturating_add(1)) == Some(b':'),
                Until::NameEnd => {
                    !is_word(byte) && !matches!(byte, b'.' | b'|' | b':' | b'/' | b'[' | b']' | b'*')
                }
            };
            if ends {
                (self.place, self.until) = (place, until);
            }
            if byte == PUNCTUATION {
                self.at = self.at.saturating_add(PUNCTUATION_BYTES);
                self.apart_at = self.at;
                continue;
            }
            // A quoted text writes the end of a line, or a tab, as two characters.
            if byte == b'\\' && matches!(self.byte(self.at.saturating_add(1)), Some(b'n' | b't' | b'r')) {
                self.at = self.at.saturating_add(2);
                self.apart_at = self.at;
                continue;
            }
            if self.address(names) {
                continue;
            }
            if is_word(byte) && (self.apart_at == self.at || !self.before().is_some_and(is_word)) {
                self.host(names);
            } else {
                self.at = self.at.saturating_add(1);
            }
        }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    fn before(&self) -> Option<u8> {
        self.at.checked_sub(1).and_then(|at| self.byte(at))
    }

    fn replace(&mut self, range: Range<usize>, with: &[u8]) {
        self.written
            .extend_from_slice(self.text.get(self.copied..range.start).unwrap_or_default());
        self.written.extend_from_slice(with);
        self.copied = range.end;
        self.at = range.end;
    }

    fn finish(mut self) -> Option<Vec<u8>> {
        if self.copied == 0 && self.written.is_empty() {
            return None;
        }
        self.written
            .extend_from_slice(self.text.get(self.copied..).unwrap_or_default());
        (self.written != self.text).then_some(self.written)
    }

    /// End of the run of at most `most` bytes from here that `is` holds for; `None` where it is longer.
    fn run_end(&self, most: usize, is: impl Fn(u8) -> bool) -> Option<usize> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let near = rest.get(..most.saturating_add(1)).unwrap_or(rest);
        let length = near.iter().position(|byte| !is(*byte)).unwrap_or(near.len());
        (length <= most).then(|| self.at.saturating_add(length))
    }

    /// Rewrites an address that begins here; false where none does.
    fn address(&mut self, names: &mut Pseudonyms) -> bool {
        let Some(first) = self.byte(self.at) else {
            return false;
        };
        let before = self.before();
        let apart = !before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
        if !apart {
            return false;
        }
        if first.is_ascii_digit() && (self.dotted(names) || self.dashed(names)) {
            return true;
        }
        let hexadecimal = first.is_ascii_hexdigit() || first == b':';
        hexadecimal && before != Some(b':') && self.colons(names)
    }

    fn dotted(&mut self, names: &mut Pseudonyms) -> bool {
        let Some(end) = self.run_end(16, |byte| byte.is_ascii_digit() || byte == b'.') else {
            return false;
        };
        let end = if self.byte(end.saturating_sub(1)) == Some(b'.') {
            end.saturating_sub(1)
        } else {
            end
        };
        let goes_on = self.byte(end).is_some_and(|byte| byte.is_ascii_alphanumeric());
        let address = self.parsed::<Ipv4Addr>(end).filter(|_| !goes_on);
        let Some(address) = address else { return false };
        let other = names.address(IpAddr::V4(address));
        self.replace(self.at..end, other.to_string().as_bytes());
        true
    }

    /// `10-244-1-11`, as in names of pods in DNS and of nodes.
    fn dashed(&mut self, names: &mut Pseudonyms) -> bool {
        let Some(end) = self.run_end(15, |byte| byte.is_ascii_digit() || byte == b'-') else {
            return false;
        };
        let goes_on = self
            .byte(end)
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let text = self.text.get(self.at..end).unwrap_or_default();
        let dotted: Vec<u8> = text
            .iter()
            .map(|byte| if *byte == b'-' { b'.' } else { *byte })
            .collect();
        let address = std::str::from_utf8(&dotted)
            .ok()
            .and_then(|text| text.parse::<Ipv4Addr>().ok());
        let Some(address) = address.filter(|_| !goes_on) else {
            return false;
        };
        let other = names.address(IpAddr::V4(address)).to_string().replace('.', "-");
        self.replace(self.at..end, other.as_bytes());
        true
    }

    fn colons(&mut self, names: &mut Pseudonyms) -> bool {
        let is = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
        let Some(end) = self.run_end(ADDRESS_BYTES, is) else {
            return false;
        };
        let end = if self.byte(end.saturating_sub(1)) == Some(b'.') {
            end.saturating_sub(1)
        } else {
            end
        };
        let goes_on = self.byte(end).is_some_and(is_word);
        let Some(address) = self.parsed::<Ipv6Addr>(end).filter(|_| !goes_on) else {
            return false;
        };
        let other = names.address(IpAddr::V6(address));
        self.replace(self.at..end, other.to_string().as_bytes());
        true
    }

    fn parsed<T: std::str::FromStr>(&self, end: usize) -> Option<T> {
        let text = self.text.get(self.at..end)?;
        std::str::from_utf8(text).ok()?.parse().ok()
    }

    /// Words joined by dots, from here on.
    fn host(&mut self, names: &mut Pseudonyms) {
        let start = self.at;
        let rest = self.text.get(start..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|byte| (!is_word(*byte) && *byte != b'.') || *byte == PUNCTUATION)
            .unwrap_or(rest.len());
        let whole = rest.get(..length).unwrap_or_default();
        // Envoy names listeners and statistics as inbound_10.1.2.3_80.
        let length = memchr::memchr_iter(b'_', whole)
            .find(|at| starts_with_ipv4(whole.get(at.saturating_add(1)..).unwrap_or_default()))
            .map_or(length, |at| at.saturating_add(1));
        // Nodes of AWS: ip-10-1-2-3.ec2.internal.
        let length = match whole.strip_prefix(b"ip-") {
            Some([b'0'..=b'9', ..]) => 3,
            _ => length,
        };
        let end = start.saturating_add(length);
        let whole = rest.get(..length).unwrap_or_default();
        let after = self.byte(end);
        if self.begins_place(whole, end) {
            self.at = end;
            return;
        }
        let is_host = is_host(whole);
        if is_host && is_public(whole) {
            self.at = end;
            return;
        }
        let mail = after == Some(b'@') && self.text.get(end..).is_some_and(|rest| rest.len() > 1);
        let quoted_before = self.before() == Some(b'"');
        let is_key = quoted_before && after == Some(b'"') && self.byte(end.saturating_add(1)) == Some(b':');
        if is_key {
            self.at = end;
            return;
        }
        // Istio's policies in details of rows: ns[shop]-policy[allow]-rule[0].
        let bracketed = self.before() == Some(b'[')
            && [&b"ns["[..], b"policy["].iter().any(|start| {
                self.text
                    .get(..self.at)
                    .is_some_and(|before| before.ends_with(start))
            });
        let place = match self.place {
            Place::Text if is_host || mail || bracketed => Place::Name,
            place => place,
        };
        let labels = whole.split(|byte| *byte == b'.').count();
        let mut at = start;
        for (nth, label) in whole.split(|byte| *byte == b'.').enumerate() {
            let label_end = at.saturating_add(label.len());
            let word = trim_underscores(label);
            let skipped = label
                .iter()
                .take_while(|byte| matches!(byte, b'_' | b'-'))
                .count();
            let last = labels > 1 && nth.saturating_add(1) == labels;
            let keeps = last && place == Place::Name && is_domain(word);
            if let (Ok(text), false) = (std::str::from_utf8(word), keeps || word.is_empty()) {
                let joined =
                    |byte: Option<u8>| byte.is_some_and(|byte| matches!(byte, b'.' | b'/' | b'|' | b'@'));
                let word_start = at.saturating_add(skipped);
                let word_end = word_start.saturating_add(word.len());
                let port = self.byte(word_end) == Some(b':')
                    && self
                        .byte(word_end.saturating_add(1))
                        .is_some_and(|byte| byte.is_ascii_digit());
                let before = word_start.checked_sub(1).and_then(|at| self.byte(at));
                let shown = port || joined(before) || joined(self.byte(word_end));
                if names.learning && place == Place::Name {
                    names.learn_word(word, false);
                }
                if let Some(other) = names.word(text, place, shown) {
                    self.replace(word_start..word_end, other.as_bytes());
                }
            }
            at = label_end.saturating_add(1);
        }
        self.at = end;
    }

    /// Words that say what stands behind them.
    fn begins_place(&mut self, word: &[u8], end: usize) -> bool {
        if self.place != Place::Text {
            return false;
        }
        let next = self.text.get(end..).unwrap_or_default();
        if METHODS.contains(&word) && next.starts_with(b" /") {
            (self.place, self.until) = (Place::Segment, Until::PathEnd);
            // The blank ends a path: the place begins behind it.
            self.at = end.saturating_add(1);
            self.path_behind(end.saturating_add(1));
            return true;
        }
        let key = [&b"path"[..], b"original_path", b"uri", b"original-path"].contains(&word);
        let value = PATH_OPENINGS.iter().find(|opening| next.starts_with(opening));
        if let (true, Some(opening)) = (key, value) {
            self.path_behind(end.saturating_add(opening.len()).saturating_sub(1));
            return true;
        }
        let cluster =
            [&b"outbound"[..], b"inbound", b"inbound-vip"].contains(&word) && next.starts_with(b"|");
        let sni = word.starts_with(b"outbound_.");
        if cluster || (word == b"spiffe" && next.starts_with(b"://")) {
            (self.place, self.until) = (Place::Name, Until::NameEnd);
            return true;
        }
        if sni {
            (self.place, self.until) = (Place::Name, Until::NameEnd);
        }
        false
    }

    fn path_behind(&mut self, start: usize) {
        self.at = start;
        (self.place, self.until) = (Place::Segment, Until::PathEnd);
    }
}

fn starts_with_ipv4(text: &[u8]) -> bool {
    let length = text
        .iter()
        .take(16)
        .take_while(|byte| byte.is_ascii_digit() || **byte == b'.')
        .count();
    let text = text.get(..length).and_then(|text| std::str::from_utf8(text).ok());
    text.is_some_and(|text| text.parse::<Ipv4Addr>().is_ok())
}

/// Whether words joined by dots are a host's name.
fn is_host(whole: &[u8]) -> bool {
    let mut labels = whole.rsplit(|byte| *byte == b'.');
    let last = labels.next().unwrap_or_default();
    let named = labels.next().is_some_and(|label| !label.is_empty());
    named
        && (is_domain(last)
            || whole
                .split(|byte| *byte == b'.')
                .skip(1)
                .any(|label| label == b"svc"))
}

fn is_domain(label: &[u8]) -> bool {
    words::DOMAINS
        .iter()
        .any(|domain| label.eq_ignore_ascii_case(domain.as_bytes()))
}

fn is_public(host: &[u8]) -> bool {
    words::PUBLIC_DOMAINS.iter().any(|domain| {
        host.strip_suffix(domain.as_bytes())
            .is_some_and(|rest| rest.is_empty() || rest.ends_with(b"."))
    })
}

/// Learns what documents name.
pub struct Learn<'p> {
    names: &'p mut Pseudonyms,
    decoder: LogDecoder,
}

impl<'p> Learn<'p> {
    /// Learns into `names`.
    pub fn new(names: &'p mut Pseudonyms) -> Self {
        Self {
            names,
            decoder: LogDecoder::default(),
        }
    }
}

impl std::fmt::Debug for Learn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Learn").finish_non_exhaustive()
    }
}

impl Edit for Learn<'_> {
    fn text(&mut self, content: Content, text: &mut String) {
        match content {
            Content::Line => {
                let names = &mut *self.names;
                self.decoder.decode_block(text.as_bytes(), &mut |_, line| {
                    if let LineContent::Access(row) = &line.content {
                        names.learn_row(row);
                    }
                });
            }
            Content::Name => {
                self.names.learn(content, text.as_bytes());
                self.names.learn_id(text);
            }
            _ => self.names.learn(content, text.as_bytes()),
        }
    }
}

/// Puts pseudonyms into documents.
#[derive(Debug)]
pub struct Rename<'p>(pub &'p mut Pseudonyms);

impl Edit for Rename<'_> {
    fn text(&mut self, content: Content, text: &mut String) {
        let other = if content == Content::Id {
            self.0.id(text)
        } else {
            let other = self.0.rewrite(content, text.as_bytes());
            other.map(|other| String::from_utf8_lossy(&other).into_owned())
        };
        if let Some(other) = other {
            *text = other;
        }
    }

    fn endpoint(&mut self, end: &mut Endpoint) {
        end.address = match self.0.address(end.address.to_ip()) {
            IpAddr::V4(v4) => Address::v4(v4.octets()),
            IpAddr::V6(v6) => Address(v6.octets()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(care: Care) -> Pseudonyms {
        let mut names = Pseudonyms::new(b"0123456789abcdef", care, ["connection error"]).unwrap();
        for name in [
            "ratings",
            "ratings-v1",
            "outbound|9080||details.shop.svc.cluster.local",
            "error",
            "10.1.2.3:80",
        ] {
            names.learn(Content::Name, name.as_bytes());
        }
        names.learn(Content::Request, b"GET /cart/items/7?x=checkout");
        names
    }

    /// A text with each pseudonym written as the name in angles.
    fn shown(names: &mut Pseudonyms, content: Content, text: &str) -> String {
        let mut shown = match names.rewrite(content, text.as_bytes()) {
            Some(text) => String::from_utf8(text).unwrap(),
            None => text.to_owned(),
        };
        for (other, name) in names.map() {
            shown = shown.replace(&other, &format!("<{name}>"));
            shown = shown.replace(&capitalised(&other), &format!("<{}>", capitalised(&name)));
        }
        shown
    }

    #[test]
    fn names_are_replaced_and_structure_is_kept() {
        let mut names = names(Care::Names);
        for (content, text, expected) in [
            (Content::Name, "ratings", "<ratings>"),
            (Content::Name, "ratings-v1", "<ratings>-v1"),
            (Content::Name, "accounts-0", "<accounts>-0"),
            (
                Content::Name,
                "outbound|9080|v2|details.shop.svc.cluster.local",
                "outbound|9080|v2|<details>.<shop>.svc.cluster.local",
            ),
            (Content::Name, "inbound|9080||", "inbound|9080||"),
            (Content::Name, "PassthroughCluster", "PassthroughCluster"),
            (
                Content::Name,
                "istiod.istio-system.svc:15012",
                "istiod.istio-system.svc:15012",
            ),
            (Content::Name, "api.partner.com:443", "<api>.<partner>.com:443"),
            (Content::Name, "127.0.0.1:15006", "127.0.0.1:15006"),
            (
                Content::Name,
                "outbound_.9080_._.ratings.shop.svc.cluster.local",
                "outbound_.9080_._.<ratings>.<shop>.svc.cluster.local",
            ),
            (
                Content::Said,
                "ratings-v1 calls details in shop",
                "<ratings>-v1 calls <details> in <shop>",
            ),
            (
                Content::Said,
                "an error of ratings; error:8080",
                "an error of <ratings>; <error>:8080",
            ),
            (
                Content::Said,
                "at spiffe://cluster.local/ns/shop/sa/web: no",
                "at spiffe://cluster.local/ns/<shop>/sa/<web>: no",
            ),
            (
                Content::Said,
                "to unseen.other.svc.cluster.local and www.shop.com",
                "to <unseen>.other.svc.cluster.local and www.<shop>.com",
            ),
            (
                Content::Said,
                "see https://istio.io/latest/docs",
                "see https://istio.io/latest/docs",
            ),
            (Content::Said, "mail jane@shop.com", "mail <jane>@<shop>.com"),
            (
                Content::Said,
                "rbac ns[shop]-policy[allow-web]-rule[0]",
                "rbac ns[<shop>]-policy[<allow-web>]-rule[0]",
            ),
            (
                Content::Said,
                "\"GET /cart/Items/7?q=1 HTTP/1.1\" by ratings",
                "\"GET /<cart>/<Items>/7?q=1 HTTP/1.1\" by <ratings>",
            ),
            (
                Content::Said,
                "a cart, a /cart and items",
                "a cart, a /<cart> and items",
            ),
            (
                Content::Said,
                "{\"ratings\":\"ratings\"}",
                "{\"ratings\":\"<ratings>\"}",
            ),
            (
                Content::Request,
                "GET /api/v1/cart/index.html",
                "GET /api/v1/<cart>/index.html",
            ),
            (
                Content::Said,
                "cut ratings… → details",
                "cut <ratings>… → <details>",
            ),
            (
                Content::Path,
                "logs/ratings-v1.istio-proxy.log.1.gz",
                "logs/<ratings>-v1.istio-proxy.log.1.gz",
            ),
            (
                Content::Path,
                "shop/ratings-istio-proxy.log:110",
                "<shop>/<ratings>-istio-proxy.log:110",
            ),
            (
                Content::Path,
                "incident-acme/2026-11-02/productpage.eth0.pcap",
                "incident-<acme>/2026-11-02/<productpage>.eth0.pcap",
            ),
        ] {
            assert_eq!(shown(&mut names, content, text), expected, "{text}");
        }
    }

    #[test]
    fn paths_of_the_mesh_itself_say_so() {
        let mut names = names(Care::Names);
        let mut of =
            |path: &str| String::from_utf8(names.rewrite(Content::Path, path.as_bytes()).unwrap()).unwrap();
        let istiod = of("istio/istio-system/istiod-6d8c9f7b5d-x2k4p/discovery.log");
        assert!(
            istiod.starts_with("istio/istio-system/istiod-") && istiod.ends_with("/discovery.log"),
            "{istiod}"
        );
        let cni = of("istio-system/istio-cni-node-4x9zr/cni.log");
        assert!(
            cni.starts_with("istio-system/istio-cni-node-") && !cni.contains("4x9zr"),
            "{cni}"
        );
    }

    #[test]
    fn where_texts_go_first_a_name_must_show_as_one() {
        let mut names = names(Care::Texts);
        for (text, expected) in [
            (
                "connection error, details in ratings",
                "connection error, <details> in <ratings>",
            ),
            (
                "to error.shop:80 and error:80",
                "to <error>.<shop>:80 and <error>:80",
            ),
        ] {
            assert_eq!(shown(&mut names, Content::Line, text), expected);
        }
    }

    #[test]
    fn what_kubernetes_appends_keeps_its_form() {
        let mut names = names(Care::Names);
        let mut of = |name: &str| {
            let other = names.rewrite(Content::Said, name.as_bytes()).unwrap();
            String::from_utf8(other).unwrap()
        };
        let pod = of("reviews-v2-6d8c9f7b5d-x2k4p");
        assert_eq!(workload(&pod).split('-').nth(1), Some("v2"), "{pod}");
        assert!(
            is_generated(&pod) && !pod.contains("6d8c9f7b5d") && !pod.contains("x2k4p"),
            "{pod}"
        );
        let sibling = of("reviews-v2-6d8c9f7b5d-9m4lq");
        assert_eq!(workload(&pod), workload(&sibling));
        let set = |pod: &str| pod.rsplit_once('-').unwrap().0.to_owned();
        assert_eq!(set(&pod), set(&sibling), "they are of one ReplicaSet");
    }

    #[test]
    fn addresses_in_texts() {
        let mut names = names(Care::Names);
        let (v4, v6) = ("10.1.2.3".parse().unwrap(), "2001:db8::7".parse().unwrap());
        let (v4, v6) = (names.address(v4).to_string(), names.address(v6).to_string());
        let dashed = v4.replace('.', "-");
        for (text, expected) in [
            (
                "from 10.1.2.3:80 to [2001:db8::7]:443.",
                format!("from {v4}:80 to [{v6}]:443."),
            ),
            ("2001:db8::7 and 10.1.2.3.", format!("{v6} and {v4}.")),
            ("inbound_10.1.2.3_80", format!("inbound_{v4}_80")),
            ("ip-10-1-2-3.ec2.internal", format!("ip-{dashed}.")),
            (
                "at 03:12:44.120, 1.2.3, 999.1.1.1, envoy::x a::b 10.1.2.3.4",
                "at 03:12:44.120, 1.2.3, 999.1.1.1, envoy::x".to_owned(),
            ),
        ] {
            let other = names.rewrite(Content::Said, text.as_bytes());
            let other = other.map_or(text.to_owned(), |other| String::from_utf8(other).unwrap());
            assert!(other.starts_with(&expected), "{text}: {other}");
        }
    }

    #[test]
    fn nothing_takes_time_that_grows_faster_than_the_text() {
        let mut names = names(Care::Names);
        for text in ["a.", "1.", "1-", ":", "f:", "ratings.", "…", "GET /a ", "_-"] {
            let _ = names.rewrite(Content::Said, text.repeat(400_000 / text.len()).as_bytes());
        }
    }

    proptest! {
        #[test]
        fn any_text_stays_text(text in any::<String>()) {
            let mut names = names(Care::Names);
            for content in [Content::Name, Content::Said, Content::Path, Content::Request, Content::Id] {
                names.learn(content, text.as_bytes());
                let other = names.rewrite(content, text.as_bytes());
                prop_assert!(other.is_none_or(|other| String::from_utf8(other).is_ok()));
            }
        }

        #[test]
        fn any_bytes(text in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut names = names(Care::Texts);
            names.learn(Content::Name, &text);
            let _ = names.rewrite(Content::Line, &text);
        }
    }
}
