//! Tests of the matcher over the whole catalogue, and against a plain search.

use super::*;
use crate::catalog::{ByteClass, LogLevel, Severity, Signature};
use crate::decode::log::{AccessFormat, AccessRow};
use SignatureSource::{App, Envoy, Kernel, PilotAgent};
use TestFailureKind::{Hit, Missed, NoMatches, NoRejects};
use proptest::prelude::*;
use std::sync::LazyLock;

const EMPTY: AccessRow<'static> = AccessRow {
    code: 503,
    ..AccessRow::empty(AccessFormat::IstioText)
};

struct Fixture {
    catalog: Catalog,
    matcher: Matcher,
    hits: Vec<SignatureIndex>,
}

impl Fixture {
    fn new() -> Self {
        let catalog = Catalog::built_in().unwrap();
        let matcher = Matcher::new(&catalog).unwrap();
        Self {
            catalog,
            matcher,
            hits: Vec::new(),
        }
    }

    fn ids(&self) -> Vec<&str> {
        assert!(self.hits.is_sorted_by(|a, b| a < b), "{:?}", self.hits);
        self.hits
            .iter()
            .map(|hit| self.catalog.signatures[usize::from(hit.0)].id.as_str())
            .collect()
    }

    fn access(&mut self, row: &AccessRow<'_>) -> Vec<&str> {
        self.matcher.access(row, &mut self.hits);
        self.ids()
    }

    fn component(&mut self, component: Component, level: Level, message: &str) -> Vec<&str> {
        let line = ComponentLine {
            component,
            time: None,
            level,
            scope: b"",
            message: message.as_bytes(),
        };
        self.matcher.component(&line, &mut self.hits);
        self.ids()
    }

    fn text(&mut self, text: &str) -> Vec<&str> {
        self.matcher.text(text.as_bytes(), &mut self.hits);
        self.ids()
    }
}

#[test]
fn every_example_holds() {
    let catalog = Catalog::built_in().unwrap();
    let failures: Vec<_> = test_catalog(&catalog)
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        failures.is_empty(),
        "{} failures\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn examples_that_do_not_hold_are_told() {
    let mut catalog = Catalog::built_in().unwrap();
    let signature = &mut catalog.signatures[0];
    signature.matches = vec!["something else".to_owned()];
    signature.rejects = vec![signature.literals[0].clone()];
    catalog.signatures[1].matches.clear();
    catalog.signatures[2].rejects.clear();
    let kinds: Vec<_> = test_catalog(&catalog)
        .unwrap()
        .iter()
        .map(|failure| failure.kind)
        .collect();
    assert_eq!(kinds, [Missed, Hit, NoMatches, NoRejects]);
}

#[test]
fn the_example_of_the_readme_holds() {
    let readme = include_str!("../../data/README.md");
    let (_, after) = readme.split_once("```toml\n").unwrap();
    let (example, _) = after.split_once("```").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), example).unwrap();
    let catalog = Catalog::load(&[file.path().to_owned()], &[]).unwrap();
    assert!(catalog.signature("my-app-pool-empty").is_some());
    assert_eq!(test_catalog(&catalog).unwrap(), []);
}

