//! The destination policy, from outside: an address is refused however the URL writes it.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use proptest::prelude::*;
use streaming_engine::{BodyKind, Client, Kind, Policy, Timeouts};

use crate::peers::{Reader, client};

/// Addresses that the default policy refuses.
fn refused() -> impl Strategy<Value = Ipv4Addr> {
    let last = any::<[u8; 3]>();
    prop_oneof![
        last.prop_map(|[_, c, d]| Ipv4Addr::new(169, 254, c, d)),
        last.prop_map(|[b, c, d]| Ipv4Addr::new(0, b, c, d)),
        (224..=239_u8, last).prop_map(|(a, [b, c, d])| Ipv4Addr::new(a, b, c, d)),
    ]
}

/// The hosts of a URL that mean this address.
fn spellings(v4: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = v4.octets();
    let [high, low] = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
    let number = u32::from(v4);
    let within = [
        v4.to_ipv6_mapped(),
        // NAT64 (RFC 6052).
        Ipv6Addr::new(0x64, 0xFF9B, 0, 0, 0, 0, high, low),
    ];
    let mut all = vec![
        v4.to_string(),
        format!("{number}"),
        format!("{number:#x}"),
        format!("{a:#o}.{b}.{c:#X}.{d}").replace("0o", "0").replace("0X", "0x"),
        format!("{a}.{b}.{low}"),
        format!("[::ffff:{v4}]"),
    ];
    all.extend(within.iter().flat_map(|v6| {
        let long = v6.segments().map(|segment| format!("{segment:04X}")).join(":");
        [format!("[{v6}]"), format!("[{long}]")]
    }));
    all
}

fn kind_of(client: &Client, host: &str) -> Kind {
    let url = format!("http://{host}/");
    let timeouts = Timeouts { connect: Some(Duration::from_secs(1)), ..Timeouts::default() };
    let policy = Policy { timeouts, ..Policy::default() };
    let mut reader = Reader::open(client, &url, BodyKind::None, policy);
    reader.head().expect_err("nothing answers there").kind
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(24)
    })]

    #[test]
    fn ss3_ss4_a_refused_address_is_refused_in_every_spelling(v4 in refused()) {
        let client = client();
        for host in spellings(v4) {
            prop_assert_eq!(kind_of(&client, &host), Kind::Destination, "{}", host);
        }
    }
}
