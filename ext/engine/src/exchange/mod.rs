//! One request and its response.
//!
//! [`Exchange`] is the reader's end: every method returns at once with what is here. When nothing
//! is, it arms the exchange's [`Signal`], which rings at the next change. The work is done by one
//! task of the runtime ([`task`]); dropping the exchange, or `close`, cancels it, and with it its
//! connection.

mod attempt;
mod body;
mod clock;
mod discard;
mod interim;
mod task;

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::chunks::{Inbox, Message};
use crate::error::{Failure, Kind, Phase};
use crate::headers::{Fields, ResponseHead};
use crate::report::{Ledger, Report};
use crate::upload::{Upload, Written};
use crate::watch::Watch;

pub(crate) use task::Task;

/// What waiting for the head brought.
#[derive(Debug)]
pub enum HeadEvent {
    /// The head; ask for it no more.
    Head(Box<ResponseHead>),
    /// The body must be written again from its first byte.
    Rewind,
    /// The upstream wants the body of a request that expects to be asked for it.
    Continue,
    /// The fields of a 103, for a client that can be told.
    EarlyHints(Fields),
    /// The reader is to say, with [`Exchange::permit`], which of these addresses may be connected
    /// to for a URL with this host.
    Permit(String, Vec<IpAddr>),
    /// Nothing yet.
    Again,
}

/// What waiting for the body brought.
#[derive(Debug)]
pub enum BodyEvent {
    /// Bytes, in order.
    Chunks(Vec<Bytes>),
    /// The body has ended whole.
    End,
    /// Nothing yet.
    Again,
}

/// The reader's end of an exchange. Used by one thread at a time.
#[derive(Debug)]
pub struct Exchange {
    pub(crate) inbox: Inbox,
    pub(crate) upload: Arc<Upload>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) ledger: Ledger,
    pub(crate) task: AbortHandle,
    /// Waits for the answer to the question that the reader was asked.
    pub(crate) asked: Option<oneshot::Sender<Vec<bool>>>,
    pub(crate) over: Option<Result<(), Failure>>,
}

impl Exchange {
    /// The response's head, or why there is none.
    pub fn head(&mut self) -> Result<HeadEvent, Failure> {
        match self.inbox.next() {
            None => Ok(HeadEvent::Again),
            Some(Message::Head(head)) => Ok(HeadEvent::Head(head)),
            Some(Message::Rewind) => {
                self.upload.begin_pass();
                Ok(HeadEvent::Rewind)
            }
            Some(Message::Continue) => Ok(HeadEvent::Continue),
            Some(Message::EarlyHints(fields)) => Ok(HeadEvent::EarlyHints(fields)),
            Some(Message::Permit(question)) => {
                self.asked = Some(question.answer);
                Ok(HeadEvent::Permit(question.host, question.addresses))
            }
            Some(Message::End(outcome)) => {
                self.end(outcome)?;
                Err(out_of_order())
            }
            Some(Message::Chunk(_)) => Err(out_of_order()),
        }
    }

    /// Answers [`HeadEvent::Permit`], for each of its addresses.
    pub fn permit(&mut self, answers: Vec<bool>) {
        if let Some(asked) = self.asked.take() {
            // An exchange that is over does not hear it.
            let _ = asked.send(answers);
        }
    }

    /// Up to `max` bytes of the body that are here; the end; or why it was cut short.
    pub fn read(&mut self, max: usize) -> Result<BodyEvent, Failure> {
        if let Some(outcome) = &self.over {
            return outcome.clone().map(|()| BodyEvent::End);
        }
        match self.inbox.chunks(max) {
            None => Ok(BodyEvent::Again),
            Some(parts) if !parts.is_empty() => Ok(BodyEvent::Chunks(parts)),
            Some(_) => match self.inbox.next() {
                Some(Message::End(outcome)) => self.end(outcome).map(|()| BodyEvent::End),
                _ => Err(out_of_order()),
            },
        }
    }

    fn end(&mut self, outcome: Result<(), Box<Failure>>) -> Result<(), Failure> {
        let outcome = outcome.map_err(|failure| *failure);
        self.over = Some(outcome.clone());
        outcome
    }

    /// Whether the next bytes of the request's body would be taken.
    pub fn writable(&self) -> Written {
        self.upload.ready()
    }

    /// Offers the next bytes of the request's body.
    pub fn write(&self, bytes: Bytes) -> Written {
        self.upload.write(bytes)
    }

    /// Says that the request's body has been written whole.
    pub fn finish(&self) {
        self.upload.finish();
    }

    /// Says that the request's body cannot be read to its end, and why: the upstream must not take
    /// what it got for the whole.
    pub fn fail(&self, reason: String) {
        self.upload.fail(reason);
    }

    /// Ends the exchange when the client behind this duplicate of its socket has left.
    pub fn watch(&self, client: OwnedFd) {
        self.watch.give(client);
    }

    /// What happened so far.
    pub fn report(&self) -> Report {
        self.ledger.lock().clone()
    }

    /// The trailer fields of a response that has ended whole.
    pub fn trailers(&self) -> Fields {
        self.ledger.lock().trailers.clone()
    }

    /// Ends the exchange now: a connection that is in use is shut down, and what is held is freed.
    pub fn close(&mut self) {
        self.task.abort();
        self.watch.end();
        self.inbox.clear();
        self.upload.clear();
    }
}

/// The engine keeps an order (head, chunks, end) that this says was broken.
fn out_of_order() -> Failure {
    Failure::new(Kind::Internal, Phase::Head, "", "was reported on out of order: a defect")
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.close();
    }
}
