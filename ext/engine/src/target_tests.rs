//! Tables of URLs, and where they lead.

use super::*;

fn parse(url: &str) -> Result<Target, TargetError> {
    Target::parse(url.as_bytes())
}

#[test]
fn takes_the_usual_forms() {
    let target = parse("http://example.org").expect("no path");
    assert_eq!((target.host(), target.port(), target.path().as_str()), ("example.org", 80, "/"));
    let target = parse("HTTPS://example.org:8443/a%2Fb//c;x?q=%zz&a[]=1").expect("https");
    assert!(target.is_tls());
    assert_eq!(target.path().as_str(), "/a%2Fb//c;x?q=%zz&a[]=1");
    assert_eq!(target.authority(), "example.org:8443");
    let target = parse("http://[::1]:81?q").expect("IPv6");
    assert_eq!((target.host(), target.authority(), target.port()), ("::1", "[::1]:81", 81));
    assert_eq!(target.path().as_str(), "/?q");
}

#[test]
fn rq12_encodes_what_may_not_stand_in_a_target_and_drops_the_fragment() {
    let target = parse("http://h/<a>`é\"{}|^?<é>#frag<").expect("encoded");
    assert_eq!(target.path().as_str(), "/%3Ca%3E%60%C3%A9\"{}|^?%3C%C3%A9%3E");
    assert_eq!(Target::parse(b"http://h/\xFF").expect("raw").path().as_str(), "/%FF");
}

#[test]
fn takes_every_byte_but_controls_in_path_and_query() {
    for byte in (b'!'..=0xFF).filter(|byte| *byte != 0x7F) {
        for place in ["http://h/a", "http://h/?a"] {
            let target = Target::parse(&[place.as_bytes(), &[byte]].concat());
            assert!(target.is_ok(), "{byte:#x} in {place}");
        }
    }
}

#[test]
fn rq14_options_without_path_and_query_asks_about_the_whole_server() {
    let sent = |url, method: Method| {
        parse(url).expect("target").request_target(&method).as_str().to_owned()
    };
    for url in ["http://h", "http://u@h:1", "http://h#f"] {
        assert_eq!(sent(url, Method::OPTIONS), "*", "{url}");
        assert_eq!(sent(url, Method::GET), "/", "{url}");
    }
    for (url, path) in [("http://h/", "/"), ("http://h?q", "/?q"), ("http://h?", "/?")] {
        assert_eq!(sent(url, Method::OPTIONS), path, "{url}");
    }
}

#[test]
fn turns_credentials_into_basic_authorization_and_names_them_nowhere() {
    let target = parse("http://us%40er:p%3Ass@h:1/x?secret=1").expect("credentials");
    let value = target.authorization().expect("authorization");
    assert_eq!(value.as_bytes(), b"Basic dXNAZXI6cDpzcw==");
    assert_eq!(target.authority(), "h:1");
    assert_eq!(target.to_string(), "http://h:1/x");
    assert_eq!(target.origin(), "http://h:1");
    assert!(parse("http://@h/").expect("no user").authorization().is_none());
}

#[test]
fn ss1_goes_to_the_host_that_it_names_and_to_no_other() {
    let cases = [
        ("http://good.test#@evil.test/", "good.test", 80, "/"),
        ("http://good.test?@evil.test/", "good.test", 80, "/?@evil.test/"),
        ("http://good.test/@evil.test", "good.test", 80, "/@evil.test"),
        ("http://good.test/\\evil.test", "good.test", 80, "/\\evil.test"),
        ("http://good.test//evil.test/..", "good.test", 80, "//evil.test/.."),
        ("http://evil.test@good.test/", "good.test", 80, "/"),
        ("http://evil.test:81@good.test:82/", "good.test", 82, "/"),
        ("http://evil.test%40@good.test/", "good.test", 80, "/"),
        ("http://[::ffff:7f00:1]/", "::ffff:7f00:1", 80, "/"),
        ("http://127.1/", "127.1", 80, "/"),
    ];
    for (url, host, port, path) in cases {
        let target = parse(url).expect(url);
        let found = (target.host(), target.port(), target.path().as_str());
        assert_eq!(found, (host, port, path), "{url}");
    }
}

