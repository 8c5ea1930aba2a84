//! A new connection to an upstream: resolve, check the destination policy, connect, TLS, HTTP/1.
//!
//! The whole of it runs under `connect_timeout`. Every address is tried in the resolver's order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::destination;
use crate::error::{Failure, Kind, Phase};
use crate::policy::Policy;
use crate::pool::Connection;
use crate::socket::Socket;
use crate::stats::Stats;
use crate::target::Target;
use crate::tls::TlsConfigs;
use crate::upload::UploadBody;

/// hyper's buffer for one read or for writes that wait. Bounds a response's head, and with the
/// queues what is held for a client that has stopped reading.
const BUFFER: usize = 128 * 1024;

/// Makes connections; shared by all exchanges of an engine.
#[derive(Debug, Default)]
pub(crate) struct Connector {
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
        let mut phase = Phase::Connect;
        let steps = self.steps(target, policy, stats, &mut phase);
        let Some(limit) = policy.timeouts.connect else { return steps.await };
        match timeout(limit, steps).await {
            Ok(result) => result,
            Err(_) => Err(late(target, phase, limit.as_secs_f64())),
        }
    }

    async fn steps(
        &self,
        target: &Target,
        policy: &Policy,
        stats: &Arc<Stats>,
        phase: &mut Phase,
    ) -> Result<Connection, Failure> {
        let addresses = resolve(target).await?;
        let stream = connect_any(target, &addresses).await?;
        let peer = stream.peer_addr().map_err(|err| refused(target, &err))?;
        // Small requests and the ends of uploads must not wait for an ACK.
        stream.set_nodelay(true).map_err(|err| refused(target, &err))?;
        let socket = Socket::new(stream);
        let received = socket.received();
        let facts = |sender, driver| Connection::new(sender, driver, peer.ip(), received);
        if !target.is_tls() {
            return handshake(target, socket, stats, facts).await;
        }
        *phase = Phase::Tls;
        let refuse = |detail: String| Failure::new(Kind::Tls, Phase::Tls, &target.origin(), detail);
        let connector = self.tls.connector(&policy.tls).map_err(refuse)?;
        let name = ServerName::try_from(target.host().to_owned())
            .map_err(|_| refuse("has a host that no certificate can name".to_owned()))?;
        let stream =
            connector.connect(name, socket).await.map_err(|err| tls_failure(target, &err))?;
        handshake(target, stream, stats, facts).await
    }
}

async fn resolve(target: &Target) -> Result<Vec<SocketAddr>, Failure> {
    let origin = target.origin();
    let found: Vec<_> = lookup_host((target.host(), target.port()))
        .await
        .map_err(|err| {
            Failure::io(Kind::Resolve, Phase::Connect, &origin, "could not be resolved", &err)
        })?
        .collect();
    if found.is_empty() {
        let detail = "could not be resolved (no address)";
        return Err(Failure::new(Kind::Resolve, Phase::Connect, &origin, detail));
    }
    let permitted: Vec<_> =
        found.into_iter().filter(|address| destination::permits(address.ip())).collect();
    if permitted.is_empty() {
        return Err(refuse_destination(target));
    }
    Ok(permitted)
}

/// What the destination policy answers; which address it was is nobody's business.
pub(crate) fn refuse_destination(target: &Target) -> Failure {
    let detail = "is at an address that the destination policy refuses";
    Failure::new(Kind::Destination, Phase::Connect, &target.origin(), detail)
}

async fn connect_any(target: &Target, addresses: &[SocketAddr]) -> Result<TcpStream, Failure> {
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(err) => last = Some(err),
        }
    }
    let err = last.unwrap_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable));
    Err(refused(target, &err))
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

fn late(target: &Target, phase: Phase, seconds: f64) -> Failure {
    let what = if phase == Phase::Tls { "finish the TLS handshake" } else { "accept a connection" };
    let detail = format!("did not {what} within {seconds} s (connect_timeout)");
    Failure::new(Kind::Timeout, phase, &target.origin(), detail)
}

async fn handshake<T>(
    target: &Target,
    io: T,
    stats: &Arc<Stats>,
    connection: impl FnOnce(SendRequest<UploadBody>, AbortHandle) -> Connection,
) -> Result<Connection, Failure>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, driver) = http1::Builder::new()
        .max_buf_size(BUFFER)
        .handshake(TokioIo::new(io))
        .await
        .map_err(|err| Failure::http(Phase::Head, &target.origin(), &err))?;
    let guard = stats.connection();
    let task = tokio::spawn(async move {
        let _guard = guard;
        // How it ended reaches the exchange through its own request.
        let _ = driver.await;
    });
    Ok(connection(sender, task.abort_handle()))
}
