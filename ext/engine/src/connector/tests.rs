//! Names that change or lead astray, and addresses that fail.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;

use super::*;
use crate::chunks;
use crate::connection::Connection;
use crate::pool::{Checkout, Key, Pool};
use crate::signal::Signal;

/// Where the last connection that a connector makes leads to.
async fn peer(connector: &Connector, target: &Target) -> Result<IpAddr, Failure> {
    let (policy, pool) = (Arc::new(Policy::default()), Arc::new(Pool::default()));
    let (outbox, _inbox) = chunks::channel(1, Arc::new(Signal::new(|| {})), "up");
    let permission = Permission::new(policy.clone(), target, outbox.announcer());
    let key = Key::new(target, &policy);
    let Ok(Checkout::Dial(slot)) = pool.checkout(&key, &policy, "up", false).await else {
        panic!("a new pool has no connection");
    };
    let (stats, mut slot) = (Arc::new(Stats::default()), Some(slot));
    match connector.connect(target, &policy, &permission, &stats, &mut slot).await? {
        Dialed::Http1(connection) => Ok(Connection::Http1(connection).peer().expect("TCP")),
        Dialed::Http2(_) => panic!("HTTP/2 was not asked for"),
    }
}

#[tokio::test]
async fn cn6_new_connections_follow_a_changed_record() {
    static LOOKED_UP: AtomicUsize = AtomicUsize::new(0);
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let resolver = Resolver::with(|_, port| {
        let times = LOOKED_UP.fetch_add(1, Ordering::Relaxed) as u8;
        Ok(vec![SocketAddr::from(([127, 0, 0, 1 + times], port))])
    });
    let connector = Connector { resolver, tls: TlsConfigs::default() };
    let target = Target::parse(format!("http://up.test:{port}/").as_bytes()).expect("a URL");
    for expected in ["127.0.0.1", "127.0.0.2"] {
        assert_eq!(peer(&connector, &target).await.expect(expected).to_string(), expected);
    }
}

#[tokio::test]
async fn cn6_all_addresses_are_tried() {
    let listener = TcpListener::bind("127.0.0.3:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let resolver = Resolver::with(|_, port| {
        Ok((1..=3).map(|last| SocketAddr::from(([127, 0, 0, last], port))).collect())
    });
    let connector = Connector { resolver, tls: TlsConfigs::default() };
    let target = Target::parse(format!("http://up.test:{port}/").as_bytes()).expect("a URL");
    assert_eq!(peer(&connector, &target).await.expect("one").to_string(), "127.0.0.3");
}

#[tokio::test]
async fn ss2_a_name_that_leads_to_a_refused_address_is_not_connected_to() {
    let resolver =
        Resolver::with(|_, port| Ok(vec![SocketAddr::from(([169, 254, 169, 254], port))]));
    let connector = Connector { resolver, tls: TlsConfigs::default() };
    let target = Target::parse(b"http://up.test/").expect("a URL");
    let failure = peer(&connector, &target).await.expect_err("refused");
    assert_eq!(failure.kind, Kind::Destination);
    assert!(!failure.to_string().contains("169.254"), "{failure}");
}
