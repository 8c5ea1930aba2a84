//! A connection to an upstream, as one exchange holds it.
//!
//! Over HTTP/1 the exchange owns the connection: dropping it aborts it, and its socket is shut down.
//! Over HTTP/2 it holds a stream of a connection that it shares with others; dropping it gives the
//! stream back.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::counted::Reads;
use crate::error::TransportError;
use crate::http2::{ReceivedBody, Stream};
use crate::policy::PoolSettings;
use crate::pool::{Key, Pool, Slot};
use crate::upload::UploadBody;

/// What an exchange sends its request on.
#[derive(Debug)]
pub(crate) enum Connection {
    Http1(Box<Http1>),
    Http2(Stream),
}

/// A request that brought no response.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub(crate) error: TransportError,
    /// Nothing of it was written.
    pub(crate) unsent: bool,
}

/// A response's body, as it comes.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    Http1(Incoming),
    Http2(ReceivedBody),
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        match self.get_mut() {
            ResponseBody::Http1(body) => {
                Pin::new(body).poll_frame(cx).map_err(TransportError::from)
            }
            ResponseBody::Http2(body) => {
                Pin::new(body).poll_frame(cx).map_err(TransportError::from)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ResponseBody::Http1(body) => body.is_end_stream(),
            ResponseBody::Http2(body) => body.is_end_stream(),
        }
    }
}

/// An HTTP/1 connection that serves one request at a time.
#[derive(Debug)]
pub(crate) struct Http1 {
    sender: http1::SendRequest<UploadBody>,
    driver: AbortHandle,
    peer: Option<IpAddr>,
    reads: Arc<Reads>,
    write_failed: Arc<AtomicBool>,
    born: Instant,
    served: u64,
    /// Comes free when the connection is dropped.
    _slot: Slot,
}

impl Http1 {
    /// `reads` is of what comes over it; `write_failed` says whether a write did.
    pub(crate) fn new(
        sender: http1::SendRequest<UploadBody>,
        driver: AbortHandle,
        peer: Option<IpAddr>,
        reads: Arc<Reads>,
        write_failed: Arc<AtomicBool>,
        slot: Slot,
    ) -> Self {
        let born = Instant::now();
        Http1 { sender, driver, peer, reads, write_failed, born, served: 0, _slot: slot }
    }

    /// Whether it may serve another request.
    pub(crate) fn is_usable(&self, settings: &PoolSettings) -> bool {
        self.is_open()
            && settings.max_age.is_none_or(|age| self.born.elapsed() < age)
            && settings.max_requests.is_none_or(|most| self.served < most)
    }

    /// Whether nothing speaks against another request on it.
    pub(crate) fn is_open(&self) -> bool {
        !self.sender.is_closed() && !self.write_failed.load(Ordering::Relaxed)
    }

    /// Whether it can take a request now.
    pub(crate) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Waits until hyper has brought it to rest after a response.
    pub(crate) async fn ready(&mut self) -> hyper::Result<()> {
        self.sender.ready().await
    }
}

impl Drop for Http1 {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Sends a request, tells `hear` of interim responses, and waits for the final one.
    pub(crate) async fn send(
        &mut self,
        mut request: Request<UploadBody>,
        hear: impl Fn(StatusCode, &HeaderMap) + Send + Sync + 'static,
    ) -> Result<Response<ResponseBody>, Unanswered> {
        match self {
            Connection::Http1(connection) => {
                connection.served += 1;
                hyper::ext::on_informational(&mut request, move |interim| {
                    hear(interim.status(), interim.headers());
                });
                let response = connection.sender.try_send_request(request).await;
                response.map(|response| response.map(ResponseBody::Http1)).map_err(|mut refused| {
                    let unsent = refused.take_message().is_some();
                    Unanswered { error: refused.into_error().into(), unsent }
                })
            }
            Connection::Http2(stream) => {
                let response = stream.send(request, hear).await?;
                Ok(response.map(ResponseBody::Http2))
            }
        }
    }

    /// Gives it back unused.
    pub(crate) fn give_back(self, pool: &Arc<Pool>, key: &Key, settings: &PoolSettings) {
        if let Connection::Http1(connection) = self {
            pool.put(key, connection, settings, None);
        }
    }

    /// The version of HTTP that is spoken on it.
    pub(crate) fn version(&self) -> Version {
        match self {
            Connection::Http1(_) => Version::HTTP_11,
            Connection::Http2(_) => Version::HTTP_2,
        }
    }

    /// Whether it had served a request before this one, which has not been sent yet.
    pub(crate) fn is_reused(&self) -> bool {
        match self {
            Connection::Http1(connection) => connection.served > 0,
            Connection::Http2(stream) => stream.is_reused(),
        }
    }

    /// The address at its other end; none behind a Unix socket.
    pub(crate) fn peer(&self) -> Option<IpAddr> {
        match self {
            Connection::Http1(connection) => connection.peer,
            Connection::Http2(stream) => stream.peer(),
        }
    }

    /// Tells whether a write has failed, also after the connection has changed protocols.
    pub(crate) fn write_failed(&self) -> Arc<AtomicBool> {
        match self {
            Connection::Http1(connection) => connection.write_failed.clone(),
            Connection::Http2(_) => Arc::default(),
        }
    }

    /// Bytes that have come so far, where that tells of one exchange.
    pub(crate) fn received(&self) -> Option<u64> {
        match self {
            Connection::Http1(_) => Some(self.heard()),
            Connection::Http2(_) => None,
        }
    }

    /// Bytes that have come so far, for whatever request.
    pub(crate) fn heard(&self) -> u64 {
        match self {
            Connection::Http1(connection) => connection.reads.received(),
            Connection::Http2(stream) => stream.heard(),
        }
    }

    /// Has at most so many bytes be read from the socket at once. An HTTP/2 stream is bounded by its
    /// window.
    pub(crate) fn read_at_most(&self, bytes: usize) {
        if let Connection::Http1(connection) = self {
            connection.reads.at_most(bytes);
        }
    }

    /// Says that an answer did not come in time. If nothing else did since `heard`, the upstream
    /// may be gone without a word: a connection that is shared serves no further request then.
    pub(crate) fn late_since(&self, heard: u64) {
        match self {
            Connection::Http2(stream) if stream.heard() == heard => stream.distrust(),
            _ => {}
        }
    }
}
