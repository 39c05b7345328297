//! The frame that captures hold most of, read at once: Ethernet, IPv4 without options or fragments, TCP.
//!
//! What is read equals what the layers read one after the other, which tests hold it to; they read every other frame.

use super::ip::TCP;
use super::transport::tcp_options;
use crate::decode::packet::{Address, Endpoint, PayloadRange, TcpFlags, TcpSegment};

const ETHERNET_BYTES: usize = 14;
const IPV4_BYTES: usize = 20;
const TCP_BYTES: usize = 20;
const HEADER_BYTES: usize = ETHERNET_BYTES + IPV4_BYTES + TCP_BYTES;

/// What such a frame says.
pub(in crate::decode::packet) struct PlainTcp {
    pub(in crate::decode::packet) source: Endpoint,
    pub(in crate::decode::packet) destination: Endpoint,
    pub(in crate::decode::packet) ttl: u8,
    pub(in crate::decode::packet) ip_identification: u16,
    pub(in crate::decode::packet) segment: TcpSegment,
    /// All of it was captured.
    pub(in crate::decode::packet) payload: PayloadRange,
}

/// Reads the frame, which begins at `start` of the block; `None` if it is of any other sort, or not all there.
#[inline]
pub(in crate::decode::packet) fn tcp_over_ipv4_over_ethernet(frame: &[u8], start: u32) -> Option<PlainTcp> {
    let head = frame.first_chunk::<HEADER_BYTES>()?;
    let [.., e0, e1] = head.first_chunk::<ETHERNET_BYTES>()?;
    let ip = head[ETHERNET_BYTES..].first_chunk::<IPV4_BYTES>()?;
    let tcp = head[ETHERNET_BYTES + IPV4_BYTES..].first_chunk::<TCP_BYTES>()?;
    let is_plain = [*e0, *e1] == [0x08, 0x00] && ip[0] == 0x45 && ip[9] == TCP && ip[6] & 0x3f | ip[7] == 0;
    let packet_bytes = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
    let segment_bytes = packet_bytes.checked_sub(IPV4_BYTES)?;
    let header_bytes = usize::from(tcp[12] >> 4) << 2;
    let payload_bytes = segment_bytes.checked_sub(header_bytes)?;
    if !is_plain || header_bytes < TCP_BYTES {
        return None;
    }
    let whole = frame.get(ETHERNET_BYTES + IPV4_BYTES..)?.get(..segment_bytes)?;
    let options = whole.get(TCP_BYTES..header_bytes)?;
    let flags = TcpFlags(tcp[13]);
    let acknowledgment = u32::from_be_bytes([tcp[8], tcp[9], tcp[10], tcp[11]]);
    let headers = u32::try_from((ETHERNET_BYTES + IPV4_BYTES).checked_add(header_bytes)?).ok()?;
    Some(PlainTcp {
        source: Endpoint {
            address: Address::v4([ip[12], ip[13], ip[14], ip[15]]),
            port: u16::from_be_bytes([tcp[0], tcp[1]]),
        },
        destination: Endpoint {
            address: Address::v4([ip[16], ip[17], ip[18], ip[19]]),
            port: u16::from_be_bytes([tcp[2], tcp[3]]),
        },
        ttl: ip[8],
        ip_identification: u16::from_be_bytes([ip[4], ip[5]]),
        segment: TcpSegment {
            sequence: u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]),
            acknowledgment: if flags.ack() { acknowledgment } else { 0 },
            flags,
            window: u16::from_be_bytes([tcp[14], tcp[15]]),
            checksum: u16::from_be_bytes([tcp[16], tcp[17]]),
            options: tcp_options(options, flags.syn()),
        },
        payload: PayloadRange {
            start: start.checked_add(headers)?,
            length: u32::try_from(payload_bytes).ok()?,
        },
    })
}
