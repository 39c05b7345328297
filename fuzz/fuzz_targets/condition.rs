//! Any text as a condition: it is read or refused, and what is read is met by a row or not, its negation the other way.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postmesh::query::{Field, Record, Value, parse};

/// A row without fields.
struct Empty;

impl Record for Empty {
    fn value(&self, _: Field) -> Value<'_> {
        Value::Missing
    }
}

fuzz_target!(|text: &str| {
    if let Ok(condition) = parse(text) {
        // The negation may be nested too deep, or too long.
        if let Ok(negated) = parse(&format!("not ({text})")) {
            assert_ne!(condition.holds(&Empty), negated.holds(&Empty));
        }
    }
});
