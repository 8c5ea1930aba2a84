//! A place in the queue for a connection, from both sides: who waits, and who gives.

use tokio::sync::oneshot;

use super::Slot;
use crate::connection::{Connection, Http1};
use crate::error::Failure;

/// What one that waited gets.
#[derive(Debug)]
pub(super) enum Turn {
    Connection(Connection),
    Slot(Slot),
    Failed(Box<Failure>),
}

/// A place in the queue.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) turn: oneshot::Receiver<Turn>,
    /// Resolves when the connection that is being made is there; at once where none is.
    pub(super) made: oneshot::Receiver<()>,
}

/// One request in the queue.
#[derive(Debug)]
pub(super) struct Waiter {
    turn: oneshot::Sender<Turn>,
    pub(super) fresh: bool,
    /// Waits for a connection that is being made; dropped when it is there.
    making: Option<oneshot::Sender<()>>,
    pub(super) max_connections: usize,
}

/// A place, and who waits there; `for_dial` says for a connection that is being made.
pub(super) fn place(fresh: bool, for_dial: bool, max_connections: usize) -> (Waiter, Place) {
    let (turn, to_turn) = oneshot::channel();
    let (making, made) = oneshot::channel();
    let making = for_dial.then_some(making);
    (Waiter { turn, fresh, making, max_connections }, Place { turn: to_turn, made })
}

impl Waiter {
    /// Whether it has left the queue.
    pub(super) fn is_gone(&self) -> bool {
        self.turn.is_closed()
    }

    /// Whether it waits for a connection that is being made.
    pub(super) fn is_for_dial(&self) -> bool {
        self.making.is_some()
    }

    /// Says that the connection has been made: it waits in the queue like any other.
    pub(super) fn made(&mut self) {
        self.making = None;
    }

    /// Ends the wait. What cannot be given is dropped, and so comes free again.
    pub(super) fn give(self, turn: Turn) {
        let _ = self.turn.send(turn);
    }

    /// Gives the connection, or takes it back if the waiter has gone.
    pub(super) fn give_connection(self, connection: Box<Http1>) -> Option<Box<Http1>> {
        match self.turn.send(Turn::Connection(Connection::Http1(connection))) {
            Err(Turn::Connection(Connection::Http1(back))) => Some(back),
            _ => None,
        }
    }
}
