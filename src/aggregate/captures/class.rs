//! How a connection went, as one word: exactly one primary class for each connection, and facts beside it.
//!
//! A class says what the packets show, not why. Loss, a closed window and errors of the application are facts: they
//! come with any primary class, and a connection counts under each that it shows.

use crate::decode::packet::FrameRef;
use crate::streams::{
    CloseKind, Opening, Protocol, Side, SideFacts, StreamEvent, StreamEventKind, StreamMoment, StreamRecord,
    TlsAlert,
};
use crate::units::Timestamp;

/// How a connection went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamClass {
    /// Primary: SYN answered by RST.
    Refused,
    /// Primary: SYN answered by an ICMP error.
    Rejected {
        /// True for ICMPv6.
        v6: bool,
        /// ICMP type.
        icmp_type: u8,
        /// ICMP code.
        code: u8,
    },
    /// Primary: SYNs without an answer.
    Unanswered,
    /// Primary: SYN and SYN-ACK, and nothing further from the client.
    HalfOpen,
    /// Primary: the client spoke plainly, the server answered in TLS.
    PlaintextToTls,
    /// Primary: the client spoke TLS, the server answered plainly.
    TlsToPlaintext,
    /// Primary: an alert in clear other than the end of a session.
    TlsAlert {
        /// Who sent it, that is: whom the other did not suit.
        by: Side,
        /// Description, RFC 8446 section 6.
        description: u8,
    },
    /// Primary: before data went both ways, an encrypted record of alert size and a close. A hint, no more.
    EncryptedAlertThenClose {
        /// Who sent it.
        by: Side,
    },
    /// Primary: a request crossed the other side's FIN on an idle connection.
    KeepAliveRace,
    /// Primary: RST while a request waited for its answer or data was on its way.
    ResetMidExchange {
        /// Whose RST.
        by: Side,
    },
    /// Primary: RST after the handshake and before any payload.
    ResetBeforeData {
        /// Whose RST.
        by: Side,
    },
    /// Primary: closed by FIN with a request still waiting, or without a byte in answer to what the client sent.
    ClosedWithoutAnswer {
        /// Whose FIN came first: the client's when it gave up.
        by: Side,
    },
    /// Primary: RST of a connection on which nothing was under way.
    ResetIdle {
        /// Whose RST.
        by: Side,
    },
    /// Primary: none of the others, and the capture began after the connection.
    Midstream,
    /// Primary: none of the others.
    Good,
    /// Fact: the side offered a window of 0.
    ZeroWindow {
        /// Whose window.
        by: Side,
    },
    /// Fact: data of the side was sent again (needlessly so excepted) or is missing before the capture point, and the
    /// receiver had room for it.
    Lossy {
        /// Whose segments.
        by: Side,
    },
    /// Fact: an answer with status 500 or more in clear.
    ServerErrors,
}

/// Alerts that end a session as it should be: `close_notify` and `user_canceled`.
pub fn is_plain_close(alert: &TlsAlert) -> bool {
    matches!(alert.description, 0 | 90)
}

impl StreamClass {
    /// All names (see [`Self::name`]), in order.
    pub const NAMES: [&'static str; 18] = [
        "closed-without-answer",
        "encrypted-alert-then-close",
        "good",
        "half-open",
        "keepalive-race",
        "loss",
        "midstream",
        "plaintext-to-tls",
        "refused",
        "rejected",
        "reset-before-data",
        "reset-idle",
        "reset-mid-exchange",
        "server-errors",
        "tls-alert",
        "tls-to-plaintext",
        "unanswered",
        "zero-window",
    ];

    /// False for facts, which come beside a primary class.
    pub fn is_primary(self) -> bool {
        !matches!(
            self,
            Self::ZeroWindow { .. } | Self::Lossy { .. } | Self::ServerErrors
        )
    }

