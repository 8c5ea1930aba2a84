//! One attempt: a connection, the request on it, the response's head.

use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Request, Response, Uri, Version};

use super::interim::Interim;
use super::task::Task;
use crate::client::Core;
use crate::connection::{Connection, ResponseBody, Unanswered};
use crate::connector::Dialed;
use crate::error::{Failure, Kind, Phase, TransportError};
use crate::framing::{self, Framing};
use crate::headers;
use crate::pool::{Checkout, Slot};
use crate::upload::UploadBody;

/// A response whose head has been read and found sound.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response<ResponseBody>,
    pub(super) framing: Framing,
    /// How long the upstream said that it keeps the connection.
    pub(super) keep_alive: Option<Duration>,
    pub(super) connection: Connection,
}

/// An attempt that brought no response.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) failure: Failure,
    /// The connection had served before, and ended without one byte of an answer.
    pub(super) stale: bool,
    /// Nothing of the request was written.
    pub(super) unsent: bool,
}

impl From<Failure> for Lost {
    fn from(failure: Failure) -> Self {
        Lost { failure, stale: false, unsent: false }
    }
}

impl Task {
    /// Sends the request once; `fresh` asks for a connection that no request has been sent on.
    pub(super) async fn attempt(&mut self, fresh: bool) -> Result<Answer, Lost> {
        self.ledger.begin();
        let result = match self.connection(fresh).await {
            Ok(connection) => {
                self.ledger.connected(connection.is_reused());
                self.send(connection).await
            }
            Err(failure) => Err(failure.into()),
        };
        self.ledger.ended(match &result {
            Ok(answer) => Ok(answer.response.status().as_u16()),
            Err(lost) => Err(lost.failure.to_string()),
        });
        result
    }

    /// A connection that may be used: one that was made before, or else a new one.
    async fn connection(&mut self, mut fresh: bool) -> Result<Connection, Failure> {
        let held = self.held.take().filter(|held| held.is_usable(&self.policy.pool));
        if let (false, Some(held)) = (fresh, held) {
            return Ok(Connection::Http1(held));
        }
        loop {
            let pool = &self.core.pool;
            match pool.checkout(&self.key, &self.policy, &self.origin, fresh).await? {
                Checkout::Dial(slot) => return self.dial(slot).await,
                Checkout::Reuse(connection) if self.permits(&connection).await => {
                    return Ok(connection);
                }
                // Where all streams go. A shared connection would be offered again and again.
                Checkout::Reuse(Connection::Http2(_)) => return Err(self.permission.refusal()),
                // It serves others; this request's policy refuses its peer.
                Checkout::Reuse(connection) => {
                    connection.give_back(pool, &self.key, &self.policy.pool);
                    fresh = true;
                }
            }
        }
    }

    /// Whether a connection that was made for another request may be used.
    async fn permits(&self, connection: &Connection) -> bool {
        match connection.peer() {
            Some(peer) => !self.permission.of(vec![peer]).await.is_empty(),
            None => true,
        }
    }

    async fn dial(&self, slot: Slot) -> Result<Connection, Failure> {
        let Core { connector, pool, stats, .. } = &*self.core;
        // Held until those that wait for this connection have heard why it was not made.
        let mut slot = Some(slot);
        let (target, policy, permission) = (&self.head.target, &self.policy, &self.permission);
        match connector.connect(target, policy, permission, stats, &mut slot).await {
            Ok(Dialed::Http1(connection)) => Ok(Connection::Http1(connection)),
            Ok(Dialed::Http2(shared)) => {
                let stream = shared.stream();
                pool.share(shared, &self.policy.pool);
                stream.map(Connection::Http2).ok_or_else(|| {
                    let detail = "takes no HTTP/2 stream (SETTINGS_MAX_CONCURRENT_STREAMS 0)";
                    Failure::new(Kind::Protocol, Phase::Connect, &self.origin, detail)
                })
            }
            Err(failure) => {
                // A destination's refusal is this request's own.
                if failure.kind != Kind::Destination {
                    pool.dial_failed(&self.key, &failure);
                }
                Err(failure)
            }
        }
    }

