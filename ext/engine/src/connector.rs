//! A new connection to an upstream: resolve, check the destination policy, connect, TLS, HTTP/1.
//!
//! The whole of it runs under `connect_timeout`. Every address is tried in the resolver's order,
//! each 250 ms after the one before, or when that one has failed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::counted::Counted;
use crate::destination;
use crate::error::{Failure, Kind, Phase};
use crate::policy::Policy;
use crate::pool::Connection;
use crate::resolver::Resolver;
use crate::socket::Socket;
use crate::stats::Stats;
use crate::target::Target;
use crate::tls::TlsConfigs;

/// hyper's buffer for one read or for writes that wait. Bounds a response's head, and with the
/// queues what is held for a client that has stopped reading.
const BUFFER: usize = 128 * 1024;

/// Header lines of a response.
const HEADERS: usize = 256;
/// How long an address may take before the next is tried beside it (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// What is being done; names the failure of a connection that came too late.
#[derive(Clone, Copy, Debug)]
enum Step {
    Resolve,
    Connect,
    Tls,
}

/// Makes connections; shared by all exchanges of an engine.
#[derive(Debug, Default)]
pub(crate) struct Connector {
    resolver: Resolver,
    tls: TlsConfigs,
}

impl Connector {
    /// Connects within `connect_timeout`.
    pub(crate) async fn connect(
        &self,
        target: &Target,
        policy: &Policy,
        stats: &Arc<Stats>,
    ) -> Result<Connection, Failure> {
        let mut step = Step::Resolve;
        let steps = self.steps(target, policy, stats, &mut step);
        let Some(limit) = policy.timeouts.connect else { return steps.await };
        match timeout(limit, steps).await {
            Ok(result) => result,
            Err(_) => Err(late(target, step, limit.as_secs_f64())),
        }
    }

    async fn steps(
        &self,
        target: &Target,
        policy: &Policy,
        stats: &Arc<Stats>,
        step: &mut Step,
    ) -> Result<Connection, Failure> {
        let addresses = self.permitted(target).await?;
        *step = Step::Connect;
        let stream = connect_any(addresses).await.map_err(|err| refused(target, &err))?;
        let peer = stream.peer_addr().map_err(|err| refused(target, &err))?.ip();
        // Small requests and the ends of uploads must not wait for an ACK.
        stream.set_nodelay(true).map_err(|err| refused(target, &err))?;
        let socket = Socket::new(stream);
        let write_failed = socket.write_failed();
        if !target.is_tls() {
            return handshake(target, socket, stats, peer, write_failed).await;
        }
        *step = Step::Tls;
        let refuse = |detail: String| Failure::new(Kind::Tls, Phase::Tls, &target.origin(), detail);
        let connector = self.tls.connector(&policy.tls).await.map_err(refuse)?;
        let name = ServerName::try_from(target.host().to_owned())
            .map_err(|_| refuse("has a host that no certificate can name".to_owned()))?;
        let stream =
            connector.connect(name, socket).await.map_err(|err| tls_failure(target, &err))?;
        handshake(target, stream, stats, peer, write_failed).await
    }

    /// The host's addresses that may be connected to.
    async fn permitted(&self, target: &Target) -> Result<Vec<SocketAddr>, Failure> {
        let (host, origin) = (target.host(), target.origin());
        let found = self.resolver.addresses(host, target.port()).await.map_err(|err| {
            Failure::io(Kind::Resolve, Phase::Connect, &origin, "could not be resolved", &err)
        })?;
        let permitted: Vec<_> =
            found.into_iter().filter(|address| destination::permits(address.ip())).collect();
        if permitted.is_empty() { Err(refuse_destination(target)) } else { Ok(permitted) }
    }
}

/// What the destination policy answers; which address it was is nobody's business.
pub(crate) fn refuse_destination(target: &Target) -> Failure {
    let detail = "is at an address that the destination policy refuses";
    Failure::new(Kind::Destination, Phase::Connect, &target.origin(), detail)
}

/// The first connection to come about: an address that does not answer soon is not waited for
/// before the next is tried.
async fn connect_any(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let mut addresses = addresses.into_iter();
    loop {
        let waiting = match addresses.next() {
            Some(address) => {
                attempts.spawn(TcpStream::connect(address));
                addresses.len() > 0
            }
            None => false,
        };
        tokio::select! {
            biased;
            done = attempts.join_next() => match done {
                Some(Ok(Ok(stream))) => return Ok(stream),
                Some(Ok(Err(err))) => last = err,
                Some(Err(err)) => last = io::Error::other(err),
                None => return Err(last),
            },
            () = sleep(STAGGER), if waiting => {}
        }
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
    let what = match err.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_)) => "has a certificate that is not accepted",
        Some(_) => "failed the TLS handshake",
        None => "broke off the TLS handshake",
    };
    Failure::io(Kind::Tls, Phase::Tls, &target.origin(), what, err)
}

fn late(target: &Target, step: Step, seconds: f64) -> Failure {
    let (phase, what) = match step {
        Step::Resolve => (Phase::Connect, "could not be resolved"),
        Step::Connect => (Phase::Connect, "did not accept a connection"),
        Step::Tls => (Phase::Tls, "did not finish the TLS handshake"),
    };
    let detail = format!("{what} within {seconds} s (connect_timeout)");
    Failure::new(Kind::Timeout, phase, &target.origin(), detail)
}

async fn handshake<T>(
    target: &Target,
    stream: T,
    stats: &Arc<Stats>,
    peer: IpAddr,
    write_failed: Arc<AtomicBool>,
) -> Result<Connection, Failure>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (stream, received) = Counted::new(stream);
    let (sender, driver) = http1::Builder::new()
        .max_buf_size(BUFFER)
        .max_headers(HEADERS)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|err| Failure::http(Phase::Head, &target.origin(), &err))?;
    let guard = stats.connection();
    let task = tokio::spawn(async move {
        let _guard = guard;
        // How it ended reaches the exchange through its own request.
        let _ = driver.await;
    });
    Ok(Connection::new(sender, task.abort_handle(), peer, received, write_failed))
}
