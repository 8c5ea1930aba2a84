//! The URL policy: what is taken has one reading, and an address gets the same answer from the
//! destination policy in each of its forms.

#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libfuzzer_sys::fuzz_target;
use streaming_engine::Target;
use streaming_engine::fuzzing::permits;

fuzz_target!(|url: &[u8]| {
    let Ok(target) = Target::parse(url) else { return };
    check_parts(&target);
    check_second_reading(&target);
    if let Ok(IpAddr::V4(v4)) = target.host().parse() {
        check_forms(v4);
    }
});

fn check_parts(target: &Target) {
    let (authority, path) = (target.authority(), target.path().as_str());
    assert!(!target.host().is_empty() && target.port() > 0);
    let ours = |byte: u8| byte.is_ascii_graphic() && !b"/?#@\\".contains(&byte);
    assert!(authority.bytes().all(ours), "{authority:?}");
    assert!(authority.trim_start_matches('[').starts_with(target.host()), "{authority:?}");
    assert!(path.starts_with('/'), "{path:?}");
    assert!(path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'), "{path:?}");
}

fn check_second_reading(target: &Target) {
    let scheme = if target.is_tls() { "https" } else { "http" };
    let text = format!("{scheme}://{}{}", target.authority(), target.path());
    let again = Target::parse(text.as_bytes()).expect(&text);
    assert_eq!(again.origin(), target.origin());
    assert_eq!(again.authority(), target.authority());
    assert_eq!(again.path(), target.path());
}

fn check_forms(v4: Ipv4Addr) {
    let [a, b, c, d] = v4.octets().map(u16::from);
    let nat64 = Ipv6Addr::new(0x64, 0xFF9B, 0, 0, 0, 0, a << 8 | b, c << 8 | d);
    for v6 in [v4.to_ipv6_mapped(), nat64] {
        assert_eq!(permits(v6.into()), permits(v4.into()), "{v6}");
    }
}
