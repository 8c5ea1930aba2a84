//! The body of a response that comes on a stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body, Frame};

/// Data, and then trailers. The stream's window opens as data is taken.
#[derive(Debug)]
pub(crate) struct ReceivedBody {
    stream: RecvStream,
    data_ended: bool,
}

impl ReceivedBody {
    pub(super) fn new(stream: RecvStream) -> Self {
        ReceivedBody { stream, data_ended: false }
    }
}

impl Body for ReceivedBody {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if !self.data_ended {
            if let Some(data) = ready!(self.stream.poll_data(cx)) {
                let data = data.and_then(|bytes| {
                    self.stream.flow_control().release_capacity(bytes.len())?;
                    Ok(Frame::data(bytes))
                });
                return Poll::Ready(Some(data));
            }
            self.data_ended = true;
        }
        let trailers = ready!(self.stream.poll_trailers(cx));
        Poll::Ready(trailers.transpose().map(|fields| fields.map(Frame::trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }
}
