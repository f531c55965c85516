//! Tells whether an address is on the public internet, and whether a text is an address.
//!
//! The URL of a webhook is chosen by an administrator of a workspace and called by the host. The
//! host can reach addresses that this administrator cannot: its own loopback, the network of the
//! operator, the metadata service of a cloud. So every address that is not certainly public is
//! refused. The special-purpose registries of RFC 6890 and its successors tell which ones these
//! are. IPv6 addresses that contain an IPv4 address are judged by the IPv4 address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The IPv4 networks that are not public: address, bits of the prefix.
const V4: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),        // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // carrier-grade NAT; a cloud's metadata service is in it
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // loopback
    (Ipv4Addr::new(168, 63, 129, 16), 32), // a cloud's host agent
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local; most clouds' metadata services
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // benchmarking
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // reserved, broadcast
];

/// The IPv6 networks within 2000::/3 that are not public. Outside of 2000::/3 no address is public.
const V6: [(Ipv6Addr, u32); 3] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments: Teredo, benchmarking, ORCHID
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Whether an address is on the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let within = |(network, bits): &(Ipv4Addr, u32)| {
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        address.to_bits() & mask == network.to_bits()
    };
    !V4.iter().any(within)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    let v4 = |shift: u32| Ipv4Addr::from_bits((bits >> shift) as u32);
    let [a, b, c, d, e, f, _, _] = address.segments();
    match (a, b, c, d, e, f) {
        // Mapped, and through a translator of the well-known prefix.
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => is_public_v4(v4(0)),
        // 6to4 carries it behind its prefix.
        (0x2002, ..) => is_public_v4(v4(80)),
        // ISATAP carries it at the end, in any network.
        (_, _, _, _, 0 | 0x200, 0x5efe) => is_global_unicast(address) && is_public_v4(v4(0)),
        _ => is_global_unicast(address),
    }
}

fn is_global_unicast(address: Ipv6Addr) -> bool {
    let within = |network: Ipv6Addr, bits: u32| {
        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        address.to_bits() & mask == network.to_bits()
    };
    within(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3)
        && !V6.iter().any(|(network, bits)| within(*network, *bits))
}

/// The address that the host of a URL is, without a look-up: IPv6 in brackets; IPv4 in all forms
/// that resolvers and browsers accept (WHATWG URL, 3.5: fewer than four numbers, octal,
/// hexadecimal, a dot at the end). `None` for a name.
pub fn literal(host: &str) -> Option<IpAddr> {
    if let Some(inner) = host.strip_prefix('[') {
        return inner.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let numbers: Vec<u64> = host.split('.').map(number).collect::<Option<_>>()?;
    let (last, before) = numbers.split_last()?;
    let room = 4usize.checked_sub(before.len())?;
    if room == 0 || *last >= 1 << (8 * room) || before.iter().any(|number| *number > 255) {
        return None;
    }
    let high = before.iter().fold(0, |bits, number| bits << 8 | number) << (8 * room);
    u32::try_from(high | last).ok().map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)))
}

/// A number in an IPv4 address: decimal, octal after `0`, hexadecimal after `0x`.
fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (text.get(2..)?, 16),
        [b'0', _, ..] => (text.get(1..)?, 8),
        _ => (text, 10),
    };
    // "0x" alone is zero, and no sign is allowed, which Rust would take.
    match digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true if digits.is_empty() && radix == 16 => Some(0),
        true => u64::from_str_radix(digits, radix).ok(),
        false => None,
    }
}

