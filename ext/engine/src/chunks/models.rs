//! The hand-off under loom: nobody waits for ever, and no more is queued than there is room for.

use std::sync::Arc;

use loom::sync::{Condvar, Mutex};
use loom::thread::JoinHandle;

use super::*;

const LIMIT: usize = 1;
const CHUNKS: [&[u8]; 2] = [b"a", b"b"];
/// What may be queued: the limit, and the chunk that crossed it.
const MAX_QUEUED: usize = LIMIT + 1 + OVERHEAD;

/// A bell as the border has it: it stays rung until it is drained.
#[derive(Default)]
struct Bell {
    is_rung: Mutex<bool>,
    woken: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.is_rung.lock().expect("no thread panicked") = true;
        self.woken.notify_one();
    }

    fn drain(&self) {
        *self.is_rung.lock().expect("no thread panicked") = false;
    }

    fn wait(&self) {
        let mut is_rung = self.is_rung.lock().expect("no thread panicked");
        while !*is_rung {
            is_rung = self.woken.wait(is_rung).expect("no thread panicked");
        }
    }
}

/// Every interleaving with up to three switches that nobody asked for.
fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

fn writing(bell: &Arc<Bell>) -> (JoinHandle<()>, Inbox) {
    let bell = bell.clone();
    let (mut outbox, inbox) =
        channel(LIMIT, Arc::new(Signal::new(move || bell.ring())), "http://u");
    let thread = loom::thread::spawn(move || {
        loom::future::block_on(async {
            for chunk in CHUNKS {
                outbox.chunk(Bytes::from_static(chunk)).await;
                let queued = outbox.shared.queued.load(Ordering::Relaxed);
                let gone = outbox.shared.reader_gone.load(Ordering::Relaxed);
                assert!(gone || queued <= MAX_QUEUED, "{queued} bytes are queued");
            }
            outbox.end(Ok(()));
        });
    });
    (thread, inbox)
}

#[test]
fn all_chunks_arrive_in_their_order_and_the_end() {
    model(|| {
        let bell = Arc::new(Bell::default());
        let (thread, mut inbox) = writing(&bell);
        let mut read = Vec::new();
        loop {
            bell.drain();
            match inbox.chunks(usize::MAX) {
                None => bell.wait(),
                Some(parts) if parts.is_empty() => break,
                Some(parts) => read.extend(parts.concat()),
            }
        }
        assert!(matches!(inbox.next(), Some(Message::End(Ok(())))));
        assert_eq!(read, CHUNKS.concat());
        thread.join().expect("the writer ends");
        assert_eq!(inbox.shared.queued.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_writer_that_waits_for_room_goes_on_when_the_reader_goes() {
    model(|| {
        let (thread, inbox) = writing(&Arc::default());
        drop(inbox);
        thread.join().expect("the writer ends");
    });
}
