//! Which addresses may be connected to.
//!
//! Asked of each resolved address at connect time, and again of a pooled connection's peer, so
//! that no name, literal or notation goes around it ([`Permission`]). An address is judged by what
//! it reaches: an IPv6 address that carries an IPv4 one by both ([`address`]).

mod address;
mod permission;

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use address::Reading;

pub(crate) use permission::{Permission, Question};

/// The destination policy of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destinations {
    /// What any of these rules permits.
    Rules(Vec<Rule>),
    /// What the exchange's reader permits when it is asked.
    Asked,
}

impl Default for Destinations {
    fn default() -> Self {
        Destinations::Rules(vec![Rule::Default])
    }
}

impl fmt::Display for Destinations {
    /// As the configuration has it; of a long list its beginning.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        let Destinations::Rules(rules) = self else { return f.write_str("a callable") };
        let shown: Vec<_> = rules.iter().take(SHOWN).map(ToString::to_string).collect();
        f.write_str(&shown.join(", "))?;
        if rules.len() > SHOWN { f.write_str(", ...") } else { Ok(()) }
    }
}

/// One rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// All but link-local, multicast and unspecified addresses.
    Default,
    /// Every address.
    Any,
    /// Addresses of the public Internet.
    Public,
    /// The addresses of a network.
    Network(IpNet),
    /// The default's addresses, for URLs with this host.
    Host(String),
}

impl Rule {
    /// From an address, a network or a host name as somebody wrote it. Bits of a network behind its
    /// prefix do not count.
    pub fn parse(text: &str) -> Option<Self> {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        if let Ok(network) = network {
            return Some(Rule::Network(address::canonical(network)));
        }
        let host = plain(text);
        is_host_name(&host).then_some(Rule::Host(host))
    }

    /// Whether it permits connecting to the address for a URL with this host.
    fn permits(&self, host: &str, reading: &Reading) -> bool {
        match self {
            Rule::Default => reading.is_default(),
            Rule::Any => true,
            Rule::Public => reading.is_public(),
            Rule::Network(network) => reading.is_within(network),
            // The name alone would let whoever answers for it choose the address.
            Rule::Host(name) => *name == plain(host) && reading.is_default(),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Default => f.write_str(":default"),
            Rule::Any => f.write_str(":any"),
            Rule::Public => f.write_str(":public"),
            Rule::Network(network) => network.fmt(f),
            Rule::Host(name) => f.write_str(name),
        }
    }
}

/// A host name as two are compared: in lower case, without the root's dot.
fn plain(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Whether it can be nothing but a name: resolvers take one that ends in a number for an address.
fn is_host_name(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    let digits = last.strip_prefix("0x").unwrap_or(last);
    let is_number = if digits.len() < last.len() {
        digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    } else {
        digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    host.split('.').all(is_label) && !is_number
}

/// Whether the default policy permits the address.
#[cfg(feature = "fuzzing")]
pub(crate) fn permits_by_default(address: IpAddr) -> bool {
    Reading::new(address).is_default()
}

#[cfg(test)]
mod tests;
