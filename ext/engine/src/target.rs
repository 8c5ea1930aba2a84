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
    /// The loopback port of who stands in for this upstream.
    stand_in: Option<u16>,
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
        if !is_host(&host) {
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
            stand_in: None,
        })
    }

    /// The same, but connected to without TLS at a port of 127.0.0.1: in tests of applications.
    /// What is sent and what messages say does not change.
    #[must_use]
    pub fn at(&self, port: u16) -> Self {
        Target { stand_in: Some(port), ..self.clone() }
    }

    /// Whether the connection is TLS.
    pub fn is_tls(&self) -> bool {
        self.tls && self.stand_in.is_none()
    }

    /// The host as a resolver or a certificate knows it: no brackets around an IPv6 literal.
    pub fn host(&self) -> &str {
        match self.stand_in {
            Some(_) => "127.0.0.1",
            None => self.host.trim_start_matches('[').trim_end_matches(']'),
        }
    }

    /// The port to connect to, given or implied by the scheme.
    pub fn port(&self) -> u16 {
        self.stand_in.unwrap_or(self.port)
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
        format!("{}://{}:{}", self.scheme(), self.host, self.port)
    }

    /// The URL in the one spelling of all that mean the same: without credentials and the scheme's
    /// own port, the host in lower case.
    pub fn url(&self) -> String {
        let own_port = if self.tls { 443 } else { 80 };
        let port = if self.port == own_port { String::new() } else { format!(":{}", self.port) };
        format!("{}://{}{port}{}", self.scheme(), self.host.to_ascii_lowercase(), self.path)
    }

    fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

impl fmt::Display for Target {
    /// The URL without its credentials and its query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.authority, self.path.path())
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

/// Whether it is an IPv6 literal in brackets, or has neither; `http::Uri` lets more stand there.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(literal) => literal.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains(['[', ']']),
    }
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
#[path = "target_tests.rs"]
mod tests;