/// Whether a name always means the local machine (RFC 6761, 6.3).
pub fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn public_and_not() {
        for (address, public) in [
            ("1.1.1.1", true),
            ("8.8.8.8", true),
            ("93.184.216.34", true),
            ("11.0.0.1", true),
            ("100.63.255.255", true),
            ("100.128.0.0", true),
            ("126.255.255.255", true),
            ("128.0.0.1", true),
            ("168.63.129.15", true),
            ("169.253.255.255", true),
            ("172.15.255.255", true),
            ("172.32.0.0", true),
            ("192.0.1.0", true),
            ("192.167.255.255", true),
            ("198.17.255.255", true),
            ("198.20.0.0", true),
            ("223.255.255.255", true),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("10.0.0.1", false),
            ("10.255.255.255", false),
            ("100.64.0.1", false),
            ("100.100.100.200", false),
            ("127.0.0.1", false),
            ("127.255.255.254", false),
            ("168.63.129.16", false),
            ("169.254.0.1", false),
            ("169.254.169.254", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.0.0.192", false),
            ("192.0.2.1", false),
            ("192.88.99.1", false),
            ("192.168.1.1", false),
            ("198.18.0.1", false),
            ("198.19.255.255", false),
            ("198.51.100.7", false),
            ("203.0.113.9", false),
            ("224.0.0.1", false),
            ("239.255.255.255", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("2606:4700:4700::1111", true),
            ("2a00:1450:4001:81b::200e", true),
            ("2001:200::1", true),
            ("2001:db7::1", true),
            ("::", false),
            ("::1", false),
            ("::127.0.0.1", false),
            ("::8.8.8.8", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:10.0.0.1", false),
            ("::ffff:169.254.169.254", false),
            ("::ffff:8.8.8.8", true),
            ("::ffff:0:127.0.0.1", false),
            ("64:ff9b::10.0.0.1", false),
            ("64:ff9b::169.254.169.254", false),
            ("64:ff9b::8.8.8.8", true),
            ("64:ff9b:1::8.8.8.8", false),
            ("100::1", false),
            ("2001::1", false),
            ("2001:0:53aa:64c:0:7fff:f5ff:fffe", false),
            ("2001:2::1", false),
            ("2001:10::1", false),
            ("2001:db8::1", false),
            ("2002:7f00:1::", false),
            ("2002:a9fe:a9fe::1", false),
            ("2002:c0a8:101::1", false),
            ("2002:808:808::1", true),
            ("2a00:1450::5efe:10.0.0.1", false),
            ("2a00:1450::200:5efe:8.8.8.8", true),
            ("3fff::1", false),
            ("4000::1", false),
            ("fc00::1", false),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }

    #[test]
    fn hosts_that_are_addresses() {
        for (host, expected) in [
            ("127.0.0.1", Some("127.0.0.1")),
            ("127.0.0.1.", Some("127.0.0.1")),
            ("127.1", Some("127.0.0.1")),
            ("127.0.1", Some("127.0.0.1")),
            ("2130706433", Some("127.0.0.1")),
            ("0x7f000001", Some("127.0.0.1")),
            ("0X7F.1", Some("127.0.0.1")),
            ("0177.0.0.01", Some("127.0.0.1")),
            ("0", Some("0.0.0.0")),
            ("0x", Some("0.0.0.0")),
            ("4294967295", Some("255.255.255.255")),
            ("4294967296", None),
            ("256.1.1.1", None),
            ("1.2.3.256", None),
            ("1.2.3.4.5", None),
            ("1..2", None),
            ("", None),
            (".", None),
            ("08.1.1.1", None),
            ("+1.2.3.4", None),
            ("0x+1", None),
            ("[::1]", Some("::1")),
            ("[::ffff:127.0.0.1]", Some("::ffff:127.0.0.1")),
            ("[fe80::1%25eth0]", None),
            ("[127.0.0.1]", None),
            ("[::1", None),
            ("::1", None),
            ("example.com", None),
            ("1.example", None),
            ("dead.beef", None),
            ("localhost", None),
        ] {
            assert_eq!(literal(host), expected.map(|address| address.parse().unwrap()), "{host}");
        }
        for (host, local) in [
            ("localhost", true),
            ("LocalHost.", true),
            ("a.b.localhost", true),
            ("localhost.example.com", false),
            ("notlocalhost", false),
        ] {
            assert_eq!(is_localhost(host), local, "{host}");
        }
    }

    proptest! {
        #[test]
        fn hidden_addresses_are_judged_alike(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let public = is_public(address.into());
            for prefix in ["::ffff:", "64:ff9b::"] {
                prop_assert_eq!(is_public(format!("{prefix}{address}").parse().unwrap()), public);
            }
            let six_to_four = Ipv6Addr::from_bits(0x2002 << 112 | u128::from(bits) << 80 | 1);
            prop_assert_eq!(is_public(six_to_four.into()), public);
            prop_assert_eq!(literal(&address.to_string()), Some(address.into()));
            prop_assert_eq!(literal(&bits.to_string()), Some(address.into()));
            prop_assert_eq!(literal(&format!("0x{bits:x}")), Some(address.into()));
        }

        #[test]
        fn never_panics(host in ".{0,30}", numbers in "[0-9a-fx.]{0,24}") {
            let _ = (literal(&host), literal(&numbers));
        }
    }
}