    /// True for the classes of connections that went as they should, as far as was seen.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Good | Self::Midstream | Self::ResetIdle { .. })
    }

    /// The class without numbers that a packet may choose at will.
    #[must_use]
    pub fn without_detail(self) -> Self {
        match self {
            Self::Rejected { v6, .. } => Self::Rejected {
                v6,
                icmp_type: 0,
                code: 0,
            },
            Self::TlsAlert { by, .. } => Self::TlsAlert { by, description: 0 },
            other => other,
        }
    }

    /// A number for the class and one for what it says beside, by which limits choose.
    pub(super) fn code(self) -> (u8, u16) {
        let side = |side: Side| u16::from(side == Side::Server);
        match self {
            Self::Refused => (0, 0),
            Self::Rejected { v6, icmp_type, code } => {
                (1 + u8::from(v6), u16::from(icmp_type) << 8 | u16::from(code))
            }
            Self::Unanswered => (3, 0),
            Self::HalfOpen => (4, 0),
            Self::PlaintextToTls => (5, 0),
            Self::TlsToPlaintext => (6, 0),
            Self::TlsAlert { by, description } => (7, side(by) << 8 | u16::from(description)),
            Self::EncryptedAlertThenClose { by } => (8, side(by)),
            Self::KeepAliveRace => (9, 0),
            Self::ResetMidExchange { by } => (10, side(by)),
            Self::ResetBeforeData { by } => (11, side(by)),
            Self::ClosedWithoutAnswer { by } => (12, side(by)),
            Self::ResetIdle { by } => (13, side(by)),
            Self::Midstream => (14, 0),
            Self::Good => (15, 0),
            Self::ZeroWindow { by } => (16, side(by)),
            Self::Lossy { by } => (17, side(by)),
            Self::ServerErrors => (18, 0),
        }
    }

    /// The primary class of a connection.
    pub fn primary(record: &StreamRecord) -> Self {
        not_opened(record)
            .or_else(|| by_protocol(record))
            .or_else(|| by_event(record, StreamEventKind::RequestAfterFin).map(|_| Self::KeepAliveRace))
            .or_else(|| by_close(record))
            .unwrap_or(if record.opening == Opening::Midstream {
                Self::Midstream
            } else {
                Self::Good
            })
    }

    /// All classes of a connection: the primary one first, then the facts.
    pub fn all(record: &StreamRecord) -> Vec<Self> {
        let mut list = vec![Self::primary(record)];
        for side in [Side::Client, Side::Server] {
            if side_of(record, side).zero_window_packets > 0 {
                list.push(Self::ZeroWindow { by: side });
            }
            if lost(record, side) {
                list.push(Self::Lossy { by: side });
            }
        }
        if server_errors(record) > 0 {
            list.push(Self::ServerErrors);
        }
        list
    }

    /// When the connection shows this class for the last time.
    pub fn shown_until(self, record: &StreamRecord) -> Option<Timestamp> {
        let last = |kinds: &[StreamEventKind], side| {
            let events = record.events.iter().rev();
            let mut of_kind = events.filter(|e| kinds.contains(&e.kind) && e.side == side);
            of_kind.find_map(|e| e.time)
        };
        let until = match self {
            Self::ZeroWindow { by } => last(&[StreamEventKind::ZeroWindow], by),
            Self::Lossy { by } => last(
                &[StreamEventKind::Retransmission, StreamEventKind::LostSegment],
                by,
            ),
            _ => None,
        };
        until.or(self.shown_at(record).0)
    }

    /// When and where the connection shows this class best.
    pub fn shown_at(self, record: &StreamRecord) -> (Option<Timestamp>, FrameRef) {
        let stamped = |at: Option<(Timestamp, FrameRef)>| at.map(|(time, at)| (Some(time), at));
        let event = |kind, side| {
            record
                .events
                .iter()
                .find(|e| e.kind == kind && e.side == side)
                .map(|e| (e.time, e.at))
        };
        let shown = match self {
            Self::Good | Self::Midstream => None,
            Self::Unanswered => stamped(record.syn),
            Self::HalfOpen => stamped(record.syn_ack),
            Self::Rejected { .. } => record.icmp_error.map(|(_, time, at)| (Some(time), at)),
            Self::PlaintextToTls | Self::TlsToPlaintext => mismatch(record),
            Self::TlsAlert { .. } => alert(record).map(|alert| (alert.time, alert.at)),
            Self::EncryptedAlertThenClose { .. } => encrypted_alert(record).map(|(_, at)| (record.end, at)),
            Self::KeepAliveRace => by_event(record, StreamEventKind::RequestAfterFin).map(|e| (e.time, e.at)),
            Self::ZeroWindow { by } => event(StreamEventKind::ZeroWindow, by),
            Self::Lossy { by } => {
                event(StreamEventKind::Retransmission, by).or_else(|| event(StreamEventKind::LostSegment, by))
            }
            Self::ServerErrors => record
                .application
                .exchanges
                .iter()
                .find(|exchange| exchange.code.is_some_and(|code| code >= 500))
                .and_then(|exchange| exchange.response),
            Self::Refused
            | Self::ResetMidExchange { .. }
            | Self::ResetBeforeData { .. }
            | Self::ResetIdle { .. }
            | Self::ClosedWithoutAnswer { .. } => stamped(record.close.at),
        };
        shown.unwrap_or((record.start, record.first))
    }
}

