//! A new connection to an upstream: resolve, check the destination policy, connect, TLS, HTTP.
//!
//! The whole of it runs under `connect_timeout`. Every address is tried, see [`addresses`]. What is
//! spoken in the end, HTTP/1 or HTTP/2, is the upstream's choice where it has one (ALPN).

mod addresses;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

use crate::connection::Http1;
use crate::counted::Counted;
use crate::destination::Permission;
use crate::error::{Failure, Kind, Phase};
use crate::http2::{self, NoHttp2, Shared};
use crate::policy::{Http2, Policy};
use crate::pool::Slot;
use crate::resolver::Resolver;
use crate::socket::Socket;
use crate::stats::Stats;
use crate::target::Target;
use crate::tls::{self, TlsConfigs};

/// hyper's buffer for one read or for writes that wait. Bounds a response's head, and with the
/// queues what is held for a client that has stopped reading.
const BUFFER: usize = 128 * 1024;

/// Header lines of a response: the most that `max_headers` takes.
const HEADERS: usize = 1024;

/// What is being done; names the failure of a connection that came too late.
#[derive(Clone, Copy, Debug)]
enum Step {
    Resolve,
    Connect,
    Tls,
    Http2,
}

/// A new connection.
#[derive(Debug)]
pub(crate) enum Dialed {
    Http1(Box<Http1>),
    Http2(Arc<Shared>),
}

/// Makes connections; shared by all exchanges of an engine.
#[derive(Debug, Default)]
pub(crate) struct Connector {
    resolver: Resolver,
    tls: TlsConfigs,
}

/// One connection that is being made.
#[derive(Debug)]
struct Dial<'a> {
    connector: &'a Connector,
    target: &'a Target,
    policy: &'a Policy,
    permission: &'a Permission,
    stats: &'a Arc<Stats>,
    slot: &'a mut Option<Slot>,
    step: Step,
}

impl Connector {
    /// Connects within `connect_timeout`. Takes the slot only if that succeeds.
    pub(crate) async fn connect(
        &self,
        target: &Target,
        policy: &Policy,
        permission: &Permission,
        stats: &Arc<Stats>,
        slot: &mut Option<Slot>,
    ) -> Result<Dialed, Failure> {
        let connector = self;
        let step = Step::Resolve;
        let mut dial = Dial { connector, target, policy, permission, stats, slot, step };
        let Some(limit) = policy.timeouts.connect else { return dial.run().await };
        match permission.timeout(limit, dial.run()).await {
            Some(result) => result,
            None => Err(late(target, dial.step, limit.as_secs_f64())),
        }
    }

    /// The host's addresses.
    async fn resolved(&self, target: &Target) -> Result<Vec<SocketAddr>, Failure> {
        self.resolver.addresses(target.host(), target.port()).await.map_err(|err| {
            let origin = target.origin();
            Failure::io(Kind::Resolve, Phase::Connect, &origin, "could not be resolved", &err)
        })
    }
}

