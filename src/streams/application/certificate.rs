//! X.509 certificates (RFC 5280), as far as a report needs them.

use crate::decode::packet::{Address, FrameRef};
use crate::streams::record::CertificateFacts;
use std::fmt::Write as _;
use x509_parser::asn1_rs::{Oid, Tag};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate, X509Name};

/// Subject alternative names that are kept of one certificate.
const MAX_NAMES: usize = 32;
/// Bytes that are kept of a name.
const MAX_TEXT: usize = 512;

/// What the certificate `der` says; `None` if it is none.
pub(super) fn read(der: &[u8], leaf: bool, at: FrameRef) -> Option<CertificateFacts> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    let san = certificate.subject_alternative_name().ok().flatten();
    Some(CertificateFacts {
        subject: name(certificate.subject()),
        issuer: name(certificate.issuer()),
        san: san
            .iter()
            .flat_map(|extension| &extension.value.general_names)
            .take(MAX_NAMES)
            .filter_map(alternative)
            .collect(),
        not_before_s: validity.not_before.timestamp(),
        not_after_s: validity.not_after.timestamp(),
        leaf,
        at,
    })
}

/// RFC 4514: the last part first, a comma between parts.
fn name(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for (number, part) in parts.into_iter().rev().enumerate() {
        for (place, attribute) in part.iter().enumerate() {
            if text.len() > MAX_TEXT {
                return text;
            }
            match (number, place) {
                (0, 0) => {}
                (_, 0) => text.push(','),
                _ => text.push('+'),
            }
            text.push_str(&short_name(attribute.attr_type()));
            text.push('=');
            let value = attribute.attr_value();
            match value.tag() {
                Tag::BmpString => {
                    let units: Vec<u16> = value
                        .data
                        .chunks_exact(2)
                        .map(|unit| unit.iter().fold(0, |all, byte| all << 8 | u16::from(*byte)))
                        .collect();
                    escaped(&String::from_utf16_lossy(&units), &mut text);
                }
                Tag::Utf8String
                | Tag::PrintableString
                | Tag::Ia5String
                | Tag::T61String
                | Tag::NumericString
                | Tag::VisibleString => escaped(&String::from_utf8_lossy(value.data), &mut text),
                _ => hexadecimal(value.data, &mut text),
            }
        }
    }
    text
}

/// RFC 4514 section 3; beyond it what OpenSSL prints for the address of who is responsible.
fn short_name(oid: &Oid<'_>) -> String {
    let oid = oid.to_id_string();
    let short = match oid.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.15" => "businessCategory",
        "2.5.4.17" => "postalCode",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => return oid,
    };
    short.to_owned()
}

/// RFC 4514 section 2.4.
fn escaped(value: &str, text: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (place, character) in value.chars().enumerate().take(MAX_TEXT) {
        let special = matches!(character, '"' | '+' | ',' | ';' | '<' | '>' | '\\')
            || (character == ' ' && (place == 0 || place == last))
            || (character == '#' && place == 0);
        if special {
            text.push('\\');
        }
        text.push(character);
    }
}

fn hexadecimal(value: &[u8], text: &mut String) {
    text.push('#');
    for byte in value.iter().take(MAX_TEXT) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
}

fn alternative(name: &GeneralName<'_>) -> Option<String> {
    let cut = |text: &str| text.chars().take(MAX_TEXT).collect();
    match name {
        GeneralName::DNSName(text) | GeneralName::URI(text) | GeneralName::RFC822Name(text) => {
            Some(cut(text))
        }
        GeneralName::IPAddress(bytes) => match *bytes {
            [a, b, c, d] => Some(Address::v4([*a, *b, *c, *d]).to_string()),
            _ => Some(Address(<[u8; 16]>::try_from(*bytes).ok()?).to_string()),
        },
        _ => None,
    }
}
