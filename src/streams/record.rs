//! What is known of a connection when it is over: plain data, and the only thing of this stage that the next ones see.

use super::CapturePoint;
use crate::decode::packet::{Endpoint, FrameRef};
use crate::units::Timestamp;
use std::borrow::Cow;

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Who opened it (sent the SYN); where the capture began later, who is taken for it.
    Client,
    /// Who answered.
    Server,
}

impl Side {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// 0 for the client, 1 for the server.
    pub fn index(self) -> usize {
        usize::from(self == Self::Server)
    }
}

/// A TCP connection.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of a capture, each named"
)]
pub struct StreamRecord {
    /// Where it was captured.
    pub point: CapturePoint,
    /// The client.
    pub client: Endpoint,
    /// The server.
    pub server: Endpoint,
    /// True if a SYN or a SYN-ACK told who is who; else the side with the well-known or lower port is the server.
    pub roles_seen: bool,
    /// First packet.
    pub first: FrameRef,
    /// Last packet.
    pub last: FrameRef,
    /// Time of the first packet that has one.
    pub start: Option<Timestamp>,
    /// Time of the last packet that has one.
    pub end: Option<Timestamp>,
    /// How it began.
    pub opening: Opening,
    /// First SYN.
    pub syn: Option<(Timestamp, FrameRef)>,
    /// Last SYN (the one before the SYN-ACK), where there were several.
    pub last_syn: Option<(Timestamp, FrameRef)>,
    /// First SYN-ACK.
    pub syn_ack: Option<(Timestamp, FrameRef)>,
    /// The ACK that completed the handshake.
    pub handshake_ack: Option<(Timestamp, FrameRef)>,
    /// From the last SYN to the ACK that completed the handshake; only where all three were seen in order.
    pub handshake_rtt_ns: Option<u64>,
    /// Time to live (hop limit) of the server's SYN-ACK, or of the RST in its place: who answers from elsewhere in the
    /// server's name is another number of hops away.
    pub server_ttl: Option<u8>,
    /// Initial sequence numbers of client and server, as SYN, SYN-ACK or the first acknowledgment tell; one before the
    /// first number seen where the capture began later. Where addresses are translated in between (`REDIRECT`, on `lo`),
    /// both directions of a connection are records of their own: these numbers and the client's endpoint are the same.
    pub initial_sequence: [Option<u32>; 2],
    /// What each side sent: client, server (see [`Side::index`]).
    pub sides: [SideFacts; 2],
    /// How it ended.
    pub close: Close,
    /// Packets that were seen before on another interface (same bytes within 1 ms), left out of loss analysis.
    pub duplicates: u64,
    /// Packets cut by the snaplen.
    pub cut_packets: u64,
    /// True if only one side's packets are in the capture.
    pub one_sided: bool,
    /// True if a SYN with another initial sequence number re-used the ports of an earlier connection.
    pub reused_ports: bool,
    /// Type and code of the first ICMP error that quotes it, with its frame: `(v6, type, code)`.
    pub icmp_error: Option<((bool, u8, u8), Timestamp, FrameRef)>,
    /// Longest silence (no packet with payload in either direction) and what ended it.
    pub longest_idle_ns: u64,
    /// True if a limit cut the record short: its later packets, if there were any, are in a record of their own.
    pub truncated: bool,
    /// What it carried.
    pub application: Application,
    /// What stood out, in order of time, at most [`MAX_EVENTS`] of each kind and side: the first ones and the last.
    pub events: Vec<StreamEvent>,
    /// What was counted by second, in order of time: seconds in which something stood out, at most [`MAX_MOMENTS`].
    pub moments: Vec<StreamMoment>,
}

/// Events of each kind and side that a record keeps.
pub const MAX_EVENTS: usize = 4;

/// Seconds that a record tells apart; what comes later counts in the last one.
pub const MAX_MOMENTS: usize = 128;

/// What stood out in one second of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamMoment {
    /// Seconds since the epoch.
    pub second: i64,
    /// Segments sent again, of any sort and side.
    pub retransmissions: u64,
    /// Times that a window was closed, of either side.
    pub zero_windows: u64,
}

/// How a connection began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Opening {
    /// SYN, SYN-ACK, ACK (or data).
    Established,
    /// SYN answered by RST.
    Refused,
    /// SYN answered by an ICMP error.
    Rejected,
    /// SYNs without an answer.
    Unanswered,
    /// SYN and SYN-ACK, and nothing further from the client.
    HalfOpen,
    /// The capture began after the connection.
    Midstream,
}

