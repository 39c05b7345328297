//! X.509 certificates (RFC 5280), as far as a report needs them.

use crate::decode::packet::{Address, FrameRef};
use crate::streams::record::CertificateFacts;
use std::fmt::Write as _;
use x509_parser::objects::{oid_registry, oid2abbrev};
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
            let oid = attribute.attr_type();
            match oid2abbrev(oid, oid_registry()) {
                Ok(short) => text.push_str(short),
                Err(_) => text.push_str(&oid.to_id_string()),
            }
            text.push('=');
            match attribute.as_str() {
                Ok(value) => escaped(value, &mut text),
                Err(_) => hexadecimal(attribute.as_slice(), &mut text),
            }
        }
    }
    text
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
