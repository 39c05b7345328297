//! One request leaves a row at the caller's proxy and one at the called one: of each hop, one reporter counts.

use super::names::UNKNOWN;
use super::{Call, Hop};
use crate::aggregate::class::Reporter;
use crate::aggregate::flags::Outcome;
use std::collections::{BTreeMap, BTreeSet};

/// Settles what the two sides of a hop tell of each other; `truncated` says that hops were left out.
pub fn settle(calls: &mut [Call<'_>], hops: &mut [Hop<'_>], truncated: bool) {
    count_once(calls, hops, truncated);
    attribute_denials(calls);
}

/// Marks the calls and hops that count as requests: HTTP rows of the caller's proxy; those of the called proxy
/// only where the caller's rows of that hop (caller and called service) were not read. Where hops were left out, those of
/// any caller whose own log was read may have been, and rows of nobody knows whom are counted by the callers if any did.
fn count_once(calls: &mut [Call<'_>], hops: &mut [Hop<'_>], truncated: bool) {
    let reported: BTreeSet<(String, String)> = hops
        .iter()
        .filter(|hop| hop.reporter == Reporter::Source)
        .map(|hop| (hop.source.clone(), hop.destination.clone()))
        .collect();
    let reported: BTreeSet<(&str, &str)> = reported
        .iter()
        .map(|(source, destination)| (source.as_str(), destination.as_str()))
        .collect();
    let writers: BTreeSet<String> = calls
        .iter()
        .filter(|call| truncated && call.is_source() && !call.key.tcp)
        .map(|call| call.source.clone())
        .collect();
    let called: BTreeSet<&str> = reported.iter().map(|(_, destination)| *destination).collect();
    let counts = |reporter: Reporter, source: &str, destination: &str| {
        reporter == Reporter::Source
            || if source.is_empty() || source == UNKNOWN {
                !called.contains(destination)
            } else {
                !(reported.contains(&(source, destination)) || writers.contains(source))
            }
    };
    for call in calls {
        call.counted = !call.key.tcp && counts(call.key.reporter, &call.source, &call.destination);
    }
    for hop in hops {
        hop.counted = counts(hop.reporter, &hop.source, &hop.destination);
    }
}