#[test]
fn fields_of_a_row() {
    let mut fixture = Fixture::new();
    let refused = b"upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}";
    let reason = b"delayed_connect_error:_Connection_refused";
    let cases: [(AccessRow<'_>, &[&str]); 8] = [
        (EMPTY, &[]),
        (
            AccessRow {
                details: Some(b"via_upstream"),
                cluster: Some(b"outbound|80||a"),
                ..EMPTY
            },
            &[],
        ),
        // Both fields say it: one hit.
        (
            AccessRow {
                details: Some(refused),
                failure_reason: Some(reason),
                ..EMPTY
            },
            &["al-connect-refused-text"],
        ),
        (
            AccessRow {
                failure_reason: Some(reason),
                ..EMPTY
            },
            &["al-connect-refused-text"],
        ),
        (
            AccessRow {
                termination: Some(b"rbac_access_denied_matched_policy[none]"),
                ..EMPTY
            },
            &["al-rbac-none"],
        ),
        // A detail is no failure reason, and a cluster is nothing else.
        (
            AccessRow {
                failure_reason: Some(b"route_not_found"),
                ..EMPTY
            },
            &[],
        ),
        (
            AccessRow {
                details: Some(b"BlackHoleCluster"),
                cluster: Some(b"no_healthy_upstream"),
                ..EMPTY
            },
            &[],
        ),
        (
            AccessRow {
                details: Some(b"no_healthy_upstream"),
                cluster: Some(b"PassthroughCluster"),
                ..EMPTY
            },
            &["al-no-healthy-upstream", "al-passthrough"],
        ),
    ];
    for (row, expected) in cases {
        assert_eq!(fixture.access(&row), expected, "{row:?}");
    }
}

#[test]
fn lines_speak_for_their_own_program() {
    let mut fixture = Fixture::new();
    let bind = "listener 'virtualInbound' failed to bind or apply socket options: cannot bind '0.0.0.0:15006': Address already in use";
    assert_eq!(
        fixture.component(Component::Envoy, Level::Error, bind),
        ["ev-bind-failed", "ev-cannot-bind"]
    );
    assert!(
        fixture
            .component(Component::PilotAgent, Level::Error, bind)
            .is_empty()
    );
    assert_eq!(
        fixture.text(bind),
        ["ev-bind-failed", "ev-cannot-bind"],
        "a further line of a message"
    );
}

#[test]
fn levels_are_asked_for() {
    let mut fixture = Fixture::new();
    let message = "[C12][S345] no route match for URL '/Ratings/0'";
    assert_eq!(
        fixture.component(Component::Envoy, Level::Debug, message),
        ["ev-no-route-debug"]
    );
    assert!(
        fixture
            .component(Component::Envoy, Level::Warning, message)
            .is_empty()
    );
    assert!(fixture.text(message).is_empty(), "no level is known");
}

#[test]
fn words_of_an_application_give_way() {
    let mut fixture = Fixture::new();
    let body = "upstream connect error or disconnect/reset before headers. reset reason: overflow";
    let as_app = ["body-reason-overflow", "body-upstream-connect-error"];
    assert_eq!(fixture.text(body), as_app);
    assert_eq!(
        fixture.component(Component::PilotAgent, Level::Error, body),
        as_app,
        "JSON lines of an app"
    );
    let quoted = format!("StreamAggregatedResources gRPC config stream to xds-grpc closed: 14, {body}");
    assert_eq!(fixture.text(&quoted), ["ev-xds-closed", "ev-xds-closed-14"]);
    assert_eq!(
        fixture.text("failed to start workload secret manager too many open files"),
        ["pa-sds-inotify"]
    );
}

#[test]
fn other_sources_have_sets_of_their_own() {
    let mut fixture = Fixture::new();
    let row = b"a.default  Kubernetes  ERROR  SYNCED  SYNCED  SYNCED  NOT SENT  istiod-6d4f  1.24.1";
    fixture
        .matcher
        .other(SignatureSource::ProxyStatus, None, row, &mut fixture.hits);
    assert_eq!(fixture.ids(), ["ps-error", "ps-not-sent"]);
    fixture
        .matcher
        .other(SignatureSource::Istiod, None, row, &mut fixture.hits);
    assert!(fixture.ids().is_empty());
    fixture
        .matcher
        .other(Envoy, None, b"cannot bind '0.0.0.0:15006'", &mut fixture.hits);
    assert!(fixture.ids().is_empty(), "Envoy has a method of its own");
}

#[test]
fn nothing_is_allocated_without_a_hit() {
    let mut fixture = Fixture::new();
    fixture.hits = Vec::new();
    fixture.component(
        Component::Envoy,
        Level::Debug,
        "new connection from 10.244.1.9:41822",
    );
    fixture.access(&AccessRow {
        details: Some(b"via_upstream"),
        ..EMPTY
    });
    assert_eq!(fixture.hits.capacity(), 0);
}

#[test]
fn hostile_text_is_only_text() {
    let mut fixture = Fixture::new();
    let noise: Vec<u8> = (0..=u8::MAX).cycle().take(10_000).collect();
    fixture.matcher.text(&noise, &mut fixture.hits);
    assert!(fixture.hits.is_empty());
    let many = "cannot bind ".repeat(10_000);
    assert_eq!(fixture.text(&many), ["ev-cannot-bind"]);
}

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::built_in().unwrap());
static MATCHER: LazyLock<Matcher> = LazyLock::new(|| Matcher::new(&CATALOG).unwrap());

/// What the catalogue says, searched for in the plainest way.
fn holds(signature: &Signature, text: &str, level: Option<Level>) -> bool {
    let bytes = text.as_bytes();
    let occurs = |literal: &String| {
        (0..bytes.len()).any(|at| {
            let end = at + literal.len();
            let next = bytes.get(end);
            bytes[at..].starts_with(literal.as_bytes())
                && (!signature.whole || (at == 0 && end == bytes.len()))
                && match (signature.next_not, next) {
                    (Some(ByteClass::Digit), Some(next)) => !next.is_ascii_digit(),
                    (Some(ByteClass::Word), Some(next)) => !(next.is_ascii_alphanumeric() || *next == b'_'),
                    _ => true,
                }
        })
    };
    signature.literals.iter().any(occurs)
        && (signature.also.is_empty() || signature.also.iter().any(|also| text.contains(also.as_str())))
        && !signature.not.iter().any(|not| text.contains(not.as_str()))
        && (signature.levels.is_empty()
            || level.is_some_and(|level| signature.levels.iter().any(|it| it.name() == level.name())))
}