/// The times at which a connection shows a class, in seconds, with how often; one time for most classes.
pub fn seconds(class: StreamClass, record: &StreamRecord) -> Vec<(i64, u64)> {
    let count: fn(&StreamMoment) -> u64 = match class {
        StreamClass::Lossy { .. } => |moment| moment.retransmissions,
        StreamClass::ZeroWindow { .. } => |moment| moment.zero_windows,
        _ => |_| 0,
    };
    let counted: Vec<(i64, u64)> = record
        .moments
        .iter()
        .map(|moment| (moment.second, count(moment)))
        .filter(|(_, count)| *count > 0)
        .collect();
    if counted.is_empty() {
        let once = class.shown_at(record).0;
        once.map(|time| (time.secs(), 1)).into_iter().collect()
    } else {
        counted
    }
}

/// What one side sent.
pub fn side_of(record: &StreamRecord, side: Side) -> &SideFacts {
    let [client, server] = &record.sides;
    match side {
        Side::Client => client,
        Side::Server => server,
    }
}

/// Answers with status 500 or more in clear.
pub fn server_errors(record: &StreamRecord) -> u64 {
    let codes = record.application.http.iter().flat_map(|h| &h.responses_by_code);
    codes
        .filter(|(code, _)| **code >= 500)
        .map(|(_, count)| count)
        .sum()
}

/// Data that was sent again or is missing, on the way to a receiver that had room for it: one without room drops
/// what it gets, and that is not loss.
fn lost(record: &StreamRecord, side: Side) -> bool {
    let facts = side_of(record, side);
    let receiver_had_room = side_of(record, side.other()).zero_window_packets == 0;
    receiver_had_room && facts.lost() > 0
}

fn not_opened(record: &StreamRecord) -> Option<StreamClass> {
    match record.opening {
        Opening::Refused => Some(StreamClass::Refused),
        Opening::Rejected => {
            let ((v6, icmp_type, code), ..) = record.icmp_error?;
            Some(StreamClass::Rejected { v6, icmp_type, code })
        }
        Opening::Unanswered => Some(StreamClass::Unanswered),
        Opening::HalfOpen => Some(StreamClass::HalfOpen),
        Opening::Established | Opening::Midstream => None,
    }
}

/// What the two sides make of each other's bytes.
fn by_protocol(record: &StreamRecord) -> Option<StreamClass> {
    let [client, server] = record.application.first_bytes;
    let plain = |protocol| !matches!(protocol, Protocol::None | Protocol::Tls);
    // Where the capture began later, the first bytes seen are not the first ones.
    if record.opening == Opening::Established {
        if plain(client) && server == Protocol::Tls {
            return Some(StreamClass::PlaintextToTls);
        }
        if client == Protocol::Tls && plain(server) {
            return Some(StreamClass::TlsToPlaintext);
        }
    }
    if let Some(alert) = alert(record) {
        return Some(StreamClass::TlsAlert {
            by: alert.side,
            description: alert.description,
        });
    }
    encrypted_alert(record).map(|(by, _)| StreamClass::EncryptedAlertThenClose { by })
}

