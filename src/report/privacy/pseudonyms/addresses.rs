//! Pseudonyms of IP addresses that keep prefixes: two addresses share as many leading bits as their pseudonyms do.
//!
//! A bit is turned or not by what a keyed hash says of the bits before it (the construction of Xu, Fan, Ammar and Moon,
//! "Prefix-Preserving IP Address Anonymization", ICNP 2002), with HMAC-SHA256 in place of AES. Blocks with a meaning of
//! their own stay what they are: bits that lead into one of them are not turned, so that no other address gets there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A block of addresses: its first one, and how many bits all of it shares.
type Block<T> = (T, u32);

/// Kept as they are: this network, loopback (Envoy's 127.0.0.6 is there), link-local, multicast and reserved
/// (RFC 6890, RFC 5771).
const KEPT_V4: &[Block<u32>] = &[
    (0x0000_0000, 8),
    (0x7f00_0000, 8),
    (0xa9fe_0000, 16),
    (0xe000_0000, 3),
];

/// Private ones (RFC 1918) and shared ones (RFC 6598) become others of the same block.
const WITHIN_V4: &[Block<u32>] = &[
    (0x0a00_0000, 8),
    (0xac10_0000, 12),
    (0xc0a8_0000, 16),
    (0x6440_0000, 10),
];

/// Unspecified, loopback, link-local, multicast (RFC 4291). IPv4-mapped ones go by their IPv4 address.
const KEPT_V6: &[Block<u128>] = &[(0, 64), (0xfe80 << 112, 10), (0xff00 << 112, 8)];

/// Unique local (RFC 4193) and global ones.
const WITHIN_V6: &[Block<u128>] = &[(0xfc00 << 112, 7), (0x2000 << 112, 3)];

/// The pseudonym of `address`; `hash` gives a keyed hash of some bytes.
pub(super) fn pseudonym(address: IpAddr, hash: &dyn Fn(&[u8]) -> u64) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4(of_v4(v4, hash)),
        IpAddr::V6(v6) => {
            if let Some(v4) = v6.to_ipv4_mapped() {
                return IpAddr::V6(of_v4(v4, hash).to_ipv6_mapped());
            }
            let number = turned(u128::from(v6), 128, KEPT_V6, WITHIN_V6, b'6', hash);
            IpAddr::V6(Ipv6Addr::from(number))
        }
    }
}

fn of_v4(address: Ipv4Addr, hash: &dyn Fn(&[u8]) -> u64) -> Ipv4Addr {
    let wide = |blocks: &[Block<u32>]| -> Vec<Block<u128>> {
        blocks
            .iter()
            .map(|(first, bits)| (u128::from(*first), *bits))
            .collect()
    };
    let (kept, within) = (wide(KEPT_V4), wide(WITHIN_V4));
    let number = turned(u128::from(u32::from(address)), 32, &kept, &within, b'4', hash);
    u32::try_from(number).map_or(address, Ipv4Addr::from)
}

/// The first `bits` of a number of `width` bits.
fn head(number: u128, bits: u32, width: u32) -> u128 {
    number.checked_shr(width.saturating_sub(bits)).unwrap_or(0)
}

fn turned(
    number: u128,
    width: u32,
    kept: &[Block<u128>],
    within: &[Block<u128>],
    family: u8,
    hash: &dyn Fn(&[u8]) -> u64,
) -> u128 {
    let is_in = |(first, bits): &Block<u128>| head(number, *bits, width) == head(*first, *bits, width);
    if kept.iter().any(is_in) {
        return number;
    }
    let mut turned = number;
    for at in 0..width {
        let before = head(number, at, width);
        let leads = |(first, bits): &Block<u128>| *bits > at && head(*first, at, width) == before;
        if kept.iter().any(leads) || within.iter().any(leads) {
            continue;
        }
        let mut bytes = [0; 18];
        if let Some((head, tail)) = bytes.split_at_mut_checked(2) {
            head.copy_from_slice(&[family, u8::try_from(at).unwrap_or(u8::MAX)]);
            tail.copy_from_slice(&before.to_be_bytes());
        }
        let bit = u128::from(hash(&bytes) & 1);
        turned ^= bit
            .checked_shl(width.saturating_sub(at).saturating_sub(1))
            .unwrap_or(0);
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any function will do that depends on all bytes.
    fn hash(bytes: &[u8]) -> u64 {
        let mixed = bytes.iter().fold(17_u64, |sum, byte| {
            sum.wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .wrapping_add(u64::from(*byte))
        });
        mixed.wrapping_mul(0xff51_afd7_ed55_8ccd) >> 40
    }

    fn of(address: &str) -> IpAddr {
        pseudonym(address.parse().unwrap(), &hash)
    }

    #[test]
    fn addresses_with_a_meaning_are_kept() {
        for address in [
            "127.0.0.1",
            "127.0.0.6",
            "0.0.0.0",
            "169.254.169.254",
            "224.0.0.1",
            "239.1.2.3",
            "255.255.255.255",
            "::",
            "::1",
            "::6",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
        ] {
            assert_eq!(of(address).to_string(), address);
        }
    }

    #[test]
    fn private_addresses_stay_private() {
        for address in [
            "10.244.1.11",
            "172.29.1.10",
            "192.168.7.8",
            "100.64.1.2",
            "fd00:10:244::5",
        ] {
            let other = of(address);
            assert_ne!(other.to_string(), address);
            let IpAddr::V4(v4) = other else {
                assert!(other.to_string().starts_with("fc") || other.to_string().starts_with("fd"));
                continue;
            };
            let shared = v4.octets()[0] == 100 && (64..128).contains(&v4.octets()[1]);
            assert!(v4.is_private() || shared, "{address} {other}");
        }
        assert_eq!(
            of("::ffff:10.1.2.3").to_string(),
            format!("::ffff:{}", of("10.1.2.3"))
        );
    }

    fn common(a: u128, b: u128) -> u32 {
        (a ^ b).leading_zeros()
    }

    proptest! {
        #[test]
        fn prefixes_are_kept(a in any::<u32>(), b in any::<u32>(), bits in 0_u32..32) {
            // Any two, and two that share many bits.
            for b in [b, (a & !(u32::MAX >> bits)) | (b & (u32::MAX >> bits))] {
                let [x, y] = [a, b].map(|n| u32::from(of_v4(Ipv4Addr::from(n), &hash)));
                prop_assert_eq!((a ^ b).leading_zeros(), (x ^ y).leading_zeros());
            }
        }

        #[test]
        fn prefixes_of_ipv6_are_kept(a in any::<u128>(), b in any::<u128>(), bits in 0_u32..128) {
            let b = (a & !(u128::MAX >> bits)) | (b & (u128::MAX >> bits));
            let [x, y] = [a, b].map(|n| turned(n, 128, KEPT_V6, WITHIN_V6, b'6', &hash));
            prop_assert_eq!(common(a, b), common(x, y));
        }
    }
}
