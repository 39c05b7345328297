//! Response flags of a row as a set, and what they make of the row.

use crate::catalog::{FlagClass, FlagTable};

/// The tokens of a `RESPONSE_FLAGS` value, sorted, each once (Envoy's order changed between releases), long names
/// (`RESPONSE_FLAGS_LONG`) as short ones. Unknown tokens are kept: extensions may register their own.
pub fn tokens(flags: Option<&[u8]>, table: &FlagTable) -> Vec<String> {
    let mut tokens: Vec<String> = flags
        .unwrap_or_default()
        .split(|&b| b == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty() && *token != b"-")
        .map(|token| match table.get(token) {
            Some(flag) => flag.name.clone(),
            None => super::text(token),
        })
        .collect();
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Answered, whatever the application said below 500.
    Ok,
    /// Status 500 or above, no status without a cancel, a gRPC status other than 0, or a flag of class failure.
    Failed,
    /// 401, 403 or 429 made by a proxy, or its refusal of a gRPC call.
    Denied,
    /// The caller went away.
    Canceled,
}

impl Outcome {
    /// Every outcome, in order.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Failed, Self::Denied, Self::Canceled];
}

/// What a row says of its outcome.
#[derive(Clone, Copy, Debug)]
pub struct OutcomeFacts<'a> {
    /// `RESPONSE_CODE`.
    pub code: u16,
    /// Sorted tokens of `RESPONSE_FLAGS`.
    pub flags: &'a [String],
    /// `RESPONSE_CODE_DETAILS`.
    pub details: &'a str,
    /// `CONNECTION_TERMINATION_DETAILS`.
    pub termination: &'a str,
    /// True where no upstream host was asked, and the body is as long as one that Envoy writes itself.
    pub own_body: bool,
    /// gRPC status, where the row has one.
    pub grpc_status: Option<u8>,
    /// True on rows of TCP connections, whose code is always 0.
    pub tcp: bool,
    /// True on rows of a ztunnel, which has no flags: its `termination` is the error, if there was one.
    pub ztunnel: bool,
}

/// Classifies a row as the report contract defines it.
pub fn outcome(facts: OutcomeFacts<'_>, table: &FlagTable) -> Outcome {
    let has = |class| {
        facts
            .flags
            .iter()
            .any(|f| table.get(f.as_bytes()).is_some_and(|flag| flag.class == class))
    };
    if facts.ztunnel {
        of_ztunnel(facts.termination)
    } else if is_cancel(facts) {
        Outcome::Canceled
    } else if is_denial(facts, has(FlagClass::Denied)) {
        Outcome::Denied
    } else if facts.code >= 500
        || (facts.code == 0 && !facts.tcp)
        || facts.grpc_status.is_some_and(|s| s != 0)
        || has(FlagClass::Failure)
    {
        Outcome::Failed
    } else {
        Outcome::Ok
    }
}

/// What an `error` of a ztunnel makes of a connection (istio/ztunnel `src/proxy.rs`).
fn of_ztunnel(error: &str) -> Outcome {
    let has = |texts: &[&str]| texts.iter().any(|text| error.contains(text));
    // A drain ends connections on purpose.
    if error.is_empty() || has(&["connection drain", "failed to drain", "pool draining"]) {
        Outcome::Ok
    } else if has(&[
        "policy rejection",
        "policy change",
        "http status: 401",
        "http status: 403",
    ]) {
        Outcome::Denied
    } else if has(&["client disconnected before"]) {
        Outcome::Canceled
    } else {
        Outcome::Failed
    }
}

/// DC; over HTTP/2 the same shows as DR with `http2.remote_reset` (the caller's `RST_STREAM`), or without details where the layout
/// has none.
fn is_cancel(facts: OutcomeFacts<'_>) -> bool {
    facts
        .flags
        .iter()
        .any(|f| f == "DC" || (f == "DR" && matches!(facts.details, "http2.remote_reset" | "")))
}

/// Envoy's own refusals: the row that made one says so in its details; one that came `via_upstream` does not.
fn is_denial(facts: OutcomeFacts<'_>, flagged: bool) -> bool {
    let status = matches!(facts.code, 401 | 403 | 429);
    let own = match facts.details {
        "" => facts.own_body,
        details => details != "via_upstream",
    };
    let refused = REFUSALS.iter().any(|detail| facts.details.starts_with(detail));
    (status && (own || flagged))
        || refused
        || (facts.tcp && facts.termination.starts_with("rbac_access_denied"))
}

/// Details of refusals that say so by themselves: of gRPC calls, whose HTTP status is 200.
const REFUSALS: [&str; 5] = [
    "rbac_access_denied",
    "jwt_authn_access_denied",
    "ext_authz_denied",
    "local_rate_limited",
    "request_rate_limited",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn outcomes() {
        let catalog = Catalog::built_in().unwrap();
        let of = |code, flags: &str, details, tcp| {
            let flags = tokens(Some(flags.as_bytes()), &catalog.flags);
            let facts = OutcomeFacts {
                code,
                flags: &flags,
                details,
                termination: "",
                own_body: false,
                grpc_status: None,
                tcp,
                ztunnel: false,
            };
            outcome(facts, &catalog.flags)
        };
        assert_eq!(of(200, "-", "via_upstream", false), Outcome::Ok);
        assert_eq!(of(404, "-", "via_upstream", false), Outcome::Ok);
        assert_eq!(of(404, "NR", "route_not_found", false), Outcome::Failed);
        assert_eq!(
            of(200, "URX", "via_upstream", false),
            Outcome::Failed,
            "gRPC failure in HTTP 200"
        );
        assert_eq!(of(503, "URX,UF", "", false), Outcome::Failed);
        assert_eq!(
            of(0, "DC", "downstream_remote_disconnect", false),
            Outcome::Canceled
        );
        assert_eq!(of(0, "DR", "http2.remote_reset", false), Outcome::Canceled);
        assert_eq!(of(0, "-", "", false), Outcome::Failed);
        assert_eq!(of(0, "-", "", true), Outcome::Ok);
        assert_eq!(of(0, "UH", "", true), Outcome::Failed);
        assert_eq!(of(403, "-", "via_upstream", false), Outcome::Ok);
        assert_eq!(
            of(403, "-", "rbac_access_denied_matched_policy[none]", false),
            Outcome::Denied
        );
        assert_eq!(of(429, "RL", "local_rate_limited", false), Outcome::Denied);
        let grpc = "gRPC refusal in HTTP 200";
        assert_eq!(
            of(200, "RL", "local_rate_limited", false),
            Outcome::Denied,
            "{grpc}"
        );
        assert_eq!(
            of(200, "-", "rbac_access_denied_matched_policy[none]", false),
            Outcome::Denied,
            "{grpc}"
        );
    }

    #[test]
    fn order_repeats_and_length_of_names_do_not_matter() {
        let catalog = Catalog::built_in().unwrap();
        let of = |flags: &[u8]| tokens(Some(flags), &catalog.flags);
        assert_eq!(of(b"URX,UF"), of(b"UF,URX,UF"));
        assert_eq!(
            of(b"UpstreamRetryLimitExceeded,UpstreamConnectionFailure"),
            of(b"UF,URX")
        );
        assert_eq!(of(b"OfAnExtension"), ["OfAnExtension"]);
        assert!(of(b"-").is_empty());
    }
}
