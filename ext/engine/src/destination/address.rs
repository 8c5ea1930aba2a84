//! What an address is, however it is written: the IPv4 addresses inside IPv6 ones, and the networks
//! that a policy knows by a name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::{IpNet, Ipv6Net};

/// Link-local (where clouds keep their metadata services), multicast, unspecified; and the NAT64
/// prefix in which each site chooses where the IPv4 address stands (RFC 8215): nobody else can
/// tell where it leads.
static NOT_DEFAULT: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    networks("0.0.0.0/8 169.254.0.0/16 224.0.0.0/4 ::/128 64:ff9b:1::/48 fe80::/10 ff00::/8")
});

/// What is not on the public Internet (the registries of RFC 6890).
static NOT_PUBLIC: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    networks(
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 \
         192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 \
         224.0.0.0/4 240.0.0.0/4 \
         ::/128 ::1/128 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001:2::/48 2001:10::/28 \
         2001:db8::/32 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8",
    )
});

const COMPATIBLE: Ipv6Net = prefix([0, 0, 0, 0, 0, 0], 96);
const TRANSLATED: Ipv6Net = prefix([0, 0, 0, 0, 0xFFFF, 0], 96);
const NAT64: Ipv6Net = prefix([0x64, 0xFF9B, 0, 0, 0, 0], 96);
const SIX_TO_FOUR: Ipv6Net = prefix([0x2002, 0, 0, 0, 0, 0], 16);
const TEREDO: Ipv6Net = prefix([0x2001, 0, 0, 0, 0, 0], 32);

const fn prefix([a, b, c, d, e, f]: [u16; 6], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, 0, 0), length)
}

fn networks(list: &str) -> Vec<IpNet> {
    list.split_ascii_whitespace().map(|net| net.parse().expect("a network of ours")).collect()
}

/// An address, and what stands inside it.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// The address itself; the IPv4 one if it is mapped (RFC 4291 section 2.5.5.2), for that is
    /// where the system connects to.
    pub(super) own: IpAddr,
    /// The prefix that says that it carries IPv4 addresses, and these.
    carried: Option<(Ipv6Net, Vec<Ipv4Addr>)>,
}

impl Reading {
    pub(super) fn new(address: IpAddr) -> Self {
        let own = address.to_canonical();
        let carried = match own {
            IpAddr::V6(v6) => carried(v6),
            IpAddr::V4(_) => None,
        };
        Reading { own, carried }
    }

    /// Every address that a connection to it may reach.
    pub(super) fn all(&self) -> impl Iterator<Item = IpAddr> {
        let inner = self.carried.iter().flat_map(|(_, inner)| inner);
        std::iter::once(self.own).chain(inner.copied().map(IpAddr::V4))
    }

    /// Whether none of them is link-local, multicast or unspecified.
    pub(super) fn is_default(&self) -> bool {
        self.is_outside(&NOT_DEFAULT)
    }

    /// Whether all of them are on the public Internet.
    pub(super) fn is_public(&self) -> bool {
        self.is_outside(&NOT_PUBLIC)
    }

    fn is_outside(&self, networks: &[IpNet]) -> bool {
        self.all().all(|address| !networks.iter().any(|network| network.contains(&address)))
    }

    /// Whether it is within the network. An address that carries IPv4 ones is where they are,
    /// unless the network names the translation itself.
    pub(super) fn is_within(&self, network: &IpNet) -> bool {
        let Some((prefix, inner)) = &self.carried else { return network.contains(&self.own) };
        let names_translation =
            matches!(network, IpNet::V6(v6) if prefix.contains(v6)) && network.contains(&self.own);
        names_translation || inner.iter().all(|v4| network.contains(&IpAddr::V4(*v4)))
    }
}

/// The IPv4 addresses that an IPv6 one carries: IPv4-compatible, IPv4-translated (RFC 2765), NAT64
/// (RFC 6052), 6to4 (RFC 3056), Teredo (RFC 4380: its server, and its client inverted).
fn carried(v6: Ipv6Addr) -> Option<(Ipv6Net, Vec<Ipv4Addr>)> {
    if v6.is_unspecified() || v6.is_loopback() {
        return None;
    }
    let [_, _, s0, s1, s2, s3, ..] = v6.octets();
    let [t0, t1, t2, t3, _, _, _, _, l0, l1, l2, l3] = *v6.octets().last_chunk::<12>()?;
    let last = Ipv4Addr::new(l0, l1, l2, l3);
    let inner = |prefix: Ipv6Net| match prefix {
        SIX_TO_FOUR => vec![Ipv4Addr::new(s0, s1, s2, s3)],
        TEREDO => vec![Ipv4Addr::new(t0, t1, t2, t3), !last],
        _ => vec![last],
    };
    let prefixes = [COMPATIBLE, TRANSLATED, NAT64, SIX_TO_FOUR, TEREDO];
    let prefix = prefixes.into_iter().find(|prefix| prefix.contains(&v6))?;
    Some((prefix, inner(prefix)))
}

/// The network as addresses are read: one of mapped addresses is one of IPv4 addresses.
pub(super) fn canonical(network: IpNet) -> IpNet {
    const MAPPED: Ipv6Net = prefix([0, 0, 0, 0, 0, 0xFFFF], 96);
    match network {
        IpNet::V6(v6) if MAPPED.contains(&v6) => {
            let address = v6.addr().to_canonical();
            IpNet::new(address, v6.prefix_len() - MAPPED.prefix_len()).unwrap_or(network)
        }
        _ => network.trunc(),
    }
}
