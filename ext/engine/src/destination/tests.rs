//! Tables of addresses, and what the rules make of them.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn permits(rule: &Rule, host: &str, address: &str) -> bool {
    rule.permits(host, &Reading::new(address.parse().expect(address)))
}

fn network(text: &str) -> Rule {
    let rule = Rule::parse(text).expect(text);
    assert!(matches!(rule, Rule::Network(_)), "{text}");
    rule
}

/// The address in every form in which an IPv6 address carries it.
fn forms(v4: Ipv4Addr) -> Vec<Ipv6Addr> {
    let [a, b, c, d] = v4.octets();
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    vec![
        Ipv6Addr::new(0, 0, 0, 0, 0, 0xFFFF, high, low),
        Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0, 0, 0, 0, 0xFFFF, 0, high, low),
        Ipv6Addr::new(0x64, 0xFF9B, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
        Ipv6Addr::new(0x2001, 0, high, low, 0, 0, 0xF7F7, 0xF7F7),
        Ipv6Addr::new(0x2001, 0, 0x808, 0x808, 0, 0, !high, !low),
    ]
}

#[test]
fn ss3_the_default_refuses_link_local_multicast_and_unspecified_in_any_notation() {
    let refused = [
        "169.254.169.254",
        "224.0.0.1",
        "239.255.255.255",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "fe80::1",
        "febf::1",
        "ff02::1",
        "64:ff9b:1::169.254.169.254",
        "64:ff9b:1:a9fe:a9:fe00::",
    ];
    for address in refused {
        assert!(!permits(&Rule::Default, "h", address), "{address}");
    }
    for address in ["127.0.0.1", "::1", "10.0.0.1", "8.8.8.8", "255.255.255.255", "2606:4700::1"] {
        assert!(permits(&Rule::Default, "h", address), "{address}");
    }
    for address in forms(Ipv4Addr::new(169, 254, 169, 254)) {
        assert!(!permits(&Rule::Default, "h", &address.to_string()), "{address}");
        assert!(permits(&Rule::Any, "h", &address.to_string()), "{address}");
    }
}