impl Dial<'_> {
    async fn run(&mut self) -> Result<Dialed, Failure> {
        if let Some(path) = &self.policy.socket {
            return self.run_unix(path).await;
        }
        let found = self.connector.resolved(self.target).await?;
        let addresses = self.permission.resolved(found).await?;
        self.step = Step::Connect;
        let stream =
            addresses::connect(addresses).await.map_err(|err| refused(self.target, &err))?;
        let peer = stream.peer_addr().map_err(|err| refused(self.target, &err))?.ip();
        // Small requests and the ends of uploads must not wait for an ACK.
        stream.set_nodelay(true).map_err(|err| refused(self.target, &err))?;
        self.secure(Socket::new(stream), Some(peer)).await
    }

    async fn run_unix(&mut self, path: &Path) -> Result<Dialed, Failure> {
        self.step = Step::Connect;
        let stream = UnixStream::connect(path).await.map_err(|err| {
            let what = format!("cannot be reached through the socket {}", path.display());
            Failure::io(Kind::Connect, Phase::Connect, &self.target.origin(), &what, &err)
        })?;
        self.secure(Socket::new(stream), None).await
    }

    async fn secure<S>(
        &mut self,
        socket: Socket<S>,
        peer: Option<IpAddr>,
    ) -> Result<Dialed, Failure>
    where
        S: AsFd + AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let write_failed = socket.write_failed();
        if !self.target.is_tls() {
            let http2 = self.policy.http2 == Http2::Always;
            return self.speak(socket, http2, peer, write_failed).await;
        }
        self.step = Step::Tls;
        let origin = self.target.origin();
        let refuse = |detail: String| Failure::new(Kind::Tls, Phase::Tls, &origin, detail);
        let settings = &self.policy.tls;
        let connector = self.connector.tls.connector(settings, self.policy.http2).await;
        let connector = connector.map_err(refuse)?;
        let name = tls::server_name(self.target.host(), &settings.sni).map_err(refuse)?;
        let stream =
            connector.connect(name, socket).await.map_err(|err| tls_failure(self.target, &err))?;
        let stream = tls::Stream::new(stream);
        let http2 = stream.is_http2();
        if !http2 && self.policy.http2 == Http2::Always {
            return Err(refuse("does not offer HTTP/2 (http2: :always)".to_owned()));
        }
        self.speak(stream, http2, peer, write_failed).await
    }

    async fn speak<T>(
        &mut self,
        stream: T,
        http2: bool,
        peer: Option<IpAddr>,
        write_failed: Arc<AtomicBool>,
    ) -> Result<Dialed, Failure>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        if http2 {
            self.step = Step::Http2;
            return self.speak_http2(stream, peer).await;
        }
        let (stream, received) = Counted::new(stream);
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(BUFFER)
            .max_headers(HEADERS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|err| Failure::http(Phase::Head, &self.target.origin(), &err))?;
        let guard = self.stats.connection();
        let task = tokio::spawn(async move {
            let _guard = guard;
            // How it ended reaches the exchange through its own request.
            let _ = driver.await;
        });
        let slot = self.take_slot(false)?;
        let driver = task.abort_handle();
        let connection = Http1::new(sender, driver, peer, received, write_failed, slot);
        Ok(Dialed::Http1(Box::new(connection)))
    }

    async fn speak_http2<T>(&mut self, stream: T, peer: Option<IpAddr>) -> Result<Dialed, Failure>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let origin = self.target.origin();
        let spoken = http2::speak(stream, self.stats.connection()).await;
        let spoken = spoken.map_err(|reason| match reason {
            NoHttp2::Instead(err) => Failure::http2_refused(&origin, &err),
            NoHttp2::Ended => {
                let detail = "closed the connection instead of speaking HTTP/2";
                Failure::new(Kind::Protocol, Phase::Connect, &origin, detail)
            }
        })?;
        let slot = self.take_slot(true)?;
        Ok(Dialed::Http2(Shared::new(spoken, peer, slot)))
    }

    fn take_slot(&mut self, shared: bool) -> Result<Slot, Failure> {
        let detail = "was connected to twice: a defect";
        let mut slot = self.slot.take().ok_or_else(|| {
            Failure::new(Kind::Internal, Phase::Connect, &self.target.origin(), detail)
        })?;
        slot.connected(shared);
        Ok(slot)
    }
}

fn refused(target: &Target, err: &io::Error) -> Failure {
    let what = match err.kind() {
        io::ErrorKind::ConnectionRefused => "refused the connection",
        io::ErrorKind::TimedOut => "did not answer the connection attempt",
        io::ErrorKind::ConnectionReset => "reset the connection at once",
        _ => "could not be reached",
    };
    Failure::io(Kind::Connect, Phase::Connect, &target.origin(), what, err)
}

fn tls_failure(target: &Target, err: &io::Error) -> Failure {
    let origin = target.origin();
    if let Some(err) = err.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return Failure::new(Kind::Tls, Phase::Tls, &origin, tls::of_handshake(err));
    }
    let what = "broke the TLS handshake off: it may demand another server name (tls_sni), or \
                speak no TLS on this port";
    Failure::io(Kind::Tls, Phase::Tls, &origin, what, err)
}

fn late(target: &Target, step: Step, seconds: f64) -> Failure {
    let (phase, what) = match step {
        Step::Resolve => (Phase::Connect, "could not be resolved"),
        Step::Connect => (Phase::Connect, "did not accept a connection"),
        Step::Tls => (Phase::Tls, "did not finish the TLS handshake"),
        Step::Http2 => (Phase::Connect, "did not begin to speak HTTP/2 and to take requests"),
    };
    let detail = format!("{what} within {seconds} s (connect_timeout)");
    Failure::new(Kind::Timeout, phase, &target.origin(), detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::chunks;
    use crate::pool::{Checkout, Key, Pool};
    use crate::signal::Signal;
    use tokio::net::TcpListener;

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
            Dialed::Http1(connection) => {
                Ok(crate::connection::Connection::Http1(connection).peer().expect("TCP"))
            }
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
}