/// What one side of a connection sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SideFacts {
    /// Packets.
    pub packets: u64,
    /// Bytes of the frames on the wire.
    pub frame_bytes: u64,
    /// Payload bytes on the wire, as sent (retransmissions count again).
    pub payload_bytes: u64,
    /// Packets with payload.
    pub data_packets: u64,
    /// Packets with SYN and without ACK.
    pub syn: u64,
    /// Packets with SYN and ACK.
    pub syn_ack: u64,
    /// Packets with FIN.
    pub fin: u64,
    /// Packets with RST and without ACK.
    pub rst: u64,
    /// Packets with RST and ACK.
    pub rst_ack: u64,
    /// Packets with a window field of 0, without SYN, FIN or RST.
    pub zero_window_packets: u64,
    /// Time in which the window it offered was 0.
    pub zero_window_ns: u64,
    /// Segments sent again, without those below.
    pub retransmissions: u64,
    /// Sent again after duplicate acknowledgments.
    pub fast_retransmissions: u64,
    /// Sent again although acknowledged before.
    pub spurious_retransmissions: u64,
    /// Segments with payload among the retransmissions and fast retransmissions: FINs and probes are not lost data.
    pub data_sent_again: u64,
    /// Segments that the other side says it got twice (D-SACK, RFC 2883): the first one was not lost, only late.
    pub got_twice: u64,
    /// Arrived out of order.
    pub out_of_order: u64,
    /// Acknowledgments that only repeat the last one.
    pub duplicate_acks: u64,
    /// Gaps before a segment of this side: lost by the network before the capture point or by the capture.
    pub lost_segments: u64,
    /// Acknowledgments by this side of data that the capture does not hold: lost by the capture, not by the network.
    pub acked_unseen: u64,
    /// Keep-alive probes.
    pub keep_alives: u64,
    /// Answers to keep-alive probes.
    pub keep_alive_acks: u64,
    /// Probes of a zero window.
    pub zero_window_probes: u64,
    /// Segments that filled the other side's window.
    pub window_full: u64,
    /// Acknowledgments that only open the window.
    pub window_updates: u64,
    /// Bytes missing from the capture for good; those that the snaplen cut off are not among them.
    pub missing_bytes: u64,
}

impl SideFacts {
    /// Segments that were lost on the way: sent again and not because the first was only late, or missing before the
    /// capture point.
    pub fn lost(&self) -> u64 {
        self.data_sent_again.saturating_sub(self.got_twice) + self.lost_segments
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    /// How.
    pub kind: CloseKind,
    /// Whose FIN or RST came first.
    pub by: Option<Side>,
    /// When and where that was.
    pub at: Option<(Timestamp, FrameRef)>,
    /// Silence (no payload in either direction) before it.
    pub idle_before_ns: Option<u64>,
    /// Of a reset in mid-exchange: silence before the client's payload that had no answer, if there was any payload
    /// before. A long one is the mark of a connection that was closed while it was idle.
    pub asked_after_idle_ns: Option<u64>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CloseKind {
    /// Still open when the capture ended.
    Open,
    /// FIN of both sides (or of one, and the capture ended).
    Fin,
    /// FIN, and then RST by a side that had all it wanted, or after both FINs: a normal close.
    FinThenReset,
    /// RST after the handshake and before any payload.
    ResetBeforeData,
    /// RST while a request waited for its answer or data was on its way.
    ResetMidExchange,
    /// RST of an established connection on which nothing was under way.
    ResetIdle,
    /// The handshake failed (see [`Opening`]).
    NotOpened,
}

/// What stood out on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamEvent {
    /// What.
    pub kind: StreamEventKind,
    /// Whose packet it was.
    pub side: Side,
    /// When.
    pub time: Option<Timestamp>,
    /// Where.
    pub at: FrameRef,
}

/// What can stand out on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamEventKind {
    /// A segment was sent again (of any sort).
    Retransmission,
    /// A window of 0 was offered.
    ZeroWindow,
    /// RST.
    Reset,
    /// FIN.
    Fin,
    /// SYN sent again.
    SynAgain,
    /// A gap before a segment.
    LostSegment,
    /// A request reached a connection that the other side had closed (FIN) before: the keep-alive race.
    RequestAfterFin,
}

/// What a connection carried, told by content.
#[derive(Clone, Debug, Default)]
pub struct Application {
    /// The protocol; inside TLS it is [`Protocol::Tls`].
    pub protocol: Protocol,
    /// What the first payload bytes of each side look like: client, server.
    pub first_bytes: [Protocol; 2],
    /// PROXY protocol header before the rest: what it says of the client and the server.
    pub proxy_protocol: Option<(Endpoint, Endpoint)>,
    /// TLS.
    pub tls: Option<Box<TlsFacts>>,
    /// HTTP/1 or HTTP/2.
    pub http: Option<Box<HttpFacts>>,
    /// Requests with their answers in order; at most [`MAX_EXCHANGES`], failed and slow ones first to be kept.
    pub exchanges: Vec<Exchange>,
    /// DNS over TCP.
    pub dns: Vec<DnsExchange>,
    /// Times from request to first byte of the answer of all exchanges; at most [`MAX_EXCHANGE_TIMES`].
    pub response_times: Vec<ResponseTime>,
    /// When each exchange took place, in the order in which they ended, the first [`MAX_TIMED`].
    pub timed: Vec<TimedExchange>,
    /// Who sent when, where bytes cannot be told apart as exchanges: TLS, unknown protocols, and connections of which
    /// one side is in the capture. The first [`MAX_BURSTS`].
    pub bursts: Vec<Burst>,
    /// Requests beyond what the lists keep.
    pub left_out: u64,
}

