//! What numbers and kinds of the protocols are called.

use super::StreamClass;
use crate::streams::application;
use crate::streams::{CloseKind, Opening, Protocol, Side};

/// What a TLS alert says of the other side or of the sender, by its number (RFC 8446 section 6; older ones in RFC 5246
/// section 7.2).
const MEANINGS: [(u8, &str); 30] = [
    (0, "the end of the session, as it should be"),
    (10, "a message that does not belong there"),
    (20, "a record that does not decrypt"),
    (21, "a record that does not decrypt"),
    (22, "a record that is too long"),
    (30, "a record that does not decompress"),
    (40, "no version, cipher or certificate that suits both"),
    (41, "it has no certificate to show"),
    (42, "the other's certificate is broken or does not verify"),
    (43, "the other's certificate is of a kind that it does not take"),
    (44, "the other's certificate was revoked"),
    (45, "the other's certificate is not valid at this time"),
    (
        46,
        "the other's certificate is not acceptable, such as for its name",
    ),
    (47, "a field of the handshake makes no sense"),
    (
        48,
        "the other's certificate is signed by an authority that it does not know",
    ),
    (49, "the other's certificate is good, and has no access"),
    (50, "a message that cannot be decoded"),
    (51, "a signature or key exchange that does not verify"),
    (70, "no version of TLS that both speak"),
    (71, "no cipher that is strong enough for it"),
    (80, "a fault of its own, such as a missing key"),
    (86, "the other fell back to an older version needlessly"),
    (90, "the handshake was given up"),
    (100, "it does not negotiate again"),
    (109, "an extension that is mandatory is missing"),
    (110, "an extension that was not asked for"),
    (112, "it serves no such name"),
    (113, "the proof of validity that came with the certificate is bad"),
    (116, "the other showed no certificate, and must"),
    (120, "no application protocol that both speak"),
];

/// The name of a TLS alert.
pub fn alert_name(description: u8) -> String {
    match application::alert_name(description) {
        "unknown" => format!("alert {description}"),
        name => name.to_owned(),
    }
}

/// What a TLS alert means, as said by its sender.
pub fn alert_meaning(description: u8) -> Option<&'static str> {
    let at = MEANINGS
        .binary_search_by_key(&description, |(number, _)| *number)
        .ok()?;
    MEANINGS.get(at).map(|(_, meaning)| *meaning)
}

/// The level of a TLS alert.
pub fn alert_level(level: u8) -> String {
    match level {
        1 => "warning".to_owned(),
        2 => "fatal".to_owned(),
        other => other.to_string(),
    }
}

/// A version of TLS or SSL by its number.
pub fn tls_version(version: u16) -> String {
    application::version_name(version).map_or_else(|| format!("0x{version:04x}"), str::to_owned)
}

/// A response code of DNS (IANA, "DNS RCODEs").
pub fn rcode_name(rcode: u8) -> String {
    let name = match rcode {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        other => return format!("RCODE {other}"),
    };
    name.to_owned()
}

/// An ICMP (IANA, "ICMP Type Numbers") or ICMPv6 message: `destination-unreachable/port`; others by their numbers.
pub fn icmp_name((v6, icmp_type, code): super::IcmpKind) -> String {
    if v6 {
        icmpv6_name(icmp_type, code)
    } else {
        icmpv4_name(icmp_type, code)
    }
}

fn icmpv4_name(icmp_type: u8, code: u8) -> String {
    let name = match (icmp_type, code) {
        (0, _) => "echo-reply",
        (3, 0) => "destination-unreachable/net",
        (3, 1) => "destination-unreachable/host",
        (3, 2) => "destination-unreachable/protocol",
        (3, 3) => "destination-unreachable/port",
        (3, 4) => "destination-unreachable/fragmentation-needed",
        (3, 9) => "destination-unreachable/net-prohibited",
        (3, 10) => "destination-unreachable/host-prohibited",
        (3, 13) => "destination-unreachable/administratively-prohibited",
        (5, _) => "redirect",
        (8, _) => "echo-request",
        (11, 0) => "time-exceeded/in-transit",
        (11, 1) => "time-exceeded/reassembly",
        _ => return format!("icmp-{icmp_type}/{code}"),
    };
    name.to_owned()
}

fn icmpv6_name(icmp_type: u8, code: u8) -> String {
    let name = match (icmp_type, code) {
        (1, 0) => "v6/destination-unreachable/no-route",
        (1, 1) => "v6/destination-unreachable/administratively-prohibited",
        (1, 3) => "v6/destination-unreachable/address",
        (1, 4) => "v6/destination-unreachable/port",
        (1, 5) => "v6/destination-unreachable/source-policy",
        (1, 6) => "v6/destination-unreachable/reject-route",
        (2, _) => "v6/packet-too-big",
        (3, 0) => "v6/time-exceeded/in-transit",
        (3, 1) => "v6/time-exceeded/reassembly",
        (130..=132 | 143, _) => "v6/multicast-listener",
        (128, _) => "v6/echo-request",
        (129, _) => "v6/echo-reply",
        (133, _) => "v6/router-solicitation",
        (134, _) => "v6/router-advertisement",
        (135, _) => "v6/neighbor-solicitation",
        (136, _) => "v6/neighbor-advertisement",
        _ => return format!("icmpv6-{icmp_type}/{code}"),
    };
    name.to_owned()
}

/// Which side, in one word.
pub fn side_name(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}

/// How a connection began, in one word.
pub fn opening_name(opening: Opening) -> &'static str {
    match opening {
        Opening::Established => "established",
        Opening::Refused => "refused",
        Opening::Rejected => "rejected",
        Opening::Unanswered => "unanswered",
        Opening::HalfOpen => "half-open",
        Opening::Midstream => "midstream",
    }
}

