//! Request bodies cut by the reader at every piece, and by the upstream at every byte.

use std::sync::Arc;

use streaming_engine::{BodyKind, Bytes, Client, Kind, Phase, Written};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::peers::{Outcome, Reader, Stage, clean_exchange, policy};
use crate::requests::Deed;
use crate::upstream::Upstream;

const AT_ONCE: usize = 100;

/// A body, in the pieces in which it is written.
struct Sent {
    name: &'static str,
    chunked: bool,
    piece: usize,
    pieces: usize,
}

const SENT: [Sent; 8] = [
    Sent { name: "length, bytes", chunked: false, piece: 1, pieces: 9 },
    Sent { name: "length, small pieces", chunked: false, piece: 7, pieces: 5 },
    Sent { name: "length, one piece", chunked: false, piece: 50, pieces: 1 },
    Sent { name: "length, big pieces", chunked: false, piece: 100 * 1024, pieces: 4 },
    Sent { name: "chunked, nothing", chunked: true, piece: 0, pieces: 0 },
    Sent { name: "chunked, bytes", chunked: true, piece: 1, pieces: 9 },
    Sent { name: "chunked, small pieces", chunked: true, piece: 17, pieces: 4 },
    Sent { name: "chunked, big pieces", chunked: true, piece: 100 * 1024, pieces: 4 },
];

/// How the reader ends a body before its time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// It closes the exchange.
    Close,
    /// It says that the body cannot be read on.
    Fail,
    /// It says that this was all.
    Finish,
    /// It writes a byte more than was announced.
    Exceed,
}

impl Sent {
    fn len(&self) -> usize {
        self.piece * self.pieces
    }

    fn kind(&self) -> BodyKind {
        if self.chunked { BodyKind::Chunked } else { BodyKind::Length(self.len() as u64) }
    }

    /// The body's length on the wire at the most.
    fn on_the_wire(&self) -> usize {
        if self.chunked { self.len() + 10 * self.pieces + 5 } else { self.len() }
    }

    /// What the upstream may take for a whole body after so many pieces, if anything.
    fn whole_after(&self, pieces: usize, end: End) -> Option<usize> {
        match (self.chunked, end) {
            (true, End::Finish) => Some(pieces * self.piece),
            (false, End::Close | End::Fail | End::Finish) if pieces == self.pieces => {
                Some(self.len())
            }
            _ => None,
        }
    }
}

/// Writes as one piece, waiting for room; false if nobody wants it.
async fn write(reader: &Reader, len: usize) -> bool {
    loop {
        match reader.exchange.write(Bytes::from(vec![b'u'; len])) {
            Written::Taken => return true,
            Written::Stopped => return false,
            Written::Again => reader.rung().await,
        }
    }
}

fn open(client: &Client, upstream: &Upstream, path: &str, kind: BodyKind) -> Reader {
    let url = format!("{}{path}", upstream.url);
    Reader::open(client, ("POST", &url), kind, &policy(None))
}

async fn clean(client: &Client, upstream: &Upstream, path: &str) {
    let token = path[1..].replace('/', "-");
    clean_exchange(client, &format!("{}/clean/{token}", upstream.url), path).await;
}

// ===== the reader cuts =====

async fn reader_cuts(client: &Client, upstream: &Upstream, sent: &Sent, pieces: usize, end: End) {
    let whole = sent.whole_after(pieces, end);
    let expected = whole.map_or("-".to_owned(), |length| length.to_string());
    let name = sent.name.replace(", ", "-").replace(' ', "-");
    let path = format!("/upload/Answer/0/{expected}/{name}/{pieces}/{end:?}");
    let mut reader = open(client, upstream, &path, sent.kind());
    for _ in 0..pieces {
        assert!(write(&reader, sent.piece).await, "{path}");
    }
    let wanted = pieces * sent.piece;
    let mut arrived = upstream.arrived.subscribe();
    let here = |arrived: &std::collections::HashMap<String, usize>| {
        wanted == 0 || arrived.get(&path).is_some_and(|count| *count >= wanted)
    };
    arrived.wait_for(here).await.expect("the upstream lives");
    match end {
        End::Close => reader.exchange.close(),
        End::Fail => reader.exchange.fail("the client left".to_owned()),
        End::Finish => reader.exchange.finish(),
        End::Exceed => assert!(write(&reader, sent.len() - wanted + 1).await, "{path}"),
    }
    if end != End::Close {
        check(&path, whole, &reader.outcome().await);
    }
    drop(reader);
    clean(client, upstream, &path).await;
}

