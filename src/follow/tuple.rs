//! Connections as people write them: `10.244.1.11:38362 → 10.244.2.31:9080`.

use crate::decode::packet::{Address, Endpoint};
use std::net::SocketAddr;

/// The two ends of a connection, in the order in which they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FourTuple {
    /// The one written first.
    pub one: Endpoint,
    /// The other.
    pub other: Endpoint,
}

const EXPECTED: &str = "expected two addresses with ports, such as 10.0.0.1:40000-10.0.0.2:9080 or '[2001:db8::1]:40000 [2001:db8::2]:9080'";

/// Marks between the ends, the longer ones first.
const MARKS: [&str; 8] = ["<->", "→", "↔", "->", "-", ",", "_", " "];

/// Reads two addresses with ports, parted by an arrow, a dash, a comma or blanks.
///
/// # Errors
/// One line: what is expected.
pub fn parse(text: &str) -> Result<FourTuple, String> {
    MARKS
        .iter()
        .filter_map(|mark| text.trim().split_once(mark))
        .find_map(|(one, other)| {
            Some(FourTuple {
                one: endpoint(one.trim())?,
                other: endpoint(other.trim())?,
            })
        })
        .filter(|tuple| tuple.one != tuple.other)
        .ok_or_else(|| EXPECTED.to_owned())
}

/// An address with a port as Envoy and reports write it; `None` for a socket's path, a name, or none.
pub fn endpoint(text: &str) -> Option<Endpoint> {
    let address: SocketAddr = text.parse().ok()?;
    Some(Endpoint {
        address: Address::from(address.ip()),
        port: address.port(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ways_to_write_it() {
        for text in [
            "10.0.0.1:40000-10.0.0.2:80",
            "10.0.0.1:40000 → 10.0.0.2:80",
            " 10.0.0.1:40000->10.0.0.2:80 ",
            "10.0.0.1:40000,10.0.0.2:80",
            "10.0.0.1:40000   10.0.0.2:80",
            "10.0.0.1:40000 <-> 10.0.0.2:80",
        ] {
            let tuple = parse(text).unwrap();
            assert_eq!(tuple.one.to_string(), "10.0.0.1:40000", "{text}");
            assert_eq!(tuple.other.to_string(), "10.0.0.2:80", "{text}");
        }
        let v6 = parse("[2001:db8::1]:1 [::2]:2").unwrap();
        assert_eq!(v6.other.to_string(), "[::2]:2");
        for text in [
            "",
            "10.0.0.1:1",
            "10.0.0.1-10.0.0.2",
            "a:1-b:2",
            "1.2.3.4:5-1.2.3.4:5",
            "1.2.3.4:5-6.7.8.9:70000",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(a in any::<std::net::IpAddr>(), b in any::<std::net::IpAddr>(), ports in any::<(u16, u16)>(), mark in 0..MARKS.len()) {
            let end = |ip, port| Endpoint { address: Address::from(ip), port };
            let (one, other) = (end(a, ports.0), end(b, ports.1));
            prop_assume!(one != other);
            let text = format!("{one}{}{other}", MARKS[mark]);
            prop_assert_eq!(parse(&text), Ok(FourTuple { one, other }));
        }

        #[test]
        fn anything_may_be_typed(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