#[test]
fn ss3_public_refuses_the_first_and_last_address_of_each_special_network() {
    let blocked = [
        ("0.0.0.0", "0.255.255.255"),
        ("10.0.0.0", "10.255.255.255"),
        ("100.64.0.0", "100.127.255.255"),
        ("127.0.0.0", "127.255.255.255"),
        ("169.254.0.0", "169.254.255.255"),
        ("172.16.0.0", "172.31.255.255"),
        ("192.0.0.0", "192.0.0.255"),
        ("192.0.2.0", "192.0.2.255"),
        ("192.88.99.0", "192.88.99.255"),
        ("192.168.0.0", "192.168.255.255"),
        ("198.18.0.0", "198.19.255.255"),
        ("198.51.100.0", "198.51.100.255"),
        ("203.0.113.0", "203.0.113.255"),
        ("224.0.0.0", "239.255.255.255"),
        ("240.0.0.0", "255.255.255.255"),
        ("::", "::1"),
        ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
        ("100::", "100::ffff:ffff:ffff:ffff"),
        ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff"),
        ("2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ];
    for (first, last) in blocked {
        assert!(!permits(&Rule::Public, "h", first), "{first}");
        assert!(!permits(&Rule::Public, "h", last), "{last}");
        if let Ok(v4) = first.parse() {
            for address in forms(v4) {
                assert!(!permits(&Rule::Public, "h", &address.to_string()), "{address}");
            }
        }
    }
}

#[test]
fn ss3_public_permits_the_rest() {
    let permitted = [
        "1.0.0.0",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "2001:4860:4860::8888",
        "2001:db9::1",
    ];
    for address in permitted {
        assert!(permits(&Rule::Public, "h", address), "{address}");
    }
    for address in forms(Ipv4Addr::new(8, 8, 8, 8)) {
        assert!(permits(&Rule::Public, "h", &address.to_string()), "{address}");
    }
}

#[test]
fn ss2_a_network_permits_its_addresses_and_what_carries_them() {
    let ten = network("10.1.2.3/8");
    assert_eq!(ten, network("::ffff:10.0.0.0/104"), "host bits and mapping do not count");
    for address in forms(Ipv4Addr::new(10, 9, 9, 9)).into_iter().take(5) {
        assert!(permits(&ten, "h", &address.to_string()), "{address}");
    }
    assert!(!permits(&ten, "h", "11.0.0.0"));
    assert!(!permits(&ten, "h", "::"));
    assert!(permits(&network("169.254.1.2"), "h", "::ffff:169.254.1.2"));
    assert!(!permits(&network("169.254.1.2"), "h", "169.254.1.3"));
    assert!(permits(&network("fd00::/8"), "h", "fd12::1"));
    assert!(!permits(&network("fd00::/8"), "h", "fc00::1"));
}

#[test]
fn ss2_a_wide_network_does_not_reach_through_a_translation() {
    for address in forms(Ipv4Addr::new(169, 254, 169, 254)) {
        for wide in ["::/0", "2000::/3", "::/64"] {
            assert!(!permits(&network(wide), "h", &address.to_string()), "{address} in {wide}");
        }
    }
    assert!(permits(&network("64:ff9b::/96"), "h", "64:ff9b::10.0.0.1"), "the translation itself");
    assert!(permits(&network("2002:a00::/24"), "h", "2002:a00:1::1"));
    assert!(permits(&network("::1"), "h", "::1"));
    assert!(permits(&network("64:ff9b:1::/48"), "h", "64:ff9b:1::1"));
}

#[test]
fn ss2_a_host_permits_the_default_for_its_name_alone() {
    let rule = Rule::parse("Files.Internal.").expect("a host");
    assert!(permits(&rule, "files.internal", "10.0.0.1"));
    assert!(permits(&rule, "FILES.INTERNAL.", "10.0.0.1"));
    assert!(!permits(&rule, "files.internal", "169.254.169.254"), "rebinding");
    for host in ["internal", "x.files.internal", "files.internal.x", "files_internal", "10.0.0.1"] {
        assert!(!permits(&rule, host, "10.0.0.1"), "{host}");
    }
}

#[test]
fn ss4_what_resolvers_read_as_an_address_is_no_host_name() {
    let malformed = [
        "",
        ".",
        "..",
        "a..b",
        ".a",
        "a b",
        "a/8",
        "10.0.0.0/33",
        "fd00::/129",
        "10.0.0.256",
        "127.1",
        "0177.0.0.1",
        "010.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7F.1",
        "127.0.0.1.",
        "a.1",
        "a.0x",
        "[::1]",
        "fe80::1%eth0",
        "10.0.0.0/255.0.0.0",
        "10.0.0.1:80",
        "host:80",
        "http://h/",
        "*.h",
        "１２７.0.0.1",
        "h。internal",
        "10.0.0.0/8\n",
        " 10.0.0.1",
    ];
    for text in malformed {
        assert_eq!(Rule::parse(text), None, "{text:?}");
    }
    for text in ["localhost", "localhost.", "a-b.c_d", "xn--nxasmq6b", "1.example", "0xy", "beef"] {
        assert!(matches!(Rule::parse(text), Some(Rule::Host(_))), "{text:?}");
    }
}

#[test]
fn says_what_it_is() {
    let rules =
        ["10.0.0.5/8", "::1", "A.b", "a", "b", "c"].map(|text| Rule::parse(text).expect(text));
    let shown = Destinations::Rules([vec![Rule::Default], rules.to_vec()].concat()).to_string();
    assert_eq!(shown, ":default, 10.0.0.0/8, ::1/128, a.b, a, ...");
    assert_eq!(Destinations::Asked.to_string(), "a callable");
}

proptest! {
    #[test]
    fn ss3_an_address_is_judged_alike_in_every_form(v4: u32) {
        let v4 = Ipv4Addr::from(v4);
        for rule in [Rule::Default, Rule::Public] {
            let plain = permits(&rule, "h", &v4.to_string());
            for form in forms(v4).into_iter().filter(|form| u128::from(*form) > 1) {
                prop_assert_eq!(permits(&rule, "h", &form.to_string()), plain, "{}", form);
            }
        }
    }

    #[test]
    fn ss3_what_public_permits_the_default_permits(v6: u128, v4: u32) {
        for address in [IpAddr::from(Ipv6Addr::from(v6)), IpAddr::from(Ipv4Addr::from(v4))] {
            let reading = Reading::new(address);
            prop_assert!(!reading.is_public() || reading.is_default(), "{}", address);
        }
    }
}
