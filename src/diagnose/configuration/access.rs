//! Which policy refuses a call, and what of its rules does not fit.

use super::{At, EXACT, LIKELY, NAMED, Saved, Says};
use crate::aggregate::address::workload;
use crate::correlate::Call;
use crate::decode::document::facts::{PolicyRule, Spec, Wanted};
use crate::diagnose::finding::Finding;
use crate::diagnose::measure::some;
use std::collections::{BTreeMap, BTreeSet};

/// What Envoy writes into the details of a row: `rbac_access_denied_matched_policy[ns[shop]-policy[only]-rule[0]]`.
const MATCHED: &str = "matched_policy[";

/// Policies that select the called pods, against what the rows say of the refusal.
pub(super) fn denied(saved: &Saved<'_>, finding: &Finding, says: &mut Says) {
    let destination = finding.scope.destination.as_deref().unwrap_or_default();
    let refused: Vec<&Call<'_>> = saved
        .facts
        .calls_to(destination)
        .filter(|call| call.key.details.contains(MATCHED) || call.key.termination.contains(MATCHED))
        .collect();
    let named: BTreeSet<(&str, &str, Option<usize>)> = refused
        .iter()
        .filter_map(|call| policy_of(&call.key.details))
        .collect();
    for (namespace, name, rule) in &named {
        let policy = saved
            .objects("AuthorizationPolicy")
            .find(|at| at.key.namespace == *namespace && at.key.name == *name);
        if let Some(at) = policy {
            named_policy(&at, *rule, says);
        }
    }
    let unmatched = refused.is_empty()
        || refused
            .iter()
            .any(|call| call.key.details.contains("matched_policy[none]"));
    if unmatched {
        no_rule_fits(saved, finding, &refused, says);
    }
}

/// Namespace, name and rule of the policy that a row names; none for `none`.
fn policy_of(details: &str) -> Option<(&str, &str, Option<usize>)> {
    let (_, policy) = details.split_once("matched_policy[ns[")?;
    let (namespace, rest) = policy.split_once("]-policy[")?;
    let (name, rest) = rest.split_once("]-rule[")?;
    let rule = rest.split(']').next().and_then(|rule| rule.parse().ok());
    Some((namespace, name, rule))
}

fn named_policy(at: &At<'_>, rule: Option<usize>, says: &mut Says) {
    let Spec::AuthorizationPolicy { action, rules, .. } = &at.object.spec else {
        return;
    };
    says.look_at(at.key);
    let found = rule.and_then(|rule| rules.get(rule));
    let place = found.map_or(*at.place, |rule| at.line(rule.line));
    if action == "DENY" {
        let asks = found.map_or_else(String::new, |rule| format!(": {}", described(rule)));
        let text = format!(
            "{} is the policy that the rows name, and denies{asks}",
            at.title()
        );
        says.holds(text, 0.95, [place]);
    } else {
        let text = format!(
            "{} is the policy that the rows name, and its action is {action}",
            at.title()
        );
        says.against(&text, [place]);
    }
}

/// No ALLOW policy that selects the pods has a rule that fits.
fn no_rule_fits(saved: &Saved<'_>, finding: &Finding, refused: &[&Call<'_>], says: &mut Says) {
    let labels = saved.labels(finding);
    let asked = Asked {
        callers: callers(saved, finding, refused),
        requests: requests(saved, finding),
    };
    let mut selecting = 0;
    for at in saved.objects("AuthorizationPolicy") {
        let Spec::AuthorizationPolicy {
            selector,
            targets,
            action,
            rules,
        } = &at.object.spec
        else {
            continue;
        };
        let by_target = targets
            .iter()
            .any(|target| target.strip_prefix("Service ") == Some(saved.called.name.as_str()));
        let selects = if targets.is_empty() {
            saved.is_for_called(&at.key.namespace, selector, labels)
        } else {
            by_target
        };
        if !selects {
            continue;
        }
        selecting += 1;
        if action != "ALLOW" {
            continue;
        }
        says.look_at(at.key);
        allows(&at, rules, &asked, labels.is_some() || by_target, says);
    }
    if selecting == 0 && saved.has_all("AuthorizationPolicy") && labels.is_some() {
        let first = saved.objects("AuthorizationPolicy").next().map(|at| *at.place);
        let text = format!(
            "none of the saved policies selects the pods of {}",
            saved.called.name
        );
        says.against(&text, first);
    }
}

/// What callers are called in certificates, where pods were saved that tell: principal by workload.
fn callers(saved: &Saved<'_>, finding: &Finding, refused: &[&Call<'_>]) -> BTreeMap<String, Option<String>> {
    let mut sources: BTreeSet<&str> = refused.iter().map(|call| call.source.as_str()).collect();
    sources.extend(finding.scope.source.as_deref());
    let principal = |source: &str| {
        saved.objects("Pod").find_map(|at| match &at.object.spec {
            Spec::Pod { account, ip, .. }
                if workload(&at.key.name) == workload(source) || at.key.name == source || ip == source =>
            {
                Some(format!("cluster.local/ns/{}/sa/{account}", at.key.namespace))
            }
            _ => None,
        })
    };
    sources
        .into_iter()
        .map(|source| (source.to_owned(), principal(source)))
        .collect()
}

