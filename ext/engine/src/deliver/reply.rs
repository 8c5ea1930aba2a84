//! Writing a response that is wholly here: an error's, or one that the application has made itself.

use std::os::fd::OwnedFd;
use std::time::Duration;

use bytes::Bytes;

use super::lingering::Written;
use super::pace::Pace;
use super::socket::ClientSocket;
use super::{BodyFraming, Client, cut, ended, lost};
use crate::drain::Drain;

/// What is to be written.
#[derive(Debug)]
pub struct Reply {
    /// A duplicate of the client's socket.
    pub socket: OwnedFd,
    /// Head and body.
    pub bytes: Bytes,
    /// How long the client may take nothing of it.
    pub send_timeout: Option<Duration>,
    /// How long it may go on when the process is to end.
    pub drain_timeout: Duration,
}

impl Reply {
    /// Writes it to its end.
    pub(crate) async fn run(self, drain: &Drain) -> Written {
        let Reply { socket, bytes, send_timeout, drain_timeout } = self;
        let pace = Pace::new(None);
        let mut client = Client { send_timeout, min_send_rate: None, pace, upstream: "" };
        let socket = ClientSocket::new(socket).map_err(|err| lost("", &err.to_string()))?;
        let outcome = tokio::select! {
            biased;
            outcome = client.send(&socket, vec![bytes]) => outcome,
            () = drain.over(drain_timeout) => Err(cut("", drain_timeout)),
        };
        ended(socket, BodyFraming::Length, outcome)
    }
}
