//! Envoy's response flags: what each means and how it counts.

use serde::Deserialize;

/// How many flags Envoy itself knows (`CoreResponseFlag`); extensions may add more, which stay unnamed here.
pub const CORE_FLAGS: usize = 30;

/// How a row with a flag counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlagClass {
    /// The mesh failed the request.
    Failure,
    /// The caller gave up.
    Cancel,
    /// A policy refused the request, as it was told to.
    Denied,
    /// Says nothing about the outcome.
    Info,
}

impl FlagClass {
    /// The name in data.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Cancel => "cancel",
            Self::Denied => "denied",
            Self::Info => "info",
        }
    }
}

/// One response flag.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flag {
    /// As `RESPONSE_FLAGS` prints it.
    pub name: String,
    /// As `RESPONSE_FLAGS_LONG` prints it.
    pub long_name: String,
    /// How a row with it counts.
    pub class: FlagClass,
    /// Why it is of that class, where it is not plain.
    #[serde(default)]
    pub class_because: Option<String>,
    /// What it means.
    pub meaning: String,
    /// HTTP status that usually stands beside it, in words where it varies.
    pub code: String,
    /// Who logs it.
    pub logged_by: String,
    /// First release of Envoy with it, where known.
    #[serde(default)]
    pub since: Option<String>,
    /// Cause to which it points when nothing more specific is known.
    #[serde(default)]
    pub cause: Option<String>,
    /// Where it is documented.
    pub documented_in: String,
}

/// The flags, in name order, with a dense number for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagTable {
    flags: Vec<Flag>,
    /// Short names as numbers, in the same order: found without touching the strings.
    keys: Vec<u64>,
    /// Long names with the number of the flag, sorted.
    long: Vec<(Box<[u8]>, usize)>,
}

impl FlagTable {
    /// Sorts the flags by name.
    pub(super) fn new(mut flags: Vec<Flag>) -> Self {
        flags.sort_by(|a, b| a.name.cmp(&b.name));
        let keys = flags.iter().map(|flag| key(flag.name.as_bytes())).collect();
        let mut long: Vec<_> = flags
            .iter()
            .enumerate()
            .map(|(i, flag)| (flag.long_name.as_bytes().into(), i))
            .collect();
        long.sort();
        Self { flags, keys, long }
    }

    /// The flag of that short or long name.
    pub fn get(&self, token: &[u8]) -> Option<&Flag> {
        self.index(token).and_then(|at| self.flags.get(at))
    }

    /// Its number: 0 to [`CORE_FLAGS`] - 1, in the order of short names. `None` for flags that extensions add.
    pub fn index(&self, token: &[u8]) -> Option<usize> {
        if token.len() > MAX_KEY_BYTES {
            let found = self.long.binary_search_by(|(name, _)| (**name).cmp(token)).ok()?;
            return self.long.get(found).map(|(_, at)| *at);
        }
        self.keys.binary_search(&key(token)).ok()
    }

    /// The short name of a number.
    pub fn name(&self, index: usize) -> Option<&str> {
        self.flags.get(index).map(|flag| flag.name.as_str())
    }

    /// All flags, in the order of their numbers.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Flag> {
        self.flags.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.flags.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.flags.is_empty()
    }
}

/// Short names fit into a number beside their length; the shortest long name (`FaultInjected`) does not.
const MAX_KEY_BYTES: usize = 7;

/// Bytes as a big-endian number, so that numbers sort as the names do, with the length last: `UF` and `UF\0`
/// are two names.
fn key(name: &[u8]) -> u64 {
    let mut bytes = [0; MAX_KEY_BYTES + 1];
    for (to, from) in bytes.iter_mut().zip(name) {
        *to = *from;
    }
    u64::from_be_bytes(bytes) | name.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn all_core_flags_are_there_in_name_order() {
        let flags = Catalog::built_in().unwrap().flags;
        let names: Vec<_> = flags.iter().map(|flag| flag.name.as_str()).collect();
        let expected = [
            "DC", "DF", "DI", "DO", "DPE", "DR", "DT", "FI", "IH", "LH", "LR", "NC", "NFCF", "NR", "OM",
            "RFCF", "RL", "RLSE", "SI", "UAEX", "UC", "UDO", "UF", "UH", "UMSDR", "UO", "UPE", "UR", "URX",
            "UT",
        ];
        assert_eq!(names, expected);
        assert_eq!(flags.len(), CORE_FLAGS);
    }

    #[test]
    fn found_by_short_and_long_name() {
        let flags = Catalog::built_in().unwrap().flags;
        for (i, flag) in flags.iter().enumerate() {
            assert_eq!(flags.index(flag.name.as_bytes()), Some(i), "{}", flag.name);
            assert_eq!(
                flags.index(flag.long_name.as_bytes()),
                Some(i),
                "{}",
                flag.long_name
            );
            assert_eq!(flags.name(i), Some(flag.name.as_str()));
        }
        for stranger in [
            &b""[..],
            b"-",
            b"U",
            b"UF,URX",
            b"uf",
            b"UF\0",
            b"CUSTOM",
            b"NoSuchLongName",
        ] {
            assert_eq!(flags.get(stranger).map(|flag| &flag.name), None, "{stranger:?}");
        }
    }

    #[test]
    fn classes_that_counts_rest_on() {
        let flags = Catalog::built_in().unwrap().flags;
        let class = |name: &str| flags.get(name.as_bytes()).unwrap().class;
        for cancel in ["DC", "DR"] {
            assert_eq!(class(cancel), FlagClass::Cancel, "{cancel}");
        }
        for denied in ["RL", "UAEX"] {
            assert_eq!(class(denied), FlagClass::Denied, "{denied}");
        }
        for info in ["DI", "RFCF", "DT"] {
            assert_eq!(class(info), FlagClass::Info, "{info}");
        }
        let failures = flags
            .iter()
            .filter(|flag| flag.class == FlagClass::Failure)
            .count();
        assert_eq!(failures, CORE_FLAGS - 7);
    }
}