fn check(path: &str, whole: Option<usize>, outcome: &Outcome) {
    match (whole, outcome) {
        (Some(length), Ok((200, body, Ok(())))) if *body == length.to_string().as_bytes() => {}
        (None, Err(failure)) if failure.kind == Kind::RequestBody => {}
        _ => panic!("{path}: {outcome:?}"),
    }
}

/// An exceeding byte is one only where there is a length, and only before that is reached.
fn possible(sent: &Sent, pieces: usize, end: End) -> bool {
    end != End::Exceed || (!sent.chunked && pieces < sent.pieces)
}

#[test]
fn rq6_a_body_that_its_reader_cuts_never_reaches_the_upstream_as_whole() {
    let stage = Stage::new();
    let client = Arc::clone(&stage.client);
    stage.run(async {
        let upstream = Upstream::start().await;
        let mut cuts = JoinSet::new();
        for sent in &SENT {
            for pieces in 0..=sent.pieces {
                for end in [End::Close, End::Fail, End::Finish, End::Exceed] {
                    if possible(sent, pieces, end) {
                        let (client, upstream) = (client.clone(), upstream.clone());
                        cuts.spawn(async move {
                            reader_cuts(&client, &upstream, sent, pieces, end).await;
                        });
                    }
                }
            }
        }
        all_done(cuts).await;
        upstream.assert_nothing_violated();
    });
    drop(client);
    stage.leaves_nothing();
}

async fn all_done(mut cuts: JoinSet<()>) {
    while let Some(done) = cuts.join_next().await {
        done.expect("every cut is seen for what it is");
    }
}

// ===== the upstream cuts =====

async fn upstream_cuts(client: &Client, upstream: &Upstream, sent: &Sent, at: usize, deed: Deed) {
    let name = sent.name.replace(", ", "-").replace(' ', "-");
    let path = format!("/upload/{deed:?}/{at}/-/{name}");
    let mut reader = open(client, upstream, &path, sent.kind());
    for _ in 0..sent.pieces {
        if !write(&reader, sent.piece).await {
            break;
        }
    }
    reader.exchange.finish();
    let outcome = reader.outcome().await;
    match (deed, &outcome) {
        (Deed::Fin | Deed::Reset, Err(failure))
            if (failure.kind, failure.phase) == (Kind::Protocol, Phase::Head) => {}
        (Deed::Refuse, Ok((413, body, Ok(())))) if body == b"early" => {}
        (Deed::AnswerEarly, Ok((200, body, Ok(())))) if body == b"early" => {}
        _ => panic!("{path}: {outcome:?}"),
    }
    drop(reader);
    clean(client, upstream, &path).await;
}

#[test]
fn st6_an_upstream_that_cuts_a_body_at_any_byte_is_a_failure_or_its_answer() {
    let stage = Stage::new();
    let client = Arc::clone(&stage.client);
    stage.run(async {
        let upstream = Upstream::start().await;
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let mut cuts = JoinSet::new();
        for sent in &SENT {
            // Every byte of the small ones; of the big ones, some on both sides of every border.
            let step = if sent.len() > 1000 { 4999 } else { 1 };
            for at in (0..=sent.on_the_wire()).step_by(step) {
                for deed in [Deed::Fin, Deed::Reset, Deed::Refuse, Deed::AnswerEarly] {
                    let (client, upstream) = (client.clone(), upstream.clone());
                    let turn = room.clone().acquire_owned().await.expect("open");
                    cuts.spawn(async move {
                        upstream_cuts(&client, &upstream, sent, at, deed).await;
                        drop(turn);
                    });
                }
            }
        }
        all_done(cuts).await;
        upstream.assert_nothing_violated();
    });
    drop(client);
    stage.leaves_nothing();
}