/// How long an answer took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseTime {
    /// When it was asked for, in seconds since the epoch.
    pub second: i64,
    /// From the request to the first byte of the answer, in nanoseconds.
    pub ns: u64,
}

/// When an exchange took place. Times are nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedExchange {
    /// First byte of the request.
    pub asked_ns: i64,
    /// Last byte of the request.
    pub sent_ns: Option<i64>,
    /// First byte of the answer.
    pub answered_ns: Option<i64>,
    /// Last byte of the answer.
    pub ended_ns: Option<i64>,
    /// Hash of the `x-request-id` (see [`request_id_hash`]).
    pub request_id: Option<u64>,
    /// Status of the answer.
    pub code: Option<u16>,
    /// Where the request begins.
    pub at: FrameRef,
}

/// Payload of one side that nothing of the other side interrupts, nor a silence of [`BURST_SILENCE_NS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// Who sent it.
    pub side: Side,
    /// Time of its first packet, nanoseconds since the epoch.
    pub begin_ns: i64,
    /// Time of its last packet, nanoseconds since the epoch.
    pub end_ns: i64,
    /// Its first packet.
    pub at: FrameRef,
}

/// A silence that ends a [`Burst`]: longer than the gaps within what one write to a socket sends.
pub const BURST_SILENCE_NS: i64 = 1_000_000;

/// Exchanges whose times a record keeps.
pub const MAX_TIMED: usize = 1024;
/// Bursts that a record keeps.
pub const MAX_BURSTS: usize = 1024;

/// The hash by which a request is known in logs and packets.
pub fn request_id_hash(id: &[u8]) -> u64 {
    rapidhash::v3::rapidhash_v3(id)
}

/// Exchanges that a record keeps.
pub const MAX_EXCHANGES: usize = 32;
/// Response times that a record keeps.
pub const MAX_EXCHANGE_TIMES: usize = 4096;

/// A protocol, told by content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// No payload seen.
    #[default]
    None,
    /// TLS records.
    Tls,
    /// HTTP/1.
    Http1,
    /// HTTP/2 with its preface or frames.
    Http2,
    /// DNS over TCP.
    Dns,
    /// Istio's metadata exchange preface (magic 3D230467) in clear.
    PeerExchange,
    /// Something else.
    Unknown,
}

/// What a connection shows of TLS (RFC 8446, RFC 5246).
#[derive(Clone, Debug, Default)]
pub struct TlsFacts {
    /// Client hellos.
    pub client_hellos: u64,
    /// Server hellos, without requests to try again.
    pub server_hellos: u64,
    /// Server hellos that ask for another client hello (RFC 8446 section 4.1.4).
    pub hello_retry_requests: u64,
    /// Handshake messages in clear by type (RFC 8446 section 4), of both sides; a request to try again is a server hello.
    pub handshake_messages: std::collections::BTreeMap<u8, u64>,
    /// First client hello.
    pub client_hello: Option<(Option<Timestamp>, FrameRef)>,
    /// First server hello.
    pub server_hello: Option<(Option<Timestamp>, FrameRef)>,
    /// Server name that the client asked for, lossily as UTF-8.
    pub sni: Option<String>,
    /// Protocols that the client offered.
    pub alpn_offered: Vec<String>,
    /// Protocol that the server chose, where it is visible (TLS 1.2).
    pub alpn: Option<String>,
    /// Highest version offered (`0x0304` is TLS 1.3).
    pub version_offered: Option<u16>,
    /// Version that was chosen.
    pub version: Option<u16>,
    /// Cipher suite that was chosen.
    pub cipher_suite: Option<u16>,
    /// True if the session was resumed as far as can be seen.
    pub resumed: bool,
    /// From the first client hello to the server's Finished (TLS 1.2), or to its first encrypted record (TLS 1.3): when
    /// the client could go on.
    pub handshake_ns: Option<u64>,
    /// True if the handshake is known to be good: both sides sent Finished (TLS 1.2), or application data went both ways;
    /// in TLS 1.3 the server's counts only after the client's Finished, and only beyond the size of an alert.
    pub established: bool,
    /// Alerts in clear, in order, at most 8.
    pub alerts: Vec<TlsAlert>,
    /// An encrypted record of alert size by this side, directly followed by its close: a hint at an alert.
    pub encrypted_alert_then_close: Option<(Side, FrameRef)>,
    /// Records that are surely encrypted alerts (type 21 after the change of cipher, TLS 1.2).
    pub encrypted_alerts: u64,
    /// Certificates in clear with who sent them, at most 8.
    pub certificates: Vec<(Side, CertificateFacts)>,
    /// Bytes where a TLS record was expected that are none: whose, and where.
    pub not_tls: Option<(Side, FrameRef)>,
}

