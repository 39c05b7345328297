//! A script that gathers, by reading alone, what a diagnosis needs: printed for somebody to look through and run.

/// The script with places for names.
const SCRIPT: &str = include_str!("../../data/collect.sh");

/// What to gather.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collect {
    /// The namespace in which something is wrong.
    pub namespace: String,
    /// The namespace of the control plane.
    pub istio_namespace: String,
    /// How far back logs go, as kubectl's `--since` takes it.
    pub since: String,
    /// These pods only; all of the namespace if there are none.
    pub pods: Vec<String>,
}

impl Collect {
    /// The script. Names must be those of Kubernetes objects ([`is_name`]) and the duration one ([`is_duration`]): they are put into it as they are.
    pub fn script(&self) -> String {
        SCRIPT
            .replace("@NAMESPACE@", &self.namespace)
            .replace("@ISTIO_NAMESPACE@", &self.istio_namespace)
            .replace("@SINCE@", &self.since)
            .replace("@PODS@", &self.pods.join(" "))
    }
}

/// True for the name of a namespace or pod: a DNS subdomain of RFC 1123, as Kubernetes has it.
pub fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// True for a duration of Go as kubectl takes it: `90s`, `30m`, `1h30m`.
pub fn is_duration(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let unit = rest.get(digits..digits + 1);
        if digits == 0 || digits > 6 || !matches!(unit, Some("s" | "m" | "h")) {
            return false;
        }
        rest = rest.get(digits + 1..).unwrap_or_default();
    }
    !text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(pods: &[&str]) -> Collect {
        Collect {
            namespace: "shop".to_owned(),
            istio_namespace: "istio-system".to_owned(),
            since: "1h".to_owned(),
            pods: pods.iter().map(|pod| (*pod).to_owned()).collect(),
        }
    }

    #[test]
    fn names_are_filled_in_everywhere() {
        let script = collect(&["web-1", "web-2"]).script();
        for place in ["@NAMESPACE@", "@ISTIO_NAMESPACE@", "@SINCE@", "@PODS@"] {
            assert!(SCRIPT.contains(place) && !script.contains(place), "{place}");
        }
        assert!(script.contains("namespace=shop\n"));
        assert!(script.contains("pods=(web-1 web-2)\n"));
        assert!(collect(&[]).script().contains("pods=()\n"));
    }

    #[test]
    fn every_command_only_reads() {
        let reads = [
            "kubectl get",
            "kubectl logs",
            "kubectl top",
            "kubectl describe",
            "istioctl proxy-status",
            "istioctl analyze",
            "istioctl proxy-config",
            "istioctl ztunnel-config",
        ];
        // What is run inside a pod is these, word for word.
        let inside = [
            "-- pilot-agent request GET server_info",
            "-- sh -c 'grep \"open files\" /proc/[0-9]*/limits'",
            "-- sh -c 'for p in /proc/[0-9]*; do echo \"$(ls $p/fd | wc -l) $(tr \"\\0\" \" \" <$p/cmdline)\"; done'",
        ];
        let script = collect(&[]).script();
        let commands = script.lines().filter(|line| !line.trim_start().starts_with('#'));
        let mut found = 0;
        for line in commands {
            for tool in ["kubectl ", "istioctl "] {
                for (at, _) in line.match_indices(tool) {
                    let command = line.get(at..).unwrap();
                    let is_inside = command.starts_with("kubectl exec ")
                        && inside.iter().any(|words| command.ends_with(words));
                    assert!(
                        is_inside || reads.iter().any(|read| command.starts_with(read)),
                        "{command}"
                    );
                    found += 1;
                }
            }
        }
        assert!(found > 20);
    }

    #[test]
    fn only_names_and_durations_get_in() {
        for name in ["shop", "a.b-1", "0"] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "", "Shop", "-a", "a-", "a b", "a;b", "$(x)", "a..b", "a/b", "a\nb",
        ] {
            assert!(!is_name(name), "{name}");
        }
        for text in ["90s", "30m", "1h30m"] {
            assert!(is_duration(text), "{text}");
        }
        for text in ["", "1", "h", "1d", "1h;x", "-1h", "9999999h"] {
            assert!(!is_duration(text), "{text}");
        }
    }
}
