//! One request on a connection that is shared.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body;

use super::{AbortOnDrop, ReceivedBody, Shared};
use crate::connection::Unanswered;
use crate::upload::UploadBody;

/// One request's hold on a connection. Dropping it cancels what is still under way.
#[derive(Debug)]
pub(crate) struct Stream {
    shared: Arc<Shared>,
    number: u64,
    upload: Option<AbortOnDrop>,
}

impl Stream {
    pub(super) fn new(shared: Arc<Shared>, number: u64) -> Self {
        Stream { shared, number, upload: None }
    }

    /// Sends a request, tells `hear` of interim responses, and waits for the final one.
    pub(crate) async fn send(
        &mut self,
        request: Request<UploadBody>,
        hear: impl Fn(StatusCode, &HeaderMap),
    ) -> Result<Response<ReceivedBody>, Unanswered> {
        let (head, body) = request.into_parts();
        let (mut response, stream) = self
            .open(Request::from_parts(head, ()), body.is_end_stream())
            .await
            .map_err(|err| Unanswered { error: err.into(), unsent: true })?;
        if !body.is_end_stream() {
            let upload = tokio::spawn(upload(body, stream));
            self.upload = Some(AbortOnDrop(upload.abort_handle()));
        }
        let response = poll_fn(|cx| poll_response(&mut response, &hear, cx)).await;
        let response = response.map_err(|err| Unanswered { error: err.into(), unsent: false })?;
        Ok(response.map(ReceivedBody::new))
    }

    async fn open(
        &self,
        request: Request<()>,
        bodiless: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let mut sender: SendRequest<Bytes> = self.shared.sender.clone().ready().await?;
        sender.send_request(request, bodiless)
    }

    /// Whether the connection had served a request before this one.
    pub(crate) fn is_reused(&self) -> bool {
        self.number > 1
    }

    pub(crate) fn peer(&self) -> Option<IpAddr> {
        self.shared.peer
    }

    /// Bytes that have come over its connection so far.
    pub(crate) fn heard(&self) -> u64 {
        self.shared.reads.received()
    }

    /// Its connection is to serve no further request.
    pub(crate) fn distrust(&self) {
        self.shared.distrusted.store(true, Ordering::Relaxed);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.streams.fetch_sub(1, Ordering::Relaxed);
        self.shared.slot.has_room();
    }
}

fn poll_response(
    response: &mut ResponseFuture,
    hear: &impl Fn(StatusCode, &HeaderMap),
    cx: &mut Context<'_>,
) -> Poll<Result<Response<h2::RecvStream>, h2::Error>> {
    // Asked for the final response too early, h2 drops an interim one that has just come.
    while let Some(interim) = ready!(response.poll_informational(cx)) {
        let interim = interim?;
        hear(interim.status(), interim.headers());
    }
    Pin::new(response).poll(cx)
}

/// Sends a request's body as fast as the upstream takes it, until it has reset the stream.
async fn upload(mut body: UploadBody, mut stream: SendStream<Bytes>) {
    loop {
        let chunk = poll_fn(|cx| match stream.poll_reset(cx) {
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => body.poll_chunk(cx).map(Some),
        });
        let sent = match chunk.await {
            None => return,
            // Where the upstream has reset it nothing is to be done.
            Some(None) => return drop(stream.send_data(Bytes::new(), true)),
            Some(Some(chunk)) => match chunk {
                Ok(chunk) => send_chunk(&body, &mut stream, chunk).await,
                Err(_) => Err(Reason::CANCEL.into()),
            },
        };
        if sent.is_err() {
            // What was sent must not be taken for the whole.
            return stream.send_reset(Reason::CANCEL);
        }
    }
}

/// Sends a piece as the windows open.
async fn send_chunk(
    body: &UploadBody,
    stream: &mut SendStream<Bytes>,
    mut chunk: Bytes,
) -> Result<(), h2::Error> {
    while !chunk.is_empty() {
        stream.reserve_capacity(chunk.len());
        let room = poll_fn(|cx| match stream.poll_reset(cx) {
            Poll::Ready(reset) => Poll::Ready(Some(reset.and_then(|reason| Err(reason.into())))),
            Poll::Pending => stream.poll_capacity(cx),
        });
        let Some(room) = room.await else { return Err(Reason::CANCEL.into()) };
        let piece = chunk.split_to(room?.min(chunk.len()));
        body.pass(piece.len()).map_err(|_| Reason::CANCEL)?;
        stream.send_data(piece, false)?;
    }
    Ok(())
}
