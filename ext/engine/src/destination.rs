//! Which addresses may be connected to.
//!
//! Asked of each resolved address at connect time, and again of a pooled connection's peer, so
//! that no name, literal or notation goes around it.

use std::net::{IpAddr, Ipv6Addr};

/// The destination policy of an exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destinations {
    rules: Vec<String>,
}

/// Whether the default policy permits the address: all but link-local (where clouds keep their
/// metadata services), multicast and unspecified ones.
pub(crate) fn permits(address: IpAddr) -> bool {
    match unmapped(address) {
        IpAddr::V4(v4) => !(v4.is_link_local() || v4.is_multicast() || v4.octets()[0] == 0),
        IpAddr::V6(v6) => !(v6.is_unicast_link_local() || v6.is_multicast() || v6.is_unspecified()),
    }
}

/// The IPv4 address that an IPv6 one stands for (mapped, or the NAT64 well-known prefix).
fn unmapped(address: IpAddr) -> IpAddr {
    const NAT64: [u16; 6] = [0x64, 0xFF9B, 0, 0, 0, 0];
    let IpAddr::V6(v6) = address else { return address };
    let embedded =
        if v6.segments()[..6] == NAT64 { Some(low_bits(v6)) } else { v6.to_ipv4_mapped() };
    embedded.map_or(address, IpAddr::V4)
}

fn low_bits(v6: Ipv6Addr) -> std::net::Ipv4Addr {
    let [.., a, b, c, d] = v6.octets();
    std::net::Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ss3_refuses_link_local_multicast_and_unspecified_in_any_notation() {
        let refused = [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "fe80::1",
            "224.0.0.1",
            "ff02::1",
            "0.0.0.0",
            "::",
            "::ffff:0.0.0.0",
        ];
        for address in refused {
            assert!(!permits(address.parse().expect(address)), "{address}");
        }
        for address in ["127.0.0.1", "::1", "10.0.0.1", "8.8.8.8", "2606:4700::1"] {
            assert!(permits(address.parse().expect(address)), "{address}");
        }
    }
}
