//! What the reader is told before the head, by others than the one who reads the response.

use std::sync::Arc;

use super::{Message, OVERHEAD, Shared};
use crate::destination::Question;
use crate::headers::Fields;
use crate::sync::{Ordering, Sender};

/// Tells the reader what precedes the head, at once.
#[derive(Debug)]
pub(crate) struct Announcer {
    sender: Sender<Message>,
    shared: Arc<Shared>,
}

impl Announcer {
    pub(super) fn new(sender: Sender<Message>, shared: Arc<Shared>) -> Self {
        Announcer { sender, shared }
    }

    /// Says that the body is wanted.
    pub(crate) fn proceed(&self) {
        self.announce(Message::Continue);
    }

    /// Passes the fields of a 103 on. A reader that is far behind does not get them: they are
    /// hints, and nothing here can wait.
    pub(crate) fn early_hints(&self, fields: Fields) {
        if self.shared.has_room() {
            self.shared.queued.fetch_add(cost_of(&fields), Ordering::AcqRel);
            self.announce(Message::EarlyHints(fields));
        }
    }

    /// Asks which addresses may be connected to. A reader that has gone drops the question.
    pub(crate) fn ask(&self, question: Question) {
        self.announce(Message::Permit(question));
    }

    fn announce(&self, message: Message) {
        let _ = self.sender.send(message);
        self.shared.signal.notify();
    }
}

/// What queued fields count for, in bytes.
pub(super) fn cost_of(fields: &Fields) -> usize {
    let lines = fields.iter().map(|(name, value)| name.as_str().len() + value.len() + OVERHEAD);
    OVERHEAD + lines.sum::<usize>()
}
