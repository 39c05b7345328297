//! What a sum over rows reads of each of them, and the rest on demand.

use super::{AccessFormat, AccessRow};
use crate::units::Timestamp;

/// `RESPONSE_CODE_DETAILS` of an answer that the upstream gave.
const FROM_UPSTREAM: &[u8] = b"via_upstream";

/// True if the upstream gave the status of a row with these details. Layouts without details do not say so: there it is one without a
/// flag, for Envoy flags what it answers in the upstream's stead, all but URX.
#[inline]
pub(super) fn is_from_upstream<'row>(
    details: Option<&[u8]>,
    flags: impl FnOnce() -> Option<&'row [u8]>,
) -> bool {
    match details {
        Some(details) => details == FROM_UPSTREAM,
        None => matches!(flags(), None | Some(b"URX" | b"UpstreamRetryLimitExceeded")),
    }
}

/// A row of an access log. Most rows are like others before them: of these little is looked at but what differs from row
/// to row, and a reader of lines need not fill in an [`AccessRow`] for each.
pub trait Row {
    /// See [`AccessRow::format`].
    fn format(&self) -> AccessFormat;
    /// See [`AccessRow::start`].
    fn start(&self) -> Option<Timestamp>;
    /// See [`AccessRow::duration_ms`].
    fn duration_ms(&self) -> Option<u64>;
    /// See [`AccessRow::upstream_ms`].
    fn upstream_ms(&self) -> Option<u64>;
    /// See [`AccessRow::path`].
    fn path(&self) -> Option<&[u8]>;
    /// See [`AccessRow::authority`].
    fn authority(&self) -> Option<&[u8]>;
    /// See [`AccessRow::request_id`].
    fn request_id(&self) -> Option<&[u8]>;
    /// See [`AccessRow::upstream_local`].
    fn upstream_local(&self) -> Option<&[u8]>;
    /// See [`AccessRow::upstream_host`].
    fn upstream_host(&self) -> Option<&[u8]>;
    /// See [`AccessRow::downstream_local`].
    fn downstream_local(&self) -> Option<&[u8]>;
    /// See [`AccessRow::downstream_remote`].
    fn downstream_remote(&self) -> Option<&[u8]>;
    /// What its class is told by.
    fn class_bytes(&self) -> ClassBytes<'_>;
    /// All of it.
    fn full(&self) -> AccessRow<'_>;
}

/// What decides how a row is classified, but for whether it has an upstream connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassBytes<'row> {
    /// True unless its cluster says that the row is of a caller's proxy.
    pub inbound: bool,
    /// See [`AccessRow::grpc_status`].
    pub grpc_status: Option<u8>,
    /// Length of the body of an error that came from the upstream.
    pub error_body: Option<u64>,
    /// See [`AccessRow::class_spans`]; the third is the local address alone unless `inbound`: which client called matters on the
    /// called side alone, and a gateway has many.
    pub spans: Option<[&'row [u8]; 4]>,
}

/// A cluster of a called proxy is `inbound|...`, or `InboundPassthroughCluster...`.
#[inline]
pub(super) fn is_inbound(cluster: &[u8]) -> bool {
    matches!(cluster, [b'i' | b'I', b'n', ..])
}

impl Row for AccessRow<'_> {
    #[inline]
    fn format(&self) -> AccessFormat {
        self.format
    }

    #[inline]
    fn start(&self) -> Option<Timestamp> {
        self.start
    }

    #[inline]
    fn duration_ms(&self) -> Option<u64> {
        self.duration_ms
    }

    #[inline]
    fn upstream_ms(&self) -> Option<u64> {
        self.upstream_ms
    }

    #[inline]
    fn path(&self) -> Option<&[u8]> {
        self.path
    }

    #[inline]
    fn authority(&self) -> Option<&[u8]> {
        self.authority
    }

    #[inline]
    fn request_id(&self) -> Option<&[u8]> {
        self.request_id
    }

    #[inline]
    fn upstream_local(&self) -> Option<&[u8]> {
        self.upstream_local
    }

    #[inline]
    fn upstream_host(&self) -> Option<&[u8]> {
        self.upstream_host
    }

    #[inline]
    fn downstream_local(&self) -> Option<&[u8]> {
        self.downstream_local
    }

    #[inline]
    fn downstream_remote(&self) -> Option<&[u8]> {
        self.downstream_remote
    }

    #[inline]
    fn class_bytes(&self) -> ClassBytes<'_> {
        let inbound = self.cluster.is_none_or(is_inbound);
        let from_upstream = self.code >= 400 && is_from_upstream(self.details, || self.flags);
        ClassBytes {
            inbound,
            grpc_status: self.grpc_status,
            error_body: from_upstream.then_some(self.bytes_sent),
            spans: self.class_spans.map(|[outcome, target, addresses, server]| {
                // The local address ends at a blank.
                let local = || addresses.split(|byte| *byte == b' ').next().unwrap_or_default();
                [outcome, target, if inbound { addresses } else { local() }, server]
            }),
        }
    }

    #[inline]
    fn full(&self) -> AccessRow<'_> {
        *self
    }
}