/// Marks the caller's rows whose refusal the called proxy made and not its application: most rows with that
/// status at the called proxy say so.
fn attribute_denials(calls: &mut [Call<'_>]) {
    let mut called: BTreeMap<(String, u16), (u64, u64)> = BTreeMap::new();
    for call in calls.iter().filter(|call| !call.is_source()) {
        let (denied, all) = called
            .entry((call.destination.clone(), call.key.code))
            .or_default();
        *all += call.count();
        if call.outcome() == Outcome::Denied {
            *denied += call.count();
        }
    }
    called.retain(|_, (denied, all)| *denied * 2 > *all);
    for call in calls {
        call.denied_by_called = call.is_source()
            && call.outcome() == Outcome::Ok
            && called.contains_key(&(call.destination.clone(), call.key.code));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::class::{GroupKey, GroupTraits};
    use crate::aggregate::hops::HopMoment;
    use crate::aggregate::series::Series;
    use crate::aggregate::totals::Group;

    fn key(reporter: Reporter, code: u16, outcome: Outcome) -> GroupKey {
        of_traits(GroupTraits {
            reporter,
            peer: String::new(),
            destination: String::new(),
            cluster: String::new(),
            host: String::new(),
            route: String::new(),
            code,
            proxy_body: 0,
            flags: String::new(),
            details: String::new(),
            termination: String::new(),
            failure_reason: String::new(),
            tcp: false,
            connected: true,
            tls: true,
            outcome,
        })
    }

    fn of_traits(traits: GroupTraits) -> GroupKey {
        let hashes = traits.hashes();
        GroupKey::new("".into(), traits.into(), &hashes)
    }

    fn call<'t>(key: &'t GroupKey, group: &'t Group, source: &str, destination: &str) -> Call<'t> {
        Call {
            key,
            group,
            destination: destination.to_owned(),
            source: source.to_owned(),
            destination_pod: None,
            counted: false,
            denied_by_called: false,
        }
    }

    fn hop<'t>(call: &Call<'t>, series: &'t Series<HopMoment>) -> Hop<'t> {
        Hop::new(
            call.key.reporter,
            call.source.clone(),
            call.destination.clone(),
            series,
        )
    }

    #[test]
    fn the_callers_rows_stand_for_a_hop_else_the_called_sides() {
        let (source, destination) = (
            key(Reporter::Source, 200, Outcome::Ok),
            key(Reporter::Destination, 200, Outcome::Ok),
        );
        let tcp = of_traits(GroupTraits {
            tcp: true,
            ..GroupTraits::clone(&source)
        });
        let group = Group::default();
        let expected = [
            (call(&source, &group, "web", "ratings"), true),
            (call(&destination, &group, "web", "ratings"), false),
            (call(&destination, &group, "gateway", "ratings"), true),
            (call(&destination, &group, "web", "reviews"), true),
            (call(&tcp, &group, "web", "mysql"), false),
        ];
        let mut calls: Vec<Call<'_>> = expected.iter().map(|(call, _)| call.clone()).collect();
        let series = Series::default();
        // HTTP rows alone have hops.
        let mut hops: Vec<Hop<'_>> = calls
            .iter()
            .filter(|call| !call.key.tcp)
            .map(|call| hop(call, &series))
            .collect();
        settle(&mut calls, &mut hops, false);
        for (call, (_, counted)) in calls.iter().zip(&expected) {
            let hop = (&call.source, &call.destination, call.key.reporter);
            assert_eq!(call.counted, *counted, "{hop:?}");
        }
        let counted: Vec<bool> = hops.iter().map(|hop| hop.counted).collect();
        assert_eq!(counted, [true, false, true, true]);
    }

    #[test]
    fn where_hops_were_left_out_a_caller_with_a_log_counts_for_itself() {
        let (source, destination) = (
            key(Reporter::Source, 200, Outcome::Ok),
            key(Reporter::Destination, 200, Outcome::Ok),
        );
        let group = Group::default();
        let mut calls = [
            call(&source, &group, "web", "reviews"),
            call(&destination, &group, "web", "ratings"),
            call(&destination, &group, "gateway", "ratings"),
        ];
        let series = Series::default();
        let mut hops = [hop(&calls[1], &series), hop(&calls[2], &series)];
        settle(&mut calls, &mut hops, true);
        assert_eq!(calls.each_ref().map(|call| call.counted), [true, false, true]);
        assert_eq!(hops.each_ref().map(|hop| hop.counted), [false, true]);
    }

    #[test]
    fn a_tcp_row_of_the_caller_does_not_stand_for_http_rows_of_the_called_side() {
        let tcp = of_traits(GroupTraits {
            tcp: true,
            ..GroupTraits::clone(&key(Reporter::Source, 0, Outcome::Ok))
        });
        let http = key(Reporter::Destination, 200, Outcome::Ok);
        let group = Group::default();
        let mut calls = [
            call(&tcp, &group, "web", "ratings"),
            call(&http, &group, "web", "ratings"),
        ];
        let series = Series::default();
        let mut hops = [hop(&calls[1], &series)];
        settle(&mut calls, &mut hops, false);
        assert!(!calls[0].counted && calls[1].counted);
    }

    #[test]
    fn a_refusal_that_the_called_proxy_made_is_denied_at_the_caller_too() {
        let rows = |count| Group {
            count,
            ..Group::default()
        };
        let (many, few) = (rows(10), rows(3));
        let seen = key(Reporter::Source, 403, Outcome::Ok);
        let by_proxy = key(Reporter::Destination, 403, Outcome::Denied);
        let by_application = key(Reporter::Destination, 403, Outcome::Ok);
        let other_code = key(Reporter::Source, 429, Outcome::Ok);
        for (proxy_rows, application_rows, expected) in
            [(&many, &few, Outcome::Denied), (&few, &many, Outcome::Ok)]
        {
            let mut calls = [
                call(&seen, &many, "web", "ratings"),
                call(&by_proxy, proxy_rows, "web", "ratings"),
                call(&by_application, application_rows, "web", "ratings"),
                call(&other_code, &many, "web", "ratings"),
                call(&seen, &many, "web", "reviews"),
            ];
            settle(&mut calls, &mut [], false);
            assert_eq!(calls[0].result(), expected);
            assert_eq!(calls[3].result(), Outcome::Ok, "another status");
            assert_eq!(calls[4].result(), Outcome::Ok, "another service");
        }
    }
}
