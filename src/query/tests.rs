use super::field::Kind;
use super::{Field, Record, Value, parse};
use proptest::prelude::*;
use std::borrow::Cow;

/// A row with a few fields.
struct Row;

impl Record for Row {
    fn value(&self, field: Field) -> Value<'_> {
        let text = |text: &'static str| Value::Text(Cow::Borrowed(text.as_bytes()));
        match field {
            Field::Code => Value::Number(503),
            Field::DurationMs => Value::Number(1500),
            Field::BytesSent => Value::Number(4096),
            Field::Flags => Value::Set(Cow::Borrowed(b"UF,URX")),
            Field::Path => text("/Ratings/7?a=(b)"),
            Field::Method => text("GET"),
            Field::Destination => text("ratings.default.svc.cluster.local:9080"),
            // 2026-11-02T03:00:00Z
            Field::Start => Value::Time(1_793_588_400_000_000_000),
            _ => Value::Missing,
        }
    }
}

fn holds(text: &str) -> bool {
    parse(text)
        .unwrap_or_else(|why| panic!("{text}: {why}"))
        .holds(&Row)
}

#[test]
fn conditions_mean_what_they_say() {
    for text in [
        "code>=500",
        "code >= 500 and flags has UF and duration_ms>1000",
        "code=503",
        "code == 503",
        "code in (502, 503)",
        "flags has URX",
        "flags in (UC, URX)",
        "duration_ms = 1.5s",
        "duration_ms < 2m AND duration_ms > 1499ms",
        "bytes_sent = 4Ki",
        "path ~ '(?i)^/ratings/'",
        "path starts_with /Rat",
        "path ends_with '(b)'",
        "path contains \"?a=\"",
        "destination starts_with ratings.default",
        "not code < 500",
        "not (code < 500 or method = POST)",
        "code < 500 or method = GET and exists path",
        "method != POST",
        "upstream_ms != 7",
        "not exists upstream_ms",
        "start >= 2026-11-02T03:00:00Z",
        "start < 2026-11-02T04:00:01+01:00",
        "(((code=503)))",
        "code=503 && method=GET || code=1",
    ] {
        assert!(holds(text), "{text}");
    }
    for text in [
        "code<500",
        "flags has U",
        "flags has UC",
        "path starts_with /ratings",
        "upstream_ms = 7",
        "upstream_ms >= 0",
        "exists upstream_ms",
        "code in (200, 204)",
        "not code>=500 or method=POST",
        "start > 2026-11-02T03:00:00Z",
    ] {
        assert!(!holds(text), "{text}");
    }
}

#[test]
fn and_binds_closer_than_or() {
    assert!(holds("code=503 or code=1 and code=2"));
    assert!(!holds("(code=503 or code=1) and code=2"));
}

#[test]
fn mistakes_are_told_with_their_place() {
    let told = |text: &str| parse(text).unwrap_err().to_string();
    assert!(told("cod>=500").starts_with("no field cod (there are start, "));
    assert!(told("code>=500 and ").contains("expected a field, at column 15: its end"));
    assert!(told("code>=abc").contains("code is compared with a whole number"));
    assert!(told("code >= 500 xor 1").contains("expected `and`, `or` or the end, at column 13: xor 1"));
    assert!(told("(code=1").contains("expected `)`"));
    assert!(told("path ~ '('").contains("no regular expression"));
    assert!(told("code contains 5").contains("code holds no text"));
    assert!(told("code").contains("expected =, !="));
    assert!(told("start > yesterday").contains("a time such as"));
    assert!(told("path = 'a").contains("expected a value"));
    assert!(told(&"(".repeat(3000)).contains("nested more than 32 deep"));
    assert!(told(&"not ".repeat(900)).contains("nested more than 32 deep"));
    assert!(told(&"a".repeat(5000)).contains("longer than"));
    assert!(told("path ~ 'a{1000}{1000}'").contains("no regular expression"));
}

#[test]
fn names_of_fields_are_words_and_each_is_explained() {
    for field in Field::ALL {
        assert!(field.name().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        assert!(!field.about().is_empty());
        assert_eq!(Field::named(field.name()), Some(*field));
    }
}

proptest! {
    #[test]
    fn no_text_is_too_much(text in ".{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn words_of_the_language_in_any_order_end(words in prop::collection::vec(
        prop::sample::select(vec!["code", "and", "or", "not", "(", ")", ">=", "503", "flags", "has", "in", ",", "'", "~", "exists", "path"]),
        0..40,
    )) {
        if let Ok(condition) = parse(&words.join(" ")) {
            // A condition and its negation never agree.
            let negated = parse(&format!("not ({})", condition.text())).unwrap();
            prop_assert_ne!(condition.holds(&Row), negated.holds(&Row));
        }
    }

    #[test]
    fn numbers_compare_as_numbers(number in 0_u64..2000) {
        prop_assert_eq!(holds(&format!("code<{number}")), 503 < number);
        prop_assert_eq!(holds(&format!("code={number}")), 503 == number);
        prop_assert_eq!(holds(&format!("code>={number}")), 503 >= number);
    }
}

#[test]
fn every_kind_of_field_can_be_asked_for() {
    for field in Field::ALL {
        let value = match field.kind() {
            Kind::Number => "1",
            Kind::Text | Kind::Set => "a",
            Kind::Time => "2026-11-02T03:00:00Z",
        };
        parse(&format!("{}={value}", field.name())).unwrap();
    }
}
