//! DNS (RFC 1035): messages, and which answer belongs to which query.

pub(super) mod message;
mod pairing;
mod tcp;

pub(super) use pairing::is_dns_port;
pub use pairing::{DnsCounts, DnsPairing, MAX_PENDING_DNS};
pub(super) use tcp::DnsOverTcp;
