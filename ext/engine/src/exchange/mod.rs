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
use std::task::Waker;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::chunks::{Inbox, Message, QUEUE};
use crate::error::{Failure, Kind, Phase};
use crate::headers::{Fields, ResponseHead};
use crate::report::{Ledger, Report};
use crate::stats::{Guard, Stats};
use crate::tunnel::Switched;
use crate::upload::{Upload, Written};
use crate::watch::Watch;

pub(crate) use task::Task;

/// What an exchange takes besides what waits to be read or sent, about: its task, and hyper's buffer.
const TASK: usize = 32 * 1024;

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
    /// Until the end is known: it keeps the runtime's descriptors open.
    pub(crate) task: Option<AbortHandle>,
    /// Waits for the answer to the question that the reader was asked.
    pub(crate) asked: Option<oneshot::Sender<Vec<bool>>>,
    pub(crate) over: Option<Result<(), Failure>>,
    /// The connection of a 101, until a tunnel takes it.
    pub(crate) switched: Option<Box<Switched>>,
    /// Bytes of the response that may be held for the reader.
    pub(crate) to_come: usize,
    /// Counts it among those whose response the engine writes, from the moment that this is decided.
    pub(crate) place: Option<Guard>,
    pub(crate) stats: Arc<Stats>,
}

impl Exchange {
    /// The response's head, or why there is none.
    pub fn head(&mut self) -> Result<HeadEvent, Failure> {
        if let Some(Err(failure)) = &self.over {
            return Err(failure.clone());
        }
        match self.inbox.next() {
            None => Ok(HeadEvent::Again),
            Some(Message::Head(head)) => {
                self.to_come = self.inbox.bound(head.body, head.length);
                Ok(HeadEvent::Head(head))
            }
            Some(Message::Switched(switched)) => {
                self.switched = Some(switched);
                self.head()
            }
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

    /// The connection of a 101 whose head has been read.
    pub(crate) fn take_switched(&mut self) -> Option<Switched> {
        self.switched.take().map(|switched| *switched)
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
        self.inbox.limit_to(QUEUE);
        self.take(max)
    }

    /// The same, and so many bytes are to wait at the most for the next such call, about, and to be
    /// read from the upstream at once.
    pub(crate) fn read_little(&mut self, max: usize) -> Result<BodyEvent, Failure> {
        self.inbox.limit_to(max);
        self.take(max)
    }

    fn take(&mut self, max: usize) -> Result<BodyEvent, Failure> {
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

    /// Whether all that is left of the body is here.
    pub fn is_whole(&mut self) -> bool {
        self.inbox.is_whole()
    }

    /// Takes one of `most` places for responses that the engine writes, until `close`. False if all
    /// are taken.
    pub fn take_place(&mut self, most: usize) -> bool {
        self.place = self.place.take().or_else(|| self.stats.stream(most));
        self.place.is_some()
    }

    /// The engine writes the response, to a socket that it watches by itself.
    pub(crate) fn hand_over(&mut self) {
        self.take_place(usize::MAX);
        self.watch.end();
    }

    /// Wakes a task at the next change after a look that has found nothing.
    pub(crate) fn wake_on_change(&self, task: &Waker) {
        self.inbox.wake_on_change(task);
    }

    /// Wakes a task once when the next look will find something, at once if it would now; sometimes
    /// once more than that.
    pub fn wake_when_ready(&mut self, task: &Waker) {
        if self.over.is_some() {
            return task.wake_by_ref();
        }
        self.inbox.wake_when_ready(task);
    }

    fn end(&mut self, outcome: Result<(), Box<Failure>>) -> Result<(), Failure> {
        self.task = None;
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

    /// Rings once when the client behind this duplicate of its socket has sent something. False if
    /// that cannot be told. To be called after a look that found nothing.
    pub fn wake_when_readable(&self, client: OwnedFd) -> bool {
        self.watch.wake_when_readable(client)
    }

    /// Bytes that are held for this exchange, or may come to be before its reader returns: about.
    pub fn memory(&self) -> usize {
        if self.over.is_some() { 0 } else { TASK + self.to_come + self.upload.memory() }
    }

    /// What happened so far.
    pub fn report(&self) -> Report {
        let report = self.ledger.lock().clone();
        Report { bytes_up: report.bytes_up + self.upload.sent(), ..report }
    }

    /// The trailer fields of a response that has ended whole.
    pub fn trailers(&self) -> Fields {
        self.ledger.lock().trailers.clone()
    }

    /// Ends the exchange now: a connection that is in use is shut down, and what is held is freed.
    /// Who waits hears of it, and who asks afterwards is told so, for what the task says at its end
    /// may be freed with the rest.
    pub fn close(&mut self) {
        let closed = self.over.is_none();
        self.over.get_or_insert_with(|| Err(was_closed()));
        if let Some(task) = self.task.take() {
            task.abort();
        }
        self.switched = None;
        self.place = None;
        self.watch.end();
        self.inbox.clear();
        self.upload.clear();
        if closed {
            self.inbox.wake();
        }
    }
}

fn was_closed() -> Failure {
    Failure::new(Kind::Internal, Phase::Body, "", "is not read any more: its exchange was closed")
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