/// The hits of a text among signatures of these sources, by the plain search.
fn plain(catalog: &Catalog, sources: &[SignatureSource], text: &str, level: Option<Level>) -> Vec<u16> {
    let all = (0u16..).zip(&catalog.signatures);
    let of_sources = all.filter(|(_, signature)| sources.contains(&signature.source));
    let (app, proxy): (Vec<_>, Vec<_>) = of_sources
        .filter(|(_, signature)| holds(signature, text, level))
        .partition(|(_, signature)| signature.source == App);
    let speaking = if proxy.is_empty() { app } else { proxy };
    speaking.into_iter().map(|(index, _)| index).collect()
}

/// Literals of few letters, so that they overlap and contain each other: some too short for the filter, or all
/// long enough for it.
const LITERALS: [&str; 2] = ["[ab1_]{3,14}", "[ab1_]{7,14}"];

fn signature(number: usize, literal: &'static str) -> impl Strategy<Value = Signature> {
    let source = prop_oneof![Just(Envoy), Just(PilotAgent), Just(App), Just(Kernel),];
    let few = || proptest::collection::vec("[ab1_]{1,3}", 0..2);
    let next_not = proptest::option::of(prop_oneof![Just(ByteClass::Digit), Just(ByteClass::Word)]);
    let literals = proptest::collection::vec(literal, 1..4);
    let levels = prop_oneof![3 => Just(vec![]), 1 => Just(vec![LogLevel::Debug, LogLevel::Error])];
    (source, literals, few(), few(), next_not, any::<bool>(), levels).prop_map(
        move |(source, literals, also, not, next_not, whole, levels)| Signature {
            id: format!("s{number:02}"),
            title: "generated".to_owned(),
            source,
            severity: Severity::Info,
            cause: None,
            literals,
            also,
            not,
            next_not,
            whole: whole && number.is_multiple_of(4),
            levels: if source.has_levels() { levels } else { vec![] },
            field: AccessField::Details,
            since: None,
            until: None,
            documented_in: String::new(),
            verified: false,
            note: None,
            matches: vec![],
            rejects: vec![],
        },
    )
}

fn signatures() -> impl Strategy<Value = Vec<Signature>> {
    let of = |literal| {
        (0..12usize)
            .map(move |number| signature(number, literal))
            .collect::<Vec<_>>()
    };
    prop_oneof![of(LITERALS[0]), of(LITERALS[1])]
}

fn level() -> impl Strategy<Value = Level> {
    proptest::sample::select(&Level::ALL[..])
}

proptest! {
    #[test]
    fn agrees_with_a_plain_search(
        signatures in signatures(),
        random in "[ab1_]{0,60}",
        chosen in 0..12usize,
        level in level(),
    ) {
        let mut catalog = CATALOG.clone();
        catalog.signatures = signatures;
        let matcher = Matcher::new(&catalog).unwrap();
        let sown = format!("{random}{}{random}", catalog.signatures[chosen].literals[0]);
        let alone = catalog.signatures[chosen].literals[0].clone();
        let mut hits = Vec::new();
        for text in [random, sown, alone] {
            matcher.text(text.as_bytes(), &mut hits);
            let found: Vec<u16> = hits.iter().map(|hit| hit.0).collect();
            prop_assert_eq!(found, plain(&catalog, &[Envoy, PilotAgent, App, Kernel], &text, None));
            for (component, sources) in [(Component::Envoy, &[Envoy][..]), (Component::PilotAgent, &[PilotAgent, App])] {
                let line = ComponentLine { component, time: None, level, scope: b"", message: text.as_bytes() };
                matcher.component(&line, &mut hits);
                let found: Vec<u16> = hits.iter().map(|hit| hit.0).collect();
                prop_assert_eq!(found, plain(&catalog, sources, &text, Some(level)));
            }
        }
    }

    #[test]
    fn agrees_with_a_plain_search_over_the_catalogue(
        chosen in any::<proptest::sample::Index>(),
        second in any::<proptest::sample::Index>(),
        before in "[ -~]{0,20}",
        after in "[ -~]{0,20}",
    ) {
        let literals: Vec<&String> = CATALOG.signatures.iter().flat_map(|signature| &signature.literals).collect();
        let text = format!("{before}{}{after}{}", literals[chosen.index(literals.len())], literals[second.index(literals.len())]);
        let mut hits = Vec::new();
        MATCHER.text(text.as_bytes(), &mut hits);
        let found: Vec<u16> = hits.iter().map(|hit| hit.0).collect();
        prop_assert_eq!(found, plain(&CATALOG, &[Envoy, PilotAgent, App, Kernel], &text, None), "{}", text);
    }
}