/// How a connection ended, in one word.
pub fn close_name(kind: CloseKind) -> &'static str {
    match kind {
        CloseKind::Open => "open",
        CloseKind::Fin => "fin",
        CloseKind::FinThenReset => "fin-then-reset",
        CloseKind::ResetBeforeData => "reset-before-data",
        CloseKind::ResetMidExchange => "reset-mid-exchange",
        CloseKind::ResetIdle => "reset-idle",
        CloseKind::NotOpened => "not-opened",
    }
}

/// A protocol, as text may say it.
pub fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::None => "nothing",
        Protocol::Tls => "TLS",
        Protocol::Http1 => "HTTP/1",
        Protocol::Http2 => "HTTP/2",
        Protocol::Dns => "DNS",
        Protocol::PeerExchange => "metadata exchange",
        Protocol::Unknown => "an unknown protocol",
    }
}

impl StreamClass {
    /// The class in one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Rejected { .. } => "rejected",
            Self::Unanswered => "unanswered",
            Self::HalfOpen => "half-open",
            Self::PlaintextToTls => "plaintext-to-tls",
            Self::TlsToPlaintext => "tls-to-plaintext",
            Self::TlsAlert { .. } => "tls-alert",
            Self::EncryptedAlertThenClose { .. } => "encrypted-alert-then-close",
            Self::KeepAliveRace => "keepalive-race",
            Self::ResetMidExchange { .. } => "reset-mid-exchange",
            Self::ResetBeforeData { .. } => "reset-before-data",
            Self::ClosedWithoutAnswer { .. } => "closed-without-answer",
            Self::ResetIdle { .. } => "reset-idle",
            Self::Midstream => "midstream",
            Self::Good => "good",
            Self::ZeroWindow { .. } => "zero-window",
            Self::Lossy { .. } => "loss",
            Self::ServerErrors => "server-errors",
        }
    }

    /// The side that the class speaks of.
    pub fn by(self) -> Option<Side> {
        match self {
            Self::TlsAlert { by, .. }
            | Self::EncryptedAlertThenClose { by }
            | Self::ResetMidExchange { by }
            | Self::ResetBeforeData { by }
            | Self::ClosedWithoutAnswer { by }
            | Self::ResetIdle { by }
            | Self::ZeroWindow { by }
            | Self::Lossy { by } => Some(by),
            Self::Refused
            | Self::Rejected { .. }
            | Self::Unanswered
            | Self::HalfOpen
            | Self::PlaintextToTls
            | Self::TlsToPlaintext
            | Self::KeepAliveRace
            | Self::Midstream
            | Self::Good
            | Self::ServerErrors => None,
        }
    }

    /// What happened, in words.
    pub fn text(self) -> String {
        let of = |what: &str, by| format!("{what} by the {}", side_name(by));
        match self {
            Self::Refused => "SYN answered by RST".to_owned(),
            Self::Rejected { v6, icmp_type, code } => {
                format!("SYN answered by ICMP {}", icmp_name((v6, icmp_type, code)))
            }
            Self::Unanswered => "SYN without an answer".to_owned(),
            Self::HalfOpen => "SYN-ACK, and nothing further from the client".to_owned(),
            Self::PlaintextToTls => "plain text to a server that speaks TLS".to_owned(),
            Self::TlsToPlaintext => "TLS to a server that speaks plainly".to_owned(),
            Self::TlsAlert { by, description } => {
                let alert = of(&format!("TLS alert {}", alert_name(description)), by);
                alert_meaning(description).map_or(alert.clone(), |meaning| format!("{alert}: {meaning}"))
            }
            Self::EncryptedAlertThenClose { by } => of("TLS ended by what looks like an encrypted alert", by),
            Self::KeepAliveRace => "a request crossed the close of an idle connection".to_owned(),
            Self::ResetMidExchange { by } => of("reset in mid-exchange", by),
            Self::ResetBeforeData { by } => of("reset before any data", by),
            Self::ClosedWithoutAnswer { by } => of("closed without an answer", by),
            Self::ResetIdle { by } => of("reset while idle", by),
            Self::Midstream => "began before the capture".to_owned(),
            Self::Good => "nothing went wrong".to_owned(),
            Self::ZeroWindow { by } => of("zero window", by),
            Self::Lossy { by } => format!("loss of what the {} sent", side_name(by)),
            Self::ServerErrors => "answers with status 500 or more".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_in_order_and_found() {
        assert!(MEANINGS.is_sorted_by_key(|(number, _)| *number));
        assert_eq!(alert_name(45), "certificate_expired");
        assert_eq!(alert_name(250), "alert 250");
        assert_eq!(alert_meaning(250), None);
        assert_eq!(
            StreamClass::TlsAlert {
                by: Side::Server,
                description: 116
            }
            .text(),
            "TLS alert certificate_required by the server: the other showed no certificate, and must"
        );
    }

    #[test]
    fn numbers_without_a_name_stay_numbers() {
        assert_eq!(
            icmp_name((false, 3, 13)),
            "destination-unreachable/administratively-prohibited"
        );
        assert_eq!(icmp_name((false, 200, 1)), "icmp-200/1");
        assert_eq!(icmp_name((true, 1, 4)), "v6/destination-unreachable/port");
        assert_eq!(
            (rcode_name(3), rcode_name(99)),
            ("NXDOMAIN".into(), "RCODE 99".into())
        );
        assert_eq!(
            (tls_version(0x0304), tls_version(0x7f1c)),
            ("TLS 1.3".into(), "0x7f1c".into())
        );
    }
}
