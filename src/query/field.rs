//! Fields of access-log rows, under their names in conditions and tables.

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Number,
    /// Text.
    Text,
    /// A set of tokens.
    Set,
    /// A moment.
    Time,
}

macro_rules! fields {
    ($($variant:ident $name:literal $kind:ident $about:literal)*) => {
        /// A field of an access-log row.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field {
            $(#[doc = $about] $variant,)*
        }

        impl Field {
            /// Every field.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it holds.
            pub fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)* }
            }

            /// What it is.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }
        }
    };
}

fields! {
    Start "start" Time "when the request or connection began (`START_TIME`)"
    End "end" Time "when it was over: start and duration"
    Minute "minute" Text "the minute in which it began: `2026-11-02T03:12` (UTC)"
    Hour "hour" Text "the hour in which it began: `2026-11-02T03` (UTC)"
    Day "day" Text "the day on which it began: `2026-11-02` (UTC)"
    Method "method" Text "HTTP method"
    Path "path" Text "path, without its query"
    Query "query" Text "query of the path, without its question mark"
    Protocol "protocol" Text "`HTTP/1.1`, `HTTP/2`, ...; missing on rows of TCP connections"
    Code "code" Number "status code (`RESPONSE_CODE`), 0 where no response began"
    Class "class" Text "first digit of the status code: `2xx`, `5xx`; `none` for 0"
    Flags "flags" Set "response flags (`RESPONSE_FLAGS`)"
    Details "details" Text "`RESPONSE_CODE_DETAILS`"
    Termination "termination" Text "`CONNECTION_TERMINATION_DETAILS`"
    FailureReason "failure_reason" Text "`UPSTREAM_TRANSPORT_FAILURE_REASON`"
    GrpcStatus "grpc_status" Number "gRPC status, where the row has one"
    Outcome "outcome" Text "what became of it: `ok`, `failed`, `denied`, `canceled`"
    DurationMs "duration_ms" Number "`DURATION`"
    UpstreamMs "upstream_ms" Number "`RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)`"
    OverheadMs "overhead_ms" Number "duration without upstream time"
    BytesReceived "bytes_received" Number "`BYTES_RECEIVED`"
    BytesSent "bytes_sent" Number "`BYTES_SENT`"
    RequestId "request_id" Text "`REQ(X-REQUEST-ID)`"
    Authority "authority" Text "`REQ(:AUTHORITY)`"
    UserAgent "user_agent" Text "`REQ(USER-AGENT)`"
    Cluster "cluster" Text "`UPSTREAM_CLUSTER`"
    UpstreamHost "upstream_host" Text "`UPSTREAM_HOST`"
    UpstreamLocal "upstream_local" Text "`UPSTREAM_LOCAL_ADDRESS`"
    DownstreamLocal "downstream_local" Text "`DOWNSTREAM_LOCAL_ADDRESS`"
    DownstreamRemote "downstream_remote" Text "`DOWNSTREAM_REMOTE_ADDRESS`"
    Sni "sni" Text "`REQUESTED_SERVER_NAME`"
    Route "route" Text "`ROUTE_NAME`"
    Reporter "reporter" Text "whose row it is: `source` (the caller's proxy) or `destination` (the called one)"
    Destination "destination" Text "called service, as far as the row itself tells"
    Pod "pod" Text "pod that wrote the row, or `input:` and the path where that is not known"
    Namespace "namespace" Text "namespace of the input"
}

impl Field {
    /// The field of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }
}