/// The first fatal alert, else the first one that is no plain end of a session.
fn alert(record: &StreamRecord) -> Option<&TlsAlert> {
    let alerts = &record.application.tls.as_ref()?.alerts;
    let told = |alert: &&TlsAlert| !is_plain_close(alert);
    alerts
        .iter()
        .filter(told)
        .find(|alert| alert.level == 2)
        .or_else(|| alerts.iter().find(told))
}

/// After data went both ways an encrypted alert is the usual end of a session; whether it did is not seen where the
/// snaplen cut packets.
fn encrypted_alert(record: &StreamRecord) -> Option<(Side, FrameRef)> {
    let tls = record.application.tls.as_ref()?;
    tls.encrypted_alert_then_close
        .filter(|_| !tls.established && record.cut_packets == 0)
}

/// Where the server's bytes begin: the frame is not known, so the first answer or the end stands for it.
fn mismatch(record: &StreamRecord) -> Option<(Option<Timestamp>, FrameRef)> {
    let tls = record.application.tls.as_ref();
    if let Some((_, at)) = tls.and_then(|tls| tls.not_tls) {
        return Some((record.end, at));
    }
    if let Some(alert) = alert(record) {
        return Some((alert.time, alert.at));
    }
    let answer = record.application.exchanges.iter().find_map(|e| e.response);
    answer.or_else(|| record.close.at.map(|(time, at)| (Some(time), at)))
}

fn by_event(record: &StreamRecord, kind: StreamEventKind) -> Option<&StreamEvent> {
    record.events.iter().find(|event| event.kind == kind)
}

fn by_close(record: &StreamRecord) -> Option<StreamClass> {
    let by = record.close.by?;
    match record.close.kind {
        CloseKind::ResetMidExchange => Some(StreamClass::ResetMidExchange { by }),
        CloseKind::ResetBeforeData => Some(StreamClass::ResetBeforeData { by }),
        CloseKind::ResetIdle => Some(StreamClass::ResetIdle { by }),
        CloseKind::Fin | CloseKind::FinThenReset if unanswered(record) => {
            Some(StreamClass::ClosedWithoutAnswer { by })
        }
        CloseKind::Fin | CloseKind::FinThenReset | CloseKind::Open | CloseKind::NotOpened => None,
    }
}