#[test]
fn ss1_refuses_what_parsers_read_differently() {
    let cases = [
        ("http://a@evil.test@good.test/", TargetError::Credentials),
        ("http://good.test\\@evil.test/", TargetError::Host),
        ("http://good.test\\.evil.test/", TargetError::Host),
        ("http:\\\\good.test/", TargetError::Scheme),
        ("http:/good.test/", TargetError::Scheme),
        ("http:good.test/", TargetError::Scheme),
        ("http:///good.test/", TargetError::Host),
        ("http://good.test\t@evil.test/", TargetError::Control),
        ("http://good.test\n.evil.test/", TargetError::Control),
        ("http://good.test\0.evil.test/", TargetError::Control),
        ("http://good.test:80:81/", TargetError::Host),
        ("http://good.test:80evil.test/", TargetError::Port),
        ("http://good%2etest/", TargetError::Host),
        ("http://good.test%00/", TargetError::Host),
        ("http://g\u{24DE}od.test/", TargetError::Host),
        ("http://127\u{3002}0\u{3002}0\u{3002}1/", TargetError::Host),
        ("http://\u{FF11}27.0.0.1/", TargetError::Host),
        ("http://::1/", TargetError::Host),
        ("http://[::1]evil.test/", TargetError::Host),
        ("http://[::1][::2]/", TargetError::Host),
        ("http://[[::1]]/", TargetError::Host),
        ("http://[127.0.0.1]/", TargetError::Host),
        ("http://[::ffff:127.1]/", TargetError::Host),
        ("http://[v1.x]/", TargetError::Host),
        ("http://[::1%1]/", TargetError::Host),
        ("http://[fe80::1%25eth0]/", TargetError::Host),
    ];
    for (url, error) in cases {
        assert_eq!(parse(url).map(|_| ()), Err(error), "{url}");
    }
}

#[test]
fn refuses_what_is_no_upstream() {
    let cases = [
        ("/relative", TargetError::Scheme),
        ("", TargetError::Scheme),
        ("ftp://u:p@h", TargetError::Scheme),
        ("//h/x", TargetError::Scheme),
        ("http://", TargetError::Host),
        ("http:///x", TargetError::Host),
        ("http://[@]/", TargetError::Host),
        ("http://[h]/", TargetError::Host),
        ("http://:80/", TargetError::Host),
        ("http://u@/", TargetError::Host),
        ("http://[]/", TargetError::Host),
        ("http://h\\@x/", TargetError::Host),
        ("http://h/a b", TargetError::Control),
        ("http://h/\r\nX: y", TargetError::Control),
        ("http://h:99999/", TargetError::Port),
        ("http://h:0/", TargetError::Port),
        ("http://h:8o/", TargetError::Port),
    ];
    for (url, error) in cases {
        assert_eq!(parse(url).map(|_| ()), Err(error), "{url}");
    }
    let long = format!("http://h/{}", "a".repeat(100 * 1024));
    assert_eq!(parse(&long).map(|_| ()), Err(TargetError::Length));
}

#[test]
fn spells_urls_that_mean_the_same_alike() {
    for url in ["http://H.test", "HTTP://u:p@h.TEST:80/#f", "http://h.test:/"] {
        assert_eq!(parse(url).expect("target").url(), "http://h.test/", "{url}");
    }
    for url in ["https://h:80/A?b", "http://h:443/A?b", "https://[::1]/?"] {
        assert_eq!(parse(url).expect("target").url(), url);
    }
}

#[test]
fn a_stand_in_changes_where_is_connected_to_and_nothing_else() {
    let target = parse("https://u@Front.test/a?b").expect("target");
    let there = target.at(81);
    assert_eq!((there.host(), there.port(), there.is_tls()), ("127.0.0.1", 81, false));
    let said = |target: &Target| {
        (target.to_string(), target.origin(), target.url(), target.authority().to_owned())
    };
    assert_eq!(said(&there), said(&target));
    assert_eq!(there.authorization(), target.authorization());
}
