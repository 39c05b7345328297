//! Packets to connections: what lives longer than a packet.
//!
//! In: [`crate::decode::packet::Packet`]s of one capture point in capture order, with their payload. Out:
//! [`StreamRecord`]s, one for each TCP connection when it is over, and [`DnsExchange`]s. A shard owns the connections
//! whose key hashes to it and knows no other shard, so that results do not depend on how shards are spread over
//! threads. Never: counts over connections (that is [`crate::aggregate`]), names hosts, judges.

pub mod application;
mod embryo;
mod mark;
mod reassembly;
pub mod receiver;
pub mod record;
mod sequence;
mod shard;
mod tcp;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod twice;

pub use record::{
    Application, Burst, CertificateFacts, Close, CloseKind, DnsExchange, DnsOutcome, Exchange, HttpFacts,
    Opening, Protocol, ResponseTime, Side, SideFacts, StreamEvent, StreamEventKind, StreamMoment,
    StreamRecord, TimedExchange, TlsAlert, TlsFacts, request_id_hash,
};
pub use shard::{
    Expected, LeftOut, Shard, ShardSummary, StreamLimits, StreamSink, flow_hash, hash_of_ends, shard_of,
    shard_of_hash,
};

/// A place where packets were captured: the files of one rotated set have one, any other file has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CapturePoint(pub u32);

/// Shards of every capture point, whatever the number of threads: limits and results belong to a shard.
pub const SHARDS: usize = 64;