    async fn send(&mut self, mut connection: Connection) -> Result<Answer, Lost> {
        let Some((body, rewind)) = self.upload.body(self.rewindable) else {
            let detail = "needs the request body again, which cannot be read twice";
            return Err(Failure::new(Kind::Protocol, Phase::Head, &self.origin, detail).into());
        };
        if rewind {
            self.outbox.rewind();
        }
        self.upload.admit();
        connection.read_at_most(self.outbox.limit());
        let request = self.request(body, connection.version())?;
        let interim = self.listen(&request);
        let response = self.response(&mut connection, request, &interim).await;
        interim.end().map_err(|rule| self.broken(rule))?;
        let response = response?;
        let version = response.version();
        let status = response.status().as_u16();
        headers::within(&self.policy.limits, "header", response.headers())
            .map_err(|rule| self.broken(rule))?;
        let framing = self.framing(status, version, response.headers())?;
        let keep_alive = headers::keep_alive(response.headers());
        Ok(Answer { response, framing, keep_alive, connection })
    }

    /// The final response to a request, its head at least.
    async fn response(
        &self,
        connection: &mut Connection,
        request: Request<UploadBody>,
        interim: &Arc<Interim>,
    ) -> Result<Response<ResponseBody>, Lost> {
        let reused = connection.is_reused();
        let before = connection.received();
        let heard = connection.heard();
        let clock = self.clock();
        let heard_interim = interim.clone();
        let hear = move |status, fields: &HeaderMap| heard_interim.hear(status, fields);
        let sent = tokio::select! {
            biased;
            sent = connection.send(request, hear) => sent,
            rule = interim.broken() => return Err(self.broken(rule).into()),
            failure = clock.head(&self.upload) => {
                connection.late_since(heard);
                return Err(failure.into());
            }
        };
        sent.map_err(|Unanswered { error, unsent }| {
            // HTTP/2 may say GOAWAY before a connection's first request, too.
            let unprocessed =
                error.is_unprocessed() || (unsent && connection.version() == Version::HTTP_2);
            let silent = connection.received() == before && !error.is_stream_reset();
            let stale = unprocessed || (reused && silent);
            self.lost(&error, stale, unsent || unprocessed)
        })
    }

    fn framing(
        &self,
        status: u16,
        version: Version,
        fields: &HeaderMap,
    ) -> Result<Framing, Failure> {
        let read = match (status, &self.head.client.upgrade) {
            (101, Some(asked)) => {
                headers::switched(asked, version, fields).map(|()| Framing::TUNNEL)
            }
            _ => framing::read(&self.head.method, status, version, fields)
                .map_err(|what| what.to_string()),
        };
        read.map_err(|rule| self.broken(rule))
    }

    /// The failure of an upstream that broke a rule before its response's body.
    pub(super) fn broken(&self, rule: String) -> Failure {
        Failure::new(Kind::Protocol, Phase::Head, &self.origin, rule)
    }

    fn request(&self, body: UploadBody, version: Version) -> Result<Request<UploadBody>, Failure> {
        let fields = headers::compose(
            &self.head,
            self.body,
            &self.policy.forwarding,
            &self.policy.overrides,
        );
        let path = self.head.target.request_target(&self.head.method);
        let mut request = Request::new(body);
        *request.method_mut() = self.head.method.clone();
        *request.version_mut() = version;
        if version == Version::HTTP_2 {
            let scheme = if self.head.target.is_tls() { Scheme::HTTPS } else { Scheme::HTTP };
            let (fields, authority) = headers::for_http2(fields, &self.head.target)?;
            *request.uri_mut() = uri(scheme, authority, path, &self.origin)?;
            *request.headers_mut() = fields;
        } else {
            *request.uri_mut() = Uri::from(path);
            *request.headers_mut() = fields;
            headers::on_this_hop(request.headers_mut(), self.head.client.upgrade.as_ref());
        }
        Ok(request)
    }

    fn lost(&self, err: &TransportError, stale: bool, unsent: bool) -> Lost {
        let failure = self
            .body_failure()
            .unwrap_or_else(|| Failure::transport(Phase::Head, &self.origin, err));
        let stale = stale && failure.kind == Kind::Protocol;
        Lost { failure, stale, unsent }
    }

    /// The failure of a request body that could not be sent to its end.
    pub(super) fn body_failure(&self) -> Option<Failure> {
        let error = self.upload.error()?;
        Some(Failure::new(Kind::RequestBody, self.phase(), &self.origin, error.to_string()))
    }
}

fn uri(
    scheme: Scheme,
    authority: Authority,
    path: PathAndQuery,
    origin: &str,
) -> Result<Uri, Failure> {
    let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build();
    uri.map_err(|err| Failure::new(Kind::RequestHead, Phase::Head, origin, err.to_string()))
}
