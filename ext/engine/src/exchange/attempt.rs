//! One attempt: a connection, the request on it, the response's head.

use std::time::Instant;

use http::{Request, Response, Uri, Version};
use hyper::body::Incoming;

use super::task::Task;
use crate::error::{Failure, Kind, Phase};
use crate::framing::{self, Framing};
use crate::headers;
use crate::pool::Connection;
use crate::report::Attempt;
use crate::upload::UploadBody;

/// A response whose head has been read and found sound.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    pub(super) framing: Framing,
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
    /// Sends the request once; `fresh` asks for a new connection.
    pub(super) async fn attempt(&mut self, fresh: bool) -> Result<Answer, Lost> {
        let started = Instant::now();
        let held = self.held.take().and_then(Connection::for_reuse);
        let pooled = if fresh { None } else { held.or_else(|| self.core.pool.take(&self.key)) };
        let mut attempt = Attempt { reused: pooled.is_some(), ..Attempt::default() };
        let connection = match pooled {
            Some(connection) => Ok(connection),
            None => {
                let target = &self.head.target;
                self.core.connector.connect(target, &self.policy, &self.core.stats).await
            }
        };
        attempt.connect = started.elapsed();
        let result = match connection {
            Ok(connection) => self.send(connection).await,
            Err(failure) => Err(failure.into()),
        };
        attempt.head = started.elapsed().saturating_sub(attempt.connect);
        match &result {
            Ok(answer) => attempt.status = Some(answer.response.status().as_u16()),
            Err(lost) => attempt.error = Some(lost.failure.to_string()),
        }
        let mut report = self.ledger.lock();
        report.attempts.push(attempt);
        report.bytes_up = self.upload.sent();
        drop(report);
        result
    }

    async fn send(&mut self, mut connection: Connection) -> Result<Answer, Lost> {
        let Some((body, rewind)) = self.upload.body(self.rewindable) else {
            let detail = "needs the request body again, which cannot be read twice";
            return Err(Failure::new(Kind::Protocol, Phase::Head, &self.origin, detail).into());
        };
        if rewind {
            self.outbox.rewind();
        }
        let request = self.request(body);
        let before = connection.received();
        let sending = connection.sender.try_send_request(request);
        let clock = self.clock();
        let sent = tokio::select! {
            biased;
            sent = sending => sent,
            failure = clock.head(&self.upload) => return Err(failure.into()),
        };
        let response = match sent {
            Ok(response) => response,
            Err(mut refused) => {
                let unsent = refused.take_message().is_some();
                let silent = connection.received() == before;
                let stale = connection.reused && silent;
                return Err(self.lost(refused.error(), stale, unsent));
            }
        };
        let version = response.version();
        let status = response.status().as_u16();
        let framing = framing::read(&self.head.method, status, version, response.headers())
            .map_err(|what| {
                Failure::new(Kind::Protocol, Phase::Head, &self.origin, what.to_string())
            })?;
        Ok(Answer { response, framing, connection })
    }

    fn request(&self, body: UploadBody) -> Request<UploadBody> {
        let mut request = Request::new(body);
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = Uri::from(self.head.target.path().clone());
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = headers::compose(
            &self.head,
            self.body,
            &self.policy.forwarding,
            &self.policy.overrides,
        );
        request
    }

    fn lost(&self, err: &hyper::Error, stale: bool, unsent: bool) -> Lost {
        let failure =
            self.body_failure().unwrap_or_else(|| Failure::http(Phase::Head, &self.origin, err));
        let stale = stale && failure.kind == Kind::Protocol;
        Lost { failure, stale, unsent }
    }

    /// The failure of a request body that could not be sent to its end.
    pub(super) fn body_failure(&self) -> Option<Failure> {
        let error = self.upload.error()?;
        Some(Failure::new(Kind::RequestBody, self.phase(), &self.origin, error.to_string()))
    }
}
