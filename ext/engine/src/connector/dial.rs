//! One connection that is being made: addresses, socket, TLS, HTTP.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

use super::{Connector, Dialed, addresses};
use crate::connection::Http1;
use crate::counted::counted;
use crate::destination::Permission;
use crate::error::{Failure, Kind, Phase};
use crate::http2::{self, NoHttp2, Shared};
use crate::policy::{Http2, Policy};
use crate::pool::Slot;
use crate::socket::Socket;
use crate::stats::Stats;
use crate::target::Target;
use crate::tls;

/// hyper's buffer for one read or for writes that wait. Bounds a response's head, and with the
/// queues what is held for a client that has stopped reading.
const BUFFER: usize = 128 * 1024;

/// Header lines of a response: the most that `max_headers` takes.
const HEADERS: usize = 1024;

/// What is being done; names the failure of a connection that came too late.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Resolve,
    Connect,
    Tls,
    Http2,
}

/// One connection that is being made.
#[derive(Debug)]
pub(super) struct Dial<'a> {
    pub(super) connector: &'a Connector,
    pub(super) target: &'a Target,
    pub(super) policy: &'a Policy,
    pub(super) permission: &'a Permission,
    pub(super) stats: &'a Arc<Stats>,
    pub(super) slot: &'a mut Option<Slot>,
    pub(super) step: Step,
}

impl Dial<'_> {
    pub(super) async fn run(&mut self) -> Result<Dialed, Failure> {
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
        let (stream, reads) = counted(stream);
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(BUFFER)
            .max_headers(HEADERS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|err| Failure::transport(Phase::Head, &self.target.origin(), &err.into()))?;
        let guard = self.stats.connection();
        let task = tokio::spawn(async move {
            let _guard = guard;
            // How it ended reaches the exchange through its own request.
            let _ = driver.with_upgrades().await;
        });
        let slot = self.take_slot(false)?;
        let driver = task.abort_handle();
        let connection = Http1::new(sender, driver, peer, reads, write_failed, slot);
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

impl Step {
    /// The failure of a connection that was still here when its time was over.
    pub(super) fn late(self, target: &Target, seconds: f64) -> Failure {
        let (phase, what) = match self {
            Step::Resolve => (Phase::Connect, "could not be resolved"),
            Step::Connect => (Phase::Connect, "did not accept a connection"),
            Step::Tls => (Phase::Tls, "did not finish the TLS handshake"),
            Step::Http2 => (Phase::Connect, "did not begin to speak HTTP/2 and to take requests"),
        };
        let detail = format!("{what} within {seconds} s (connect_timeout)");
        Failure::new(Kind::Timeout, phase, &target.origin(), detail)
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