/// A TLS alert in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsAlert {
    /// Who sent it.
    pub side: Side,
    /// 1 warning, 2 fatal.
    pub level: u8,
    /// Alert description, RFC 8446 section 6.
    pub description: u8,
    /// When.
    pub time: Option<Timestamp>,
    /// Where.
    pub at: FrameRef,
}

/// An X.509 certificate as it was sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateFacts {
    /// Subject, RFC 4514 text.
    pub subject: String,
    /// Issuer, RFC 4514 text.
    pub issuer: String,
    /// Subject alternative names: DNS names, URIs (SPIFFE ids), addresses.
    pub san: Vec<String>,
    /// Not valid before, in seconds since the epoch.
    pub not_before_s: i64,
    /// Not valid after, in seconds since the epoch.
    pub not_after_s: i64,
    /// True if it is the sender's own (the first of its chain).
    pub leaf: bool,
    /// Where it was sent.
    pub at: FrameRef,
}

/// What a connection shows of HTTP in clear.
#[derive(Clone, Debug, Default)]
pub struct HttpFacts {
    /// Requests seen.
    pub requests: u64,
    /// Responses by status.
    pub responses_by_code: std::collections::BTreeMap<u16, u64>,
    /// Requests by method (at most 16 methods).
    pub methods: std::collections::BTreeMap<String, u64>,
    /// gRPC status by number.
    pub grpc_by_status: std::collections::BTreeMap<u32, u64>,
    /// `RST_STREAM` by error code, by side (client, server).
    pub rst_stream: [std::collections::BTreeMap<u32, u64>; 2],
    /// GOAWAY by error code, by side (client, server).
    pub goaway: [std::collections::BTreeMap<u32, u64>; 2],
    /// Host header or authority of the first request, lossily as UTF-8.
    pub host: Option<String>,
    /// User agent of the first request.
    pub user_agent: Option<String>,
    /// Requests without an answer when the connection ended.
    pub unanswered: u64,
}

/// A request with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// First byte of the request.
    pub request: (Option<Timestamp>, FrameRef),
    /// Last byte of the request.
    pub request_end: Option<(Timestamp, FrameRef)>,
    /// First byte of the answer, if there was one.
    pub response: Option<(Option<Timestamp>, FrameRef)>,
    /// Last byte of the answer.
    pub response_end: Option<(Timestamp, FrameRef)>,
    /// Silence on the connection before the request; `None` for the first one.
    pub idle_before_ns: Option<u64>,
    /// Method, at most 16 bytes.
    pub method: Cow<'static, str>,
    /// Path without its query, at most 120 bytes.
    pub path: String,
    /// `x-request-id`, if there is one.
    pub request_id: Option<String>,
    /// Status of the answer.
    pub code: Option<u16>,
    /// gRPC status of the answer.
    pub grpc_status: Option<u32>,
}

/// A DNS question with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsExchange {
    /// Where it was captured.
    pub point: CapturePoint,
    /// Who asked.
    pub client: Endpoint,
    /// Who was asked.
    pub server: Endpoint,
    /// The first question's name, lower case, without the final dot.
    pub name: String,
    /// Its type (1 A, 28 AAAA, ...).
    pub record_type: u16,
    /// The first query.
    pub query: (Option<Timestamp>, FrameRef),
    /// Times the same query was sent again before an answer.
    pub retries: u64,
    /// The answer, or that there was none.
    pub outcome: DnsOutcome,
    /// When and where the answer came.
    pub response: Option<(Option<Timestamp>, FrameRef)>,
    /// Addresses in the answer, at most 8.
    pub addresses: Vec<crate::decode::packet::Address>,
    /// True over TCP.
    pub tcp: bool,
    /// True if the answer was cut (TC).
    pub truncated_answer: bool,
}

/// What became of a DNS query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DnsOutcome {
    /// Answered with this response code (0 no error, 2 server failure, 3 name error).
    Answered(u8),
    /// No answer in the capture.
    Unanswered,
    /// An answer without its query in the capture.
    AnswerOnly(u8),
}
