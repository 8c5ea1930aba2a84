//! The URL of an upstream: parsed once, by `http::Uri`, and used everywhere as it was parsed.
//!
//! Path and query bytes pass unchanged, except those that may not stand in a request target (RFC
//! 9112 section 3.2: `<`, `>`, a backtick, bytes over 0x7F), which are percent-encoded. White space
//! and controls are refused, never repaired.

use std::fmt;
use std::net::Ipv6Addr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, Uri};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};

/// What `http::Uri` does not take in a path or query; bytes over 0x7F are always encoded.
const IN_PATH: &AsciiSet = &CONTROLS.add(b'<').add(b'>').add(b'`');
const IN_QUERY: &AsciiSet = &IN_PATH.add(b'"');

/// Why a URL is no upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// A space, a tab, CR, LF or another control.
    #[error("it holds white space or a control character")]
    Control,
    /// Not `http://` or `https://`.
    #[error("it is not an absolute http:// or https:// URL")]
    Scheme,
    /// No host, or one that cannot be parsed. Brackets take an IPv6 address, without a zone.
    #[error("its host is missing or malformed")]
    Host,
    /// An `@` in user name or password: parsers differ on which one ends them.
    #[error("its user name or password holds an @, which is written %40")]
    Credentials,
    /// A port that is no number from 1 to 65535.
    #[error("its port is not a number from 1 to 65535")]
    Port,
    /// Longer than `http::Uri` takes (64 KiB).
    #[error("it is longer than 65534 bytes")]
    Length,
    /// A path or query that cannot be sent.
    #[error("its path or query is malformed")]
    Path,
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub struct Target {
    tls: bool,
    host: String,
    port: u16,
    authority: String,
    path: PathAndQuery,
    /// The URL has neither path nor query.
    bare: bool,
    authorization: Option<HeaderValue>,
}

impl Target {
    /// Parses an absolute URL.
    pub fn parse(url: &[u8]) -> Result<Self, TargetError> {
        if url.iter().any(|byte| *byte <= b' ' || *byte == 0x7F) {
            return Err(TargetError::Control);
        }
        if url.len() >= usize::from(u16::MAX) {
            return Err(TargetError::Length);
        }
        let uri = parse_uri(url)?;
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(TargetError::Scheme),
        };
        let authority = uri.authority().ok_or(TargetError::Host)?;
        let host = authority.host().to_owned();
        if host.is_empty() || is_bad_literal(&host) {
            return Err(TargetError::Host);
        }
        if authority.as_str().matches('@').count() > 1 {
            return Err(TargetError::Credentials);
        }
        let port = port_of(authority)?;
        let without_credentials = match authority.as_str().rsplit_once('@') {
            Some((_, rest)) => rest.to_owned(),
            None => authority.as_str().to_owned(),
        };
        Ok(Target {
            tls,
            host,
            port: port.unwrap_or(if tls { 443 } else { 80 }),
            authority: without_credentials.trim_end_matches(':').to_owned(),
            bare: is_bare(url),
            path: uri.path_and_query().cloned().ok_or(TargetError::Path)?,
            authorization: credentials_of(authority),
        })
    }

    /// Whether the connection is TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The host as a resolver or a certificate knows it: no brackets around an IPv6 literal.
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port, given or implied by the scheme.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as written in the URL, without credentials: the value of `Host`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The origin-form request target: path and query, never a fragment.
    pub fn path(&self) -> &PathAndQuery {
        &self.path
    }

    /// The request target of a request with this method. OPTIONS with neither path nor query asks
    /// about the server as a whole (RFC 9112 section 3.2.4).
    pub fn request_target(&self, method: &Method) -> PathAndQuery {
        if self.bare && *method == Method::OPTIONS {
            return PathAndQuery::from_static("*");
        }
        self.path.clone()
    }

    /// Basic credentials, if the URL carries a user name or password (RFC 7617).
    pub fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// `scheme://host:port`: how messages name this upstream.
    pub fn origin(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Target {
    /// The URL without its credentials and its query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path.path())
    }
}

fn parse_uri(url: &[u8]) -> Result<Uri, TargetError> {
    let rest = strip_scheme(url).ok_or(TargetError::Scheme)?;
    let authority_len = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
    let start = url.len() - rest.len() + authority_len;
    let (origin, path) = url.split_at(start);
    let authority = &origin[url.len() - rest.len()..];
    Authority::try_from(authority)
        .map_err(|_| if has_bad_port(authority) { TargetError::Port } else { TargetError::Host })?;
    let path = path.split(|byte| *byte == b'#').next().unwrap_or_default();
    let mut whole = origin.to_vec();
    if !path.starts_with(b"/") {
        whole.push(b'/');
    }
    let query = path.iter().position(|byte| *byte == b'?').unwrap_or(path.len());
    whole.extend(percent_encode(&path[..query], IN_PATH).flat_map(str::bytes));
    whole.extend(percent_encode(&path[query..], IN_QUERY).flat_map(str::bytes));
    Uri::try_from(whole).map_err(|_| TargetError::Path)
}

fn is_bare(url: &[u8]) -> bool {
    let rest = strip_scheme(url).unwrap_or_default();
    rest.iter().find(|byte| b"/?#".contains(byte)).is_none_or(|byte| *byte == b'#')
}

fn strip_scheme(url: &[u8]) -> Option<&[u8]> {
    [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| {
        let head = url.get(..scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then(|| &url[scheme.len()..])
    })
}

/// The port written in the authority; `http::Uri` keeps any digits there.
fn port_of(authority: &Authority) -> Result<Option<u16>, TargetError> {
    let after_host =
        authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, rest)| rest);
    let Some(port) = after_host.strip_prefix(authority.host()) else {
        return Err(TargetError::Host);
    };
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok(None),
        None => Err(TargetError::Host),
        Some("") => Ok(None),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => match digits.parse() {
            Ok(0) | Err(_) => Err(TargetError::Port),
            Ok(port) => Ok(Some(port)),
        },
        Some(_) => Err(TargetError::Port),
    }
}

/// What stands in brackets and is no IPv6 address.
fn is_bad_literal(host: &str) -> bool {
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    literal.is_some_and(|literal| literal.parse::<Ipv6Addr>().is_err())
}

fn has_bad_port(authority: &[u8]) -> bool {
    let host = authority.rsplit(|byte| *byte == b'@').next().unwrap_or_default();
    let tail = host.rsplit(|byte| *byte == b']').next().unwrap_or_default();
    tail.rsplit(|byte| *byte == b':').next().is_some_and(|port| {
        port.len() < tail.len()
            && (port.len() > 5 || port.iter().any(|byte| !byte.is_ascii_digit()))
    })
}

fn credentials_of(authority: &Authority) -> Option<HeaderValue> {
    let (credentials, _) = authority.as_str().rsplit_once('@')?;
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    if user.is_empty() && password.is_empty() {
        return None;
    }
    let mut pair: Vec<u8> = percent_decode_str(user).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(password));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Target, TargetError> {
        Target::parse(url.as_bytes())
    }

    #[test]
    fn takes_the_usual_forms() {
        let target = parse("http://example.org").expect("no path");
        assert_eq!(
            (target.host(), target.port(), target.path().as_str()),
            ("example.org", 80, "/")
        );
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
}
