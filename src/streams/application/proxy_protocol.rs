//! PROXY protocol, versions 1 and 2: who the client really is, before everything else (haproxy, `proxy-protocol.txt`).

use super::detect::PROXY_V2;
use super::reader::Reader;
use crate::decode::packet::{Address, Endpoint};
use std::net::IpAddr;

/// Longest header of version 1, with its line end (section 2.1).
const MAX_V1: usize = 107;
/// Bytes of version 2 up to its length.
const V2_FIXED: usize = 16;
/// Addresses of IPv6 in version 2: two of 16 bytes, two ports.
const V2_ADDRESSES: usize = 36;

/// A header that is not whole yet.
#[derive(Debug, Default)]
pub(super) struct ProxyHeader {
    bytes: Vec<u8>,
    /// Bytes after the addresses of version 2 that are still to come.
    skip: usize,
}

/// Client and server as the header names them; `None` for a connection of the proxy's own, or of another family.
pub(super) type Named = Option<(Endpoint, Endpoint)>;

/// What an advance led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    More,
    /// So many bytes complete the header.
    End(usize, Named),
    /// The bytes are no header after all.
    Broken,
}

impl ProxyHeader {
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Step {
        for (place, byte) in bytes.iter().enumerate() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len() - place);
                self.skip -= skipped;
                return if self.skip == 0 {
                    Step::End(place + skipped, read_v2(&self.bytes))
                } else {
                    Step::More
                };
            }
            self.bytes.push(*byte);
            if self.bytes.first() == Some(&b'P') {
                if *byte == b'\n' {
                    return Step::End(place + 1, read_v1(&self.bytes));
                }
                if self.bytes.len() >= MAX_V1 {
                    return Step::Broken;
                }
            } else if let Some(length) = v2_length(&self.bytes) {
                let wanted = V2_FIXED + length.min(V2_ADDRESSES);
                if self.bytes.len() == wanted {
                    self.skip = length.saturating_sub(V2_ADDRESSES);
                    if self.skip == 0 {
                        return Step::End(place + 1, read_v2(&self.bytes));
                    }
                }
            }
        }
        Step::More
    }
}

fn v2_length(bytes: &[u8]) -> Option<usize> {
    let mut reader = Reader(bytes);
    reader.take(PROXY_V2.len() + 2)?;
    reader.u16().map(usize::from)
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443`.
fn read_v1(line: &[u8]) -> Named {
    let line = std::str::from_utf8(line).ok()?.trim_end();
    let mut words = line.strip_prefix("PROXY ")?.split(' ');
    if !matches!(words.next()?, "TCP4" | "TCP6") {
        return None;
    }
    let (client, server) = (address(words.next()?)?, address(words.next()?)?);
    let (client_port, server_port) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((
        Endpoint {
            address: client,
            port: client_port,
        },
        Endpoint {
            address: server,
            port: server_port,
        },
    ))
}

fn address(text: &str) -> Option<Address> {
    text.parse::<IpAddr>().ok().map(Address::from)
}

fn read_v2(bytes: &[u8]) -> Named {
    let mut reader = Reader(bytes);
    reader.take(PROXY_V2.len())?;
    // Version 2 and PROXY; the other command is LOCAL.
    if reader.u8()? != 0x21 {
        return None;
    }
    let family = reader.u8()?;
    reader.u16()?;
    let mut address = || match family >> 4 {
        1 => Some(Address::v4(*reader.take(4)?.first_chunk()?)),
        2 => Some(Address(*reader.take(16)?.first_chunk()?)),
        _ => None,
    };
    let (client, server) = (address()?, address()?);
    let (client_port, server_port) = (reader.u16()?, reader.u16()?);
    Some((
        Endpoint {
            address: client,
            port: client_port,
        },
        Endpoint {
            address: server,
            port: server_port,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::{ProxyHeader, Step};

    const V1: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n";
    /// 192.0.2.1:56324 to 192.0.2.2:443 and a field of three bytes.
    const V2: &[u8] =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f\xc0\0\x02\x01\xc0\0\x02\x02\xdc\x04\x01\xbb\x04\0\0";

    #[test]
    fn headers_may_be_cut_anywhere() {
        for header in [V1, V2] {
            for cut in 0..header.len() {
                let mut state = ProxyHeader::default();
                assert_eq!(state.bytes(&header[..cut]), Step::More);
                let rest = [&header[cut..], b"GET /"].concat();
                let Step::End(taken, Some((client, server))) = state.bytes(&rest) else {
                    panic!("cut at {cut}");
                };
                assert_eq!(taken, header.len() - cut);
                assert_eq!(client.to_string(), "192.0.2.1:56324");
                assert_eq!(server.to_string(), "192.0.2.2:443");
            }
        }
    }

    #[test]
    fn long_fields_are_skipped() {
        let mut state = ProxyHeader::default();
        let header = [
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff\xc0\0\x02\x01\xc0\0\x02\x02\xdc\x04\x01\xbb".as_slice(),
            &vec![0; 65_523],
        ]
        .concat();
        assert!(matches!(state.bytes(&header), Step::End(taken, Some(_)) if taken == header.len()));
        assert!(state.bytes.len() <= 52);
    }

    #[test]
    fn no_addresses() {
        let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
        assert_eq!(ProxyHeader::default().bytes(local), Step::End(16, None));
        assert_eq!(
            ProxyHeader::default().bytes(b"PROXY UNKNOWN\r\n"),
            Step::End(15, None)
        );
        assert_eq!(ProxyHeader::default().bytes(&[b'P'; 200]), Step::Broken);
    }
}
