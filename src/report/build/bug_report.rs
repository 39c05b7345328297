//! What a bug report of `istioctl` should hold and does not.
//!
//! The layout is that of istio/istio `tools/bug-report/pkg/archive`; empty outputs are not written there, so a part that is
//! missing was empty, failed, or was lost with the end of the archive.

use crate::input::Source;
use crate::report::model::Missing;
use std::collections::{BTreeMap, BTreeSet};

/// Pods and archives that are named one by one.
const NAMED: usize = 5;

/// A part: folder below the root, beginning of the file's name, how it is called, why it matters, what gets it.
struct Part {
    folder: &'static str,
    file: &'static str,
    what: &'static str,
    why: &'static str,
    command: &'static str,
}

const PARTS: [Part; 7] = [
    Part {
        folder: "istio",
        file: "discovery.log",
        what: "the log of istiod",
        why: "pushes that proxies refused, an overloaded control plane and failed signing of certificates stand there alone",
        command: "kubectl logs -n istio-system deploy/istiod --timestamps > discovery.log",
    },
    Part {
        folder: "proxies",
        file: "istio-proxy.log",
        what: "logs of the proxies",
        why: "access rows and component lines tell which request failed and where",
        command: "kubectl logs -n <namespace> <pod> -c istio-proxy --timestamps > <pod>.istio-proxy.log",
    },
    Part {
        folder: "proxies",
        file: "clusters",
        what: "clusters and hosts as the proxies saw them",
        why: "missing and ejected hosts stand there by address",
        command: "kubectl exec -n <namespace> <pod> -c istio-proxy -- pilot-agent request GET clusters > <pod>.clusters.txt",
    },
    Part {
        folder: "proxies",
        file: "config_dump",
        what: "configuration of the proxies",
        why: "routes, clusters and rejected updates stand there",
        command: "kubectl exec -n <namespace> <pod> -c istio-proxy -- pilot-agent request GET config_dump > <pod>.config_dump.json",
    },
    Part {
        folder: "proxies",
        file: "certs",
        what: "certificates of the proxies",
        why: "expiry shows in them before it shows in traffic",
        command: "kubectl exec -n <namespace> <pod> -c istio-proxy -- pilot-agent request GET certs > <pod>.certs.json",
    },
    Part {
        folder: "cluster",
        file: "events",
        what: "events of the cluster",
        why: "killed, evicted and unready pods stand there, and expire after an hour",
        command: "kubectl get events -A -o wide --sort-by=.metadata.creationTimestamp > events.txt",
    },
    Part {
        folder: "cluster",
        file: "crs",
        what: "the resources of Istio",
        why: "routes, policies and destination rules are what the proxies were configured from",
        command: "kubectl get virtualservices,destinationrules,peerauthentications,authorizationpolicies,gateways,sidecars,\
                  serviceentries -A -o yaml > istio-resources.yaml",
    },
];

/// What is there of one report.
#[derive(Debug, Default)]
struct Found<'s> {
    /// Numbers of [`PARTS`].
    parts: BTreeSet<usize>,
    /// Folders of proxies, and whether their log is there.
    proxies: BTreeMap<(&'s str, &'s str), bool>,
}

/// What is missing of each bug report among the sources.
pub(super) fn missing(sources: &[Source]) -> Vec<Missing> {
    let mut reports: BTreeMap<(&str, String), Found<'_>> = BTreeMap::new();
    for source in sources {
        let (archive, path) = match &source.member {
            Some(member) => (member.archive.as_str(), member.path.as_str()),
            None => ("", source.display_path.as_str()),
        };
        let words: Vec<&str> = path.split('/').collect();
        let Some(at) = words
            .iter()
            .position(|word| matches!(*word, "proxies" | "istio" | "cluster"))
        else {
            continue;
        };
        let (root, below) = words.split_at(at);
        let [folder, below @ .., file] = below else {
            continue;
        };
        // A folder of that name may be anything: the shape of what is in it must fit, too.
        let fits = match *folder {
            "cluster" => below.is_empty(),
            _ => below.len() >= 2,
        };
        if !fits {
            continue;
        }
        let found = reports.entry((archive, root.join("/"))).or_default();
        let is = |part: &Part| part.folder == *folder && file.starts_with(part.file);
        found.parts.extend(PARTS.iter().position(is));
        if let ("proxies", [namespace, pod, ..]) = (*folder, below) {
            *found.proxies.entry((*namespace, *pod)).or_default() |= file.starts_with("istio-proxy.log");
        }
    }
    reports
        .into_iter()
        // Two parts of the layout in one place are no accident.
        .filter(|((_, root), found)| {
            found.parts.len() >= 2 || (root.ends_with("bug-report") && !found.parts.is_empty())
        })
        .flat_map(|((archive, root), found)| of_report(archive, &root, &found))
        .collect()
}

fn of_report(archive: &str, root: &str, found: &Found<'_>) -> Vec<Missing> {
    let name = match (archive, root) {
        ("", "") => "the bug report".to_owned(),
        ("", root) => root.to_owned(),
        (archive, _) => archive.to_owned(),
    };
    let absent = PARTS
        .iter()
        .enumerate()
        .filter(|(number, _)| !found.parts.contains(number))
        .map(|(_, part)| Missing {
            what: format!("{} in {name}", part.what),
            why_it_matters: part.why.to_owned(),
            command: part.command.to_owned(),
        });
    let has_logs = found.proxies.values().any(|log| *log);
    let silent = found
        .proxies
        .iter()
        .filter(|(_, log)| has_logs && !**log)
        .take(NAMED)
        .map(|((namespace, pod), _)| Missing {
            what: format!("istio-proxy log of {pod} in {name}"),
            why_it_matters: "other output of this proxy is there, its log is not: what it saw is not known"
                .to_owned(),
            command: format!(
                "kubectl logs -n {namespace} {pod} -c istio-proxy --timestamps > {pod}.istio-proxy.log"
            ),
        });
    absent.chain(silent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Identity;
    use crate::units::InputId;

    fn told(paths: &[&str]) -> Vec<String> {
        let sources: Vec<Source> = (0..)
            .zip(paths)
            .map(|(id, path)| Source {
                id: InputId(id),
                open_path: path.into(),
                display_path: (*path).to_owned(),
                size_bytes: None,
                identity: Identity::default(),
                member: None,
                listing: None,
            })
            .collect();
        missing(&sources)
            .into_iter()
            .map(|missing| missing.what)
            .collect()
    }

    #[test]
    fn what_is_absent_is_named_with_its_pod() {
        let all = [
            "b/istio/istio-system/istiod-1/discovery.log",
            "b/proxies/shop/web-1/istio-proxy.log",
            "b/proxies/shop/web-1/clusters",
            "b/proxies/shop/web-1/config_dump?include_eds",
            "b/proxies/shop/web-1/certs",
            "b/cluster/events",
            "b/cluster/crs",
        ];
        assert_eq!(told(&all), Vec::<String>::new());
        assert_eq!(told(&all[1..]), ["the log of istiod in b"]);
        let mut with_silent = all.to_vec();
        with_silent.push("b/proxies/shop/db-1/clusters");
        assert_eq!(told(&with_silent), ["istio-proxy log of db-1 in b"]);
    }

    #[test]
    fn other_folders_are_no_bug_reports() {
        for paths in [
            &["proxies/web-1.istio-proxy.log", "cluster/x.log"][..],
            &["istio/a.log", "istio/b.log"],
            &["cluster/events"],
            &["web-1.istio-proxy.log"],
        ] {
            assert_eq!(told(paths), Vec::<String>::new());
        }
    }
}
