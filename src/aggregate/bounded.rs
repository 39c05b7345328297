//! Tables with a limit that keep keys by hash, never by arrival: keys with a hash at most T are kept, T is
//! halved when the table is full, and the sums of all other keys are lumped together. The result depends on
//! the set of keys alone, so it is the same for any order, split and number of threads, and what is kept is
//! exact. (One fixed shard: merging happens on one thread, so more would only waste room.)

use super::Merge;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// A key of a [`Bounded`] table.
pub trait Key: Ord {
    /// What remains of a key that is not kept.
    type Lump: Ord;
    /// Its stable hash.
    fn key_hash(&self) -> u64;
    /// What remains of it.
    fn lump(&self) -> Self::Lump;
}

impl Key for String {
    type Lump = ();

    fn key_hash(&self) -> u64 {
        super::stable_hash(self.as_bytes())
    }

    fn lump(&self) {}
}

/// A table of at most `limit` keys.
#[derive(Clone, Debug)]
pub struct Bounded<K: Key, V> {
    limit: usize,
    threshold: u64,
    kept: BTreeMap<K, V>,
    other: BTreeMap<K::Lump, V>,
}

impl<K: Key, V: Merge> Bounded<K, V> {
    /// An empty table of at most `limit` keys.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            threshold: u64::MAX,
            kept: BTreeMap::new(),
            other: BTreeMap::new(),
        }
    }

    /// Adds `value`, which is as a merge with nothing would leave it, to what `key` has.
    pub fn add(&mut self, key: K, value: V) {
        if self.is_beyond(&key) {
            self.other.entry(key.lump()).or_default().merge(value);
        } else {
            match self.kept.entry(key) {
                Entry::Vacant(place) => drop(place.insert(value)),
                Entry::Occupied(mut held) => held.get_mut().merge(value),
            }
            self.shrink();
        }
    }

    /// True if a key is not kept; as long as all are, none is hashed.
    fn is_beyond(&self, key: &K) -> bool {
        self.is_truncated() && key.key_hash() > self.threshold
    }

    /// Changes what `key` has, or what remains of keys that are not kept.
    pub fn change(&mut self, key: K, change: impl FnOnce(&mut V)) {
        if self.is_beyond(&key) {
            change(self.other.entry(key.lump()).or_default());
        } else {
            change(self.kept.entry(key).or_default());
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        while self.kept.len() > self.limit && self.threshold > 0 {
            self.lower(self.threshold / 2);
        }
    }

    fn lower(&mut self, threshold: u64) {
        self.threshold = threshold;
        for (key, value) in std::mem::take(&mut self.kept) {
            if key.key_hash() > threshold {
                self.other.entry(key.lump()).or_default().merge(value);
            } else {
                self.kept.insert(key, value);
            }
        }
    }

    /// Adds another table of the same limit.
    pub fn absorb(&mut self, other: Self) {
        if other.threshold < self.threshold {
            self.lower(other.threshold);
        }
        for (key, value) in other.kept {
            self.add(key, value);
        }
        for (lump, value) in other.other {
            self.other.entry(lump).or_default().merge(value);
        }
    }

    /// The keys that are kept, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.kept.iter()
    }

    /// What was lumped together.
    pub fn lumped(&self) -> impl Iterator<Item = (&K::Lump, &V)> {
        self.other.iter()
    }

    /// What `key` has, if it is kept.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.kept.get(key)
    }

    /// Keys kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// True when no key is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Keys that the table can keep.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// True when keys were lumped together.
    pub fn is_truncated(&self) -> bool {
        self.threshold < u64::MAX
    }
}

/// The keys of two tables that share none, in order.
pub fn in_order<'a, K: Key, V: Merge>(
    one: &'a Bounded<K, V>,
    other: &'a Bounded<K, V>,
) -> impl Iterator<Item = (&'a K, &'a V)> {
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some((first, _)), Some((second, _))) if first < second => one.next(),
        (_, Some(_)) => other.next(),
        _ => one.next(),
    })
}

impl<V: Merge> Bounded<String, V> {
    /// Changes what a name has, or what remains of names that are not kept. A key is made only of a name that is new and kept.
    pub fn change_named(&mut self, name: &str, change: impl FnOnce(&mut V)) {
        if self.is_truncated() && super::stable_hash(name.as_bytes()) > self.threshold {
            change(self.other.entry(()).or_default());
        } else if let Some(held) = self.kept.get_mut(name) {
            change(held);
        } else {
            change(self.kept.entry(name.to_owned()).or_default());
            self.shrink();
        }
    }

    /// Adds `value` to what a name has.
    pub fn add_to(&mut self, name: &str, value: V) {
        self.change_named(name, |held| held.merge(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(keys: &[u32], limit: usize) -> Bounded<String, u64> {
        let mut table = Bounded::new(limit);
        for (number, key) in keys.iter().enumerate() {
            // Both ways of adding are one.
            if number % 2 == 0 {
                table.add(key.to_string(), 1);
            } else {
                table.add_to(&key.to_string(), 1);
            }
        }
        table
    }

    fn flat(table: &Bounded<String, u64>) -> (Vec<(String, u64)>, u64) {
        (
            table.iter().map(|(k, v)| (k.clone(), *v)).collect(),
            table.lumped().map(|((), v)| v).sum(),
        )
    }

    proptest! {
        #[test]
        fn kept_keys_depend_on_the_set_alone(keys in prop::collection::vec(0u32..300, 0..600), limit in 1usize..80, cut in 0usize..600) {
            let whole = of(&keys, limit);
            let mut reversed = keys.clone();
            reversed.reverse();
            prop_assert_eq!(flat(&whole), flat(&of(&reversed, limit)));
            let (left, right) = keys.split_at(cut.min(keys.len()));
            let (mut ab, mut ba) = (of(left, limit), of(right, limit));
            ab.absorb(of(right, limit));
            ba.absorb(of(left, limit));
            prop_assert_eq!(flat(&whole), flat(&ab));
            prop_assert_eq!(flat(&whole), flat(&ba));
            prop_assert!(whole.len() <= limit);
            let (kept, other) = flat(&whole);
            prop_assert_eq!(kept.iter().map(|(_, v)| v).sum::<u64>() + other, keys.len() as u64);
            for (key, count) in kept {
                prop_assert_eq!(count, keys.iter().filter(|k| k.to_string() == key).count() as u64, "kept keys are exact");
            }
        }
    }
}