/// What was refused: who asked, as far as that is known, and for what.
struct Asked {
    /// Principals by workload.
    callers: BTreeMap<String, Option<String>>,
    /// Methods and beginnings of paths.
    requests: BTreeSet<(&'static str, String)>,
}

/// What rows say was refused at the called service.
fn requests(saved: &Saved<'_>, finding: &Finding) -> BTreeSet<(&'static str, String)> {
    saved
        .asked_for(finding)
        .flat_map(|(_, spellings)| &spellings.0)
        .flat_map(|(path, seen)| {
            let path = if path.is_empty() { "/" } else { path };
            seen.refused.names().map(|method| (method, path.to_owned()))
        })
        .collect()
}

fn allows(
    at: &At<'_>,
    rules: &[PolicyRule],
    Asked { callers, requests }: &Asked,
    is_sure: bool,
    says: &mut Says,
) {
    if rules.is_empty() {
        let text = format!("{} allows and has no rule: it lets nobody in", at.title());
        return says.holds(text, 0.95, [*at.place]);
    }
    // Whom no rule lets in, whatever the request is.
    let shut_out: Vec<(&String, &String)> = callers
        .iter()
        .filter_map(|(caller, principal)| Some((caller, principal.as_ref()?)))
        .filter(|(_, principal)| rules.iter().all(|rule| !lets_in(rule, principal)))
        .collect();
    let asked: Vec<String> = rules.iter().take(NAMED).map(described).collect();
    let place = rules
        .iter()
        .flat_map(|rule| rule.from.iter().chain(&rule.to).flatten())
        .map(|wanted| at.line(wanted.line))
        .next()
        .or_else(|| rules.first().map(|rule| at.line(rule.line)));
    let open = rules
        .iter()
        .find(|rule| rule.from.is_empty() && rule.to.is_empty() && rule.when.is_empty());
    if let Some(rule) = open {
        let text = format!(
            "{} has a rule without conditions, which lets everybody in",
            at.title()
        );
        return says.against(&text, [at.line(rule.line)]);
    }
    let mut text = format!("{} lets in only {}", at.title(), asked.join("; or "));
    if let Some((caller, principal)) = shut_out.first() {
        text = format!("{text}: {caller} calls as {principal}, which fits none");
        says.holds(text, 0.95, place);
    } else {
        // What no rule lets anybody do.
        let beyond: Vec<String> = requests
            .iter()
            .filter(|(method, path)| rules.iter().all(|rule| !permits(rule, method, path)))
            .map(|(method, path)| format!("{method} {path}"))
            .collect();
        if !beyond.is_empty() {
            text = format!(
                "{text}: what was refused is {}, which fits none",
                some(&beyond, NAMED)
            );
            let all = beyond.len() == requests.len();
            return says.holds(text, if all { 0.95 } else { EXACT }, place);
        }
        let unknown: Vec<&String> = callers
            .iter()
            .filter(|(_, principal)| principal.is_none())
            .map(|(caller, _)| caller)
            .collect();
        if !unknown.is_empty() {
            text = format!("{text}; as whom {} calls is not told", some(&unknown, NAMED));
        }
        says.holds(text, if is_sure { EXACT } else { LIKELY }, place);
    }
}

/// False if the sources of the rule leave out the principal, whatever else is true of the request.
fn lets_in(rule: &PolicyRule, principal: &str) -> bool {
    rule.from.is_empty()
        || rule
            .from
            .iter()
            .any(|source| source.iter().all(|wanted| admits(wanted, principal)))
}

/// False if the operations of the rule leave out the request, whoever asks. Of a path its beginning is known.
fn permits(rule: &PolicyRule, method: &str, path: &str) -> bool {
    let may = |wanted: &Wanted| match wanted.what.as_str() {
        "methods" => wanted.values.iter().any(|value| like(value, method)),
        "notMethods" => !wanted.values.iter().any(|value| like(value, method)),
        "paths" => wanted.values.iter().any(|value| may_be_like(value, path)),
        "notPaths" => !wanted.values.iter().any(|value| {
            value
                .strip_suffix('*')
                .is_some_and(|begin| path.starts_with(begin))
        }),
        _ => true,
    };
    rule.to.is_empty() || rule.to.iter().any(|operation| operation.iter().all(may))
}

/// True if a path that begins like this, and may go on with further segments, may fit. Templates (`{*}`, `{**}`) are not tried.
fn may_be_like(pattern: &str, begin: &str) -> bool {
    if pattern.contains('{') || pattern.starts_with('*') {
        return true;
    }
    let below = |longer: &str, shorter: &str| {
        longer
            .strip_prefix(shorter.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match pattern.strip_suffix('*') {
        Some(wanted) => begin.starts_with(wanted) || below(wanted, begin),
        None => below(pattern, begin),
    }
}

fn admits(wanted: &Wanted, principal: &str) -> bool {
    let any = |values: &[String], text: &str| values.iter().any(|value| like(value, text));
    let mut parts = principal.split('/').skip(2);
    let namespace = parts.next().unwrap_or_default();
    match wanted.what.as_str() {
        "principals" => any(&wanted.values, principal),
        "notPrincipals" => !any(&wanted.values, principal),
        "namespaces" => any(&wanted.values, namespace),
        "notNamespaces" => !any(&wanted.values, namespace),
        "serviceAccounts" => wanted.values.iter().any(|account| match account.split_once('/') {
            Some((of, name)) => principal == format!("cluster.local/ns/{of}/sa/{name}"),
            None => principal.ends_with(&format!("/sa/{account}")),
        }),
        _ => true,
    }
}

/// Exact, or with a `*` at the beginning or the end (istio/api `security/v1/authorization_policy.proto`).
fn like(pattern: &str, text: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(ending), _) => text.ends_with(ending),
        (None, Some(beginning)) => text.starts_with(beginning),
        (None, None) => pattern == text,
    }
}

fn described(rule: &PolicyRule) -> String {
    let list = |lists: &[Vec<Wanted>]| -> Vec<String> {
        lists
            .iter()
            .take(NAMED)
            .map(|wanted| {
                let parts: Vec<String> = wanted
                    .iter()
                    .map(|wanted| format!("{} {}", wanted.what, some(&wanted.values, NAMED)))
                    .collect();
                parts.join(" with ")
            })
            .collect()
    };
    let mut parts = Vec::new();
    if !rule.from.is_empty() {
        parts.push(list(&rule.from).join(" or "));
    }
    if !rule.to.is_empty() {
        parts.push(list(&rule.to).join(" or "));
    }
    if !rule.when.is_empty() {
        parts.push(format!("conditions on {}", some(&rule.when, NAMED)));
    }
    if parts.is_empty() {
        "everything".to_owned()
    } else {
        parts.join(", and ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_row_says_of_its_policy() {
        let details = "rbac_access_denied_matched_policy[ns[shop]-policy[no-cart]-rule[2]]";
        assert_eq!(policy_of(details), Some(("shop", "no-cart", Some(2))));
        assert_eq!(policy_of("rbac_access_denied_matched_policy[none]"), None);
    }

    #[test]
    fn what_a_rule_permits() {
        let rule = |what: &str, values: &[&str]| PolicyRule {
            to: vec![vec![Wanted {
                what: what.to_owned(),
                values: values.iter().map(|value| (*value).to_owned()).collect(),
                ..Wanted::default()
            }]],
            ..PolicyRule::default()
        };
        let cases = [
            (rule("methods", &["GET", "HEAD"]), false),
            (rule("methods", &["GET", "POST"]), true),
            (rule("notMethods", &["POST"]), false),
            (rule("paths", &["/orders"]), true),
            // What the template leaves out may be what the rule names.
            (rule("paths", &["/orders/7/items"]), true),
            (rule("paths", &["/order"]), false),
            (rule("paths", &["/ord*"]), true),
            (rule("paths", &["/orders/*"]), true),
            (rule("paths", &["/health*", "/ready"]), false),
            (rule("paths", &["*/items"]), true),
            (rule("paths", &["/carts/{*}"]), true),
            (rule("notPaths", &["/orders*"]), false),
            (rule("ports", &["9080"]), true),
            (PolicyRule::default(), true),
        ];
        for (rule, expected) in cases {
            assert_eq!(permits(&rule, "POST", "/orders"), expected, "{rule:?}");
        }
    }

    #[test]
    fn whom_a_rule_lets_in() {
        let principal = "cluster.local/ns/shop/sa/web";
        let wanted = |what: &str, value: &str| Wanted {
            what: what.to_owned(),
            values: vec![value.to_owned()],
            ..Wanted::default()
        };
        let cases = [
            (wanted("principals", principal), true),
            (wanted("principals", "cluster.local/ns/shop/sa/we"), false),
            (wanted("principals", "cluster.local/ns/shop/*"), true),
            (wanted("principals", "*/sa/web"), true),
            (wanted("principals", "*"), true),
            (wanted("notPrincipals", principal), false),
            (wanted("namespaces", "shop"), true),
            (wanted("namespaces", "bank"), false),
            (wanted("serviceAccounts", "web"), true),
            (wanted("serviceAccounts", "bank/web"), false),
            (wanted("ipBlocks", "10.0.0.0/8"), true),
        ];
        for (wanted, expected) in cases {
            assert_eq!(admits(&wanted, principal), expected, "{wanted:?}");
        }
    }
}