/// A request waits, or the client spoke and the server never did. Told only where both sides were captured whole.
fn unanswered(record: &StreamRecord) -> bool {
    let waiting = record
        .application
        .http
        .as_ref()
        .is_some_and(|http| http.unanswered > 0);
    let silent =
        side_of(record, Side::Client).payload_bytes > 0 && side_of(record, Side::Server).payload_bytes == 0;
    let whole = !record.one_sided && side_of(record, Side::Server).missing_bytes == 0;
    whole && (waiting || (silent && record.opening == Opening::Established))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{at, record};
    use super::*;
    use crate::streams::{Close, HttpFacts, StreamEvent, TlsFacts};

    fn closed(kind: CloseKind, by: Side) -> Close {
        Close {
            kind,
            by: Some(by),
            at: Some(at(7)),
            idle_before_ns: None,
            asked_after_idle_ns: None,
        }
    }

    fn alert(side: Side, level: u8, description: u8, frame: u64) -> TlsAlert {
        let (time, at) = at(frame);
        TlsAlert {
            side,
            level,
            description,
            time: Some(time),
            at,
        }
    }

    #[test]
    fn openings_that_failed() {
        let mut record = record(1);
        for (opening, class, frame) in [
            (Opening::Refused, StreamClass::Refused, 7),
            (
                Opening::Rejected,
                StreamClass::Rejected {
                    v6: false,
                    icmp_type: 3,
                    code: 13,
                },
                9,
            ),
            (Opening::Unanswered, StreamClass::Unanswered, 1),
            (Opening::HalfOpen, StreamClass::HalfOpen, 2),
        ] {
            record.opening = opening;
            record.close = closed(CloseKind::NotOpened, Side::Server);
            record.icmp_error = (opening == Opening::Rejected).then(|| {
                let (time, at) = at(9);
                ((false, 3, 13), time, at)
            });
            assert_eq!(StreamClass::primary(&record), class);
            assert_eq!(class.shown_at(&record).1.frame, frame, "{class:?}");
        }
    }

    #[test]
    fn a_session_that_ends_as_it_should_is_good() {
        let mut record = record(1);
        let tls = TlsFacts {
            established: true,
            alerts: vec![alert(Side::Client, 1, 0, 5)],
            encrypted_alert_then_close: Some((Side::Server, at(6).1)),
            ..TlsFacts::default()
        };
        record.application.tls = Some(Box::new(tls));
        record.close = closed(CloseKind::FinThenReset, Side::Client);
        assert_eq!(StreamClass::primary(&record), StreamClass::Good);
    }

    #[test]
    fn the_fatal_alert_counts() {
        let mut record = record(1);
        let tls = TlsFacts {
            alerts: vec![alert(Side::Client, 1, 112, 5), alert(Side::Server, 2, 45, 6)],
            ..TlsFacts::default()
        };
        record.application.tls = Some(Box::new(tls));
        let class = StreamClass::primary(&record);
        assert_eq!(
            class,
            StreamClass::TlsAlert {
                by: Side::Server,
                description: 45
            }
        );
        assert_eq!(class.shown_at(&record).1.frame, 6);
    }

    #[test]
    fn who_spoke_what_to_whom() {
        let mut record = record(1);
        for (first, class) in [
            ([Protocol::Http1, Protocol::Tls], StreamClass::PlaintextToTls),
            ([Protocol::Tls, Protocol::Http1], StreamClass::TlsToPlaintext),
            ([Protocol::Tls, Protocol::Tls], StreamClass::Good),
            ([Protocol::Tls, Protocol::None], StreamClass::Good),
        ] {
            record.application.first_bytes = first;
            assert_eq!(StreamClass::primary(&record), class);
        }
    }

    #[test]
    fn closes() {
        let mut record = record(1);
        for (kind, class) in [
            (
                CloseKind::ResetMidExchange,
                StreamClass::ResetMidExchange { by: Side::Server },
            ),
            (
                CloseKind::ResetBeforeData,
                StreamClass::ResetBeforeData { by: Side::Server },
            ),
            (CloseKind::ResetIdle, StreamClass::ResetIdle { by: Side::Server }),
            (CloseKind::Fin, StreamClass::Good),
        ] {
            record.close = closed(kind, Side::Server);
            assert_eq!(StreamClass::primary(&record), class);
        }
        record.application.http = Some(Box::new(HttpFacts {
            unanswered: 1,
            ..HttpFacts::default()
        }));
        let class = StreamClass::ClosedWithoutAnswer { by: Side::Server };
        assert_eq!(StreamClass::primary(&record), class);
        record.one_sided = true;
        assert_eq!(
            StreamClass::primary(&record),
            StreamClass::Good,
            "the answer may be what is missing"
        );
    }

    #[test]
    fn facts_stand_beside_the_primary_class() {
        let mut record = record(1);
        record.sides[1].zero_window_packets = 2;
        record.sides[1].data_sent_again = 1;
        // The server's window is closed: what the client sends again meanwhile is not lost.
        record.sides[0].data_sent_again = 1;
        let (time, frame) = at(5);
        record.events = vec![StreamEvent {
            kind: StreamEventKind::ZeroWindow,
            side: Side::Server,
            time: Some(time),
            at: frame,
        }];
        let zero = StreamClass::ZeroWindow { by: Side::Server };
        assert_eq!(
            StreamClass::all(&record),
            [StreamClass::Good, zero, StreamClass::Lossy { by: Side::Server }]
        );
        assert_eq!(zero.shown_at(&record), (Some(time), frame));
        assert_eq!(
            StreamClass::all(&record)
                .iter()
                .filter(|c| c.is_primary())
                .count(),
            1
        );
    }
}
