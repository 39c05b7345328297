//! What can become of a request: the combinations of code, flags and details that Envoy writes.

/// How far a request came, which decides the fields that its row lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// The upstream answered: every field is there.
    Answer,
    /// A connection was there, no answer came.
    Connection,
    /// A host was picked, no connection came about.
    Host,
    /// The cluster had no host to pick.
    Cluster,
    /// A route was found, but not its cluster.
    Route,
    /// No route was found.
    Nothing,
}

/// How long it took.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Duration {
    /// As long as the service takes.
    Service,
    /// At most so many milliseconds, evenly.
    UpTo(u64),
    /// A time-out in milliseconds, with up to 4 ms on top.
    Timeout(u64),
}

/// One outcome. A share is in 1 of 100,000 requests of its direction.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) share: u64,
    pub(crate) code: u16,
    pub(crate) flags: &'static str,
    pub(crate) details: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) reached: Reached,
    pub(crate) duration: Duration,
    /// Length of the reply that the proxy makes, or 0 where the upstream's reply is passed on.
    pub(crate) reply_bytes: u64,
}

const fn app(share: u64, code: u16, flags: &'static str) -> Outcome {
    Outcome {
        share,
        code,
        flags,
        details: "via_upstream",
        reason: "-",
        reached: Reached::Answer,
        duration: Duration::Service,
        reply_bytes: 0,
    }
}

const fn proxy(
    share: u64,
    code: u16,
    flags: &'static str,
    details: &'static str,
    reached: Reached,
) -> Outcome {
    Outcome {
        share,
        code,
        flags,
        details,
        reason: "-",
        reached,
        duration: Duration::UpTo(3),
        reply_bytes: 81,
    }
}

const REFUSED: &str = "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}";
const EXPIRED: &str = "upstream_reset_before_response_started{remote_connection_failure|TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_certificate_has_expired:TLS_error_end}";
const EXPIRED_REASON: &str = "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_certificate_has_expired:TLS_error_end";

/// Of calls that the proxy makes; what is left of 100,000 is answered with 200. About 3 % are failures.
pub(crate) static OUTBOUND: [Outcome; 16] = [
    app(600, 201, "-"),
    app(900, 204, "-"),
    app(900, 404, "-"),
    app(650, 500, "-"),
    app(350, 503, "-"),
    app(300, 503, "URX"),
    Outcome {
        reason: "delayed_connect_error:_Connection_refused",
        reply_bytes: 152,
        duration: Duration::UpTo(90),
        ..proxy(400, 503, "URX,UF", REFUSED, Reached::Host)
    },
    Outcome {
        duration: Duration::Timeout(10_000),
        reply_bytes: 114,
        ..proxy(
            120,
            503,
            "UF",
            "upstream_reset_before_response_started{connection_timeout}",
            Reached::Host,
        )
    },
    Outcome {
        reason: EXPIRED_REASON,
        reply_bytes: 121,
        duration: Duration::UpTo(40),
        ..proxy(60, 503, "URX,UF", EXPIRED, Reached::Host)
    },
    Outcome {
        duration: Duration::Service,
        reply_bytes: 95,
        ..proxy(
            250,
            503,
            "UC",
            "upstream_reset_before_response_started{connection_termination}",
            Reached::Connection,
        )
    },
    proxy(
        130,
        503,
        "UO",
        "upstream_reset_before_response_started{overflow}",
        Reached::Cluster,
    ),
    Outcome {
        reply_bytes: 19,
        ..proxy(260, 503, "UH", "no_healthy_upstream", Reached::Cluster)
    },
    Outcome {
        duration: Duration::Timeout(15_000),
        reply_bytes: 24,
        ..proxy(200, 504, "UT", "response_timeout", Reached::Connection)
    },
    Outcome {
        reply_bytes: 0,
        ..proxy(60, 503, "NC", "cluster_not_found", Reached::Route)
    },
    Outcome {
        reply_bytes: 0,
        ..proxy(120, 404, "NR", "route_not_found", Reached::Nothing)
    },
    Outcome {
        duration: Duration::Service,
        reply_bytes: 0,
        ..proxy(250, 0, "DC", "downstream_remote_disconnect", Reached::Connection)
    },
];

/// Of calls that the proxy's own app gets; what is left of 100,000 is answered with 200. About 3 % are failures.
pub(crate) static INBOUND: [Outcome; 9] = [
    app(500, 201, "-"),
    app(800, 404, "-"),
    app(900, 500, "-"),
    app(400, 503, "-"),
    Outcome {
        reason: "delayed_connect_error:_Connection_refused",
        reply_bytes: 152,
        ..proxy(350, 503, "UF", REFUSED, Reached::Host)
    },
    Outcome {
        duration: Duration::Service,
        reply_bytes: 95,
        ..proxy(
            250,
            503,
            "UC",
            "upstream_reset_before_response_started{connection_termination}",
            Reached::Connection,
        )
    },
    Outcome {
        reply_bytes: 19,
        ..proxy(
            400,
            403,
            "-",
            "rbac_access_denied_matched_policy[none]",
            Reached::Cluster,
        )
    },
    Outcome {
        reply_bytes: 18,
        ..proxy(350, 429, "RL", "local_rate_limited", Reached::Cluster)
    },
    Outcome {
        duration: Duration::Service,
        reply_bytes: 0,
        ..proxy(350, 0, "DR", "http2.remote_reset", Reached::Connection)
    },
];

/// The outcome of all others.
pub(crate) static GOOD: Outcome = app(0, 200, "-");

/// The outcome on which the `ticket`th of 100,000 requests falls.
pub(crate) fn draw(table: &'static [Outcome], ticket: u64) -> &'static Outcome {
    let mut passed = 0;
    table
        .iter()
        .find(|outcome| {
            passed += outcome.share;
            ticket < passed
        })
        .unwrap_or(&GOOD)
}
