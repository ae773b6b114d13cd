//! Which IP addresses may be connected to.
//!
//! Who adds a hook says with it where the daemon connects to. An address within the machine or its
//! network would make the daemon a way into what is reachable from here alone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where an address leads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// Out, to anybody.
    Public,
    /// To this machine, or to a network that it is in.
    Local,
    /// Nowhere that anything should be delivered to: to many, to none, or to a service that hands the
    /// credentials of a machine in a cloud to whoever asks.
    Never,
}

/// Networks of IPv4 that are not public: address, length of the prefix.
///
/// Source: IANA IPv4 Special-Purpose Address Registry, and RFC 5771 and 1112 for the last two.
const LOCAL_V4: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The one part of IPv6 that is handed out for the whole world.
///
/// Source: IANA IPv6 Global Unicast Address Assignments.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Networks in it that are not public: protocol assignments with Teredo, documentation, 6to4.
///
/// Source: IANA IPv6 Special-Purpose Address Registry.
const LOCAL_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Where networks that have no IPv4 reach it: the last 32 bits are the address.
///
/// Source: RFC 6052, section 2.1.
const NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// The services that tell a machine in a cloud its credentials: of most, of Alibaba, of Oracle, and
/// of Amazon in IPv6.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Says where an address leads. What only carries an address of IPv4 leads where that leads.
#[must_use]
pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let is_nobody = address.octets()[0] == 0 || address.is_broadcast();
    if is_nobody || address.is_multicast() || METADATA_V4.contains(&address) {
        return Reach::Never;
    }
    let bits = u32::from(address);
    let is_local =
        LOCAL_V4.iter().any(|(net, length)| (bits ^ u32::from(*net)) >> (32 - length) == 0);
    if is_local { Reach::Local } else { Reach::Public }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    if let Some(inner) = carried(address) {
        return reach_v4(inner);
    }
    if address.is_unspecified() || address.is_multicast() || address == METADATA_V6 {
        return Reach::Never;
    }
    let is_local = !is_in(address, GLOBAL_V6) || LOCAL_V6.iter().any(|net| is_in(address, *net));
    if is_local { Reach::Local } else { Reach::Public }
}

/// Returns the address of IPv4 that one of IPv6 stands for: mapped, compatible, or behind NAT64.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let last = Ipv4Addr::from_bits((address.to_bits() & u128::from(u32::MAX)) as u32);
    let is_compatible = address.to_bits() >> 32 == 0 && !address.is_unspecified();
    if is_compatible && !address.is_loopback() || is_in(address, NAT64) {
        return Some(last);
    }
    address.to_ipv4_mapped()
}

fn is_in(address: Ipv6Addr, (net, length): (Ipv6Addr, u32)) -> bool {
    (address.to_bits() ^ net.to_bits()) >> (128 - length) == 0
}

#[cfg(test)]
mod tests {
    use super::{Reach, reach};

    #[test]
    fn every_kind_of_address_is_told_apart() {
        for (address, expected) in [
            ("1.1.1.1", Reach::Public),
            ("9.255.255.255", Reach::Public),
            ("10.0.0.0", Reach::Local),
            ("10.255.255.255", Reach::Local),
            ("11.0.0.0", Reach::Public),
            ("100.63.255.255", Reach::Public),
            ("100.64.0.0", Reach::Local),
            ("100.127.255.255", Reach::Local),
            ("100.128.0.0", Reach::Public),
            ("127.0.0.1", Reach::Local),
            ("127.255.255.254", Reach::Local),
            ("169.254.0.1", Reach::Local),
            ("172.15.255.255", Reach::Public),
            ("172.16.0.1", Reach::Local),
            ("172.31.255.255", Reach::Local),
            ("172.32.0.0", Reach::Public),
            ("192.168.1.1", Reach::Local),
            ("198.18.0.1", Reach::Local),
            ("198.19.255.255", Reach::Local),
            ("198.20.0.0", Reach::Public),
            ("223.255.255.255", Reach::Public),
            ("240.0.0.1", Reach::Local),
            ("0.0.0.0", Reach::Never),
            ("0.0.0.1", Reach::Never),
            ("224.0.0.1", Reach::Never),
            ("239.255.255.255", Reach::Never),
            ("255.255.255.255", Reach::Never),
            ("169.254.169.254", Reach::Never),
            ("100.100.100.200", Reach::Never),
            ("2606:4700::1111", Reach::Public),
            ("2a00:1450:4001::1", Reach::Public),
            ("::1", Reach::Local),
            ("fe80::1", Reach::Local),
            ("febf::1", Reach::Local),
            ("fec0::1", Reach::Local),
            ("fc00::1", Reach::Local),
            ("fd12:3456::1", Reach::Local),
            ("2001:db8::1", Reach::Local),
            ("2001::1", Reach::Local),
            ("2002:7f00:1::", Reach::Local),
            ("3fff::1", Reach::Local),
            ("100::1", Reach::Local),
            ("4000::1", Reach::Local),
            ("64:ff9b:1::1", Reach::Local),
            ("::", Reach::Never),
            ("ff02::1", Reach::Never),
            ("fd00:ec2::254", Reach::Never),
            // What carries an address of IPv4.
            ("::ffff:1.1.1.1", Reach::Public),
            ("::ffff:127.0.0.1", Reach::Local),
            ("::ffff:a00:1", Reach::Local),
            ("::ffff:169.254.169.254", Reach::Never),
            ("::ffff:0.0.0.0", Reach::Never),
            ("::127.0.0.1", Reach::Local),
            ("::a9fe:a9fe", Reach::Never),
            ("64:ff9b::1.1.1.1", Reach::Public),
            ("64:ff9b::7f00:1", Reach::Local),
            ("64:ff9b::169.254.169.254", Reach::Never),
        ] {
            assert_eq!(reach(address.parse().unwrap()), expected, "{address}");
        }
    }
}
