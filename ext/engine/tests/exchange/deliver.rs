//! Responses that the engine writes to the client's socket.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::task::Wake;
use std::thread;
use std::time::{Duration, Instant};

use streaming_engine::{
    BodyFraming, BodyKind, Bytes, Client, Delivery, Failure, HeadEvent, Kind, Policy,
};

use crate::peers::{PATIENCE, Reader, client, pair, read_head, upstream};

/// Has the response to a request delivered; tells how that ended.
fn deliver(
    client: &Client,
    url: &str,
    server: TcpStream,
    framing: BodyFraming,
    send_timeout: Option<Duration>,
) -> Receiver<Result<(), Failure>> {
    let mut reader = Reader::open(client, url, BodyKind::None, Policy::default());
    reader.head().expect("a head");
    let delivery = Delivery {
        socket: server.into(),
        head: Bytes::from_static(b"HEAD\r\n\r\n"),
        framing,
        send_timeout,
        drain_timeout: PATIENCE,
        min_send_rate: None,
        upstream: url.to_owned(),
    };
    let (told, ended) = channel();
    client.deliver(Arc::new(Mutex::new(reader.exchange)), delivery, move |outcome| {
        let _ = told.send(outcome);
    });
    ended
}

fn read_to_end(client: &mut TcpStream) -> (String, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    let outcome = client.read_to_end(&mut bytes);
    (String::from_utf8(bytes).expect("text"), outcome.err().map(|err| err.kind()))
}

#[test]
fn a_body_is_framed_as_the_head_says() {
    let rows = [
        (BodyFraming::Length, "HEAD\r\n\r\nhello"),
        (BodyFraming::Chunks, "HEAD\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        (BodyFraming::End, "HEAD\r\n\r\nhello"),
    ];
    let (url, thread) = upstream(1, |_, stream| {
        for _ in 0..3 {
            read_head(stream);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").expect("sent");
        }
    });
    let engine = client();
    for (framing, expected) in rows {
        let (mut client, server) = pair();
        let ended = deliver(&engine, &url, server, framing, None);
        assert_eq!(read_to_end(&mut client), (expected.to_owned(), None));
        drop(client);
        ended.recv_timeout(PATIENCE).expect("an end").expect("whole");
        assert_eq!(engine.stats().exchanges, 0);
    }
    thread.join().expect("the upstream ends well");
}

/// Has a response delivered to a client that does not close: after how long it is told of, and
/// whether the connection takes what the client sends then, which nobody wants, instead of resetting
/// what it may not have read.
fn told_after(engine: &Client, url: &str) -> (Duration, bool) {
    let (mut client, server) = pair();
    let began = Instant::now();
    let ended = deliver(engine, url, server, BodyFraming::Length, None);
    ended.recv_timeout(PATIENCE).expect("an end").expect("whole");
    assert!(engine.is_at_rest(), "nothing that has to be waited for");
    let told = began.elapsed();
    assert_eq!(read_to_end(&mut client), ("HEAD\r\n\r\nhello".to_owned(), None));
    let taken = (0..2).all(|_| {
        let taken = client.write_all(b"x").is_ok();
        thread::sleep(Duration::from_millis(50));
        taken
    });
    (told, taken)
}

#[test]
fn a_response_is_told_of_at_its_end_and_its_socket_stays_for_a_client_that_does_not_close() {
    const TRIES: usize = 3;
    let (url, thread) = upstream(1, |_, stream| {
        for _ in 0..TRIES {
            read_head(stream);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").expect("sent");
        }
    });
    let engine = client();
    // More than one, for a busy machine.
    let tries: Vec<_> = (0..TRIES).map(|_| told_after(&engine, &url)).collect();
    assert!(tries.iter().any(|(time, _)| *time < Duration::from_secs(1)), "{tries:?}");
    assert!(tries.iter().any(|(_, taken)| *taken), "{tries:?}");
    thread.join().expect("one connection serves all");
    let due = Instant::now() + PATIENCE;
    while engine.stats().tasks > 0 {
        assert!(Instant::now() < due, "a socket is left behind");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn st2_a_body_cut_short_is_seen_to_be_so() {
    let rows = [
        (BodyFraming::Length, "HEAD\r\n\r\nhel", None),
        (BodyFraming::Chunks, "HEAD\r\n\r\n3\r\nhel\r\n", None),
        (BodyFraming::End, "HEAD\r\n\r\nhel", Some(ErrorKind::ConnectionReset)),
    ];
    let (url, thread) = upstream(3, |_, stream| {
        read_head(stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel").expect("sent");
    });
    let engine = client();
    for (framing, expected, error) in rows {
        let (mut client, server) = pair();
        let ended = deliver(&engine, &url, server, framing, None);
        let failure = ended.recv_timeout(PATIENCE).expect("an end").expect_err("cut");
        assert_eq!(failure.kind, Kind::Protocol);
        assert_eq!(read_to_end(&mut client), (expected.to_owned(), error));
    }
    thread.join().expect("the upstream ends well");
}

/// How often it was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn an_exchange_that_is_not_delivered_but_closed_tells_so_at_once_and_for_ever() {
    let (told, asked) = channel();
    let (url, thread) = upstream(1, move |_, stream| {
        read_head(stream);
        told.send(()).expect("told");
        assert_eq!(stream.read(&mut [0]).unwrap_or_default(), 0, "it is left");
    });
    let engine = client();
    let mut exchange = Reader::open(&engine, &url, BodyKind::None, Policy::default()).exchange;
    let woken = Arc::new(Woken::default());
    exchange.wake_when_ready(&woken.clone().into());
    assert!(matches!(exchange.head(), Ok(HeadEvent::Again)));
    asked.recv_timeout(PATIENCE).expect("a request");
    exchange.close();
    assert_eq!(woken.0.load(Ordering::SeqCst), 1, "who waited");
    exchange.wake_when_ready(&woken.clone().into());
    assert_eq!(woken.0.load(Ordering::SeqCst), 2, "who waits afterwards");
    for _ in 0..3 {
        assert!(exchange.head().expect_err("closed").detail.contains("closed"));
        assert!(exchange.read(9).expect_err("closed").detail.contains("closed"));
    }
    thread.join().expect("the upstream ends well");
}

#[test]
fn st4_a_client_that_leaves_ends_the_exchange() {
    let (told, gone) = channel();
    let (url, thread) = upstream(1, move |_, stream| {
        read_head(stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel").expect("sent");
        told.send(stream.read(&mut [0]).expect("a FIN")).expect("told");
    });
    let engine = client();
    let (mut client, server) = pair();
    let ended = deliver(&engine, &url, server, BodyFraming::Length, None);
    client.read_exact(&mut [0; 11]).expect("the head and three bytes");
    drop(client);
    let failure = ended.recv_timeout(PATIENCE).expect("an end").expect_err("cut");
    assert_eq!(failure.kind, Kind::ClientGone);
    assert_eq!(gone.recv_timeout(PATIENCE).expect("the FIN arrives"), 0);
    thread.join().expect("the upstream ends well");
}

#[test]
fn st7_a_client_that_takes_nothing_makes_the_upstream_wait_and_is_left() {
    let (told, blocked) = channel();
    let (url, thread) = upstream(1, move |_, stream| {
        read_head(stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").expect("sent");
        let chunk = [b"10000\r\n", &[0; 0x10000][..], b"\r\n"].concat();
        let mut sent = 0;
        while stream.write_all(&chunk).is_ok() {
            sent += chunk.len();
        }
        told.send(sent).expect("told");
    });
    let engine = client();
    let (client, server) = pair();
    let ended = deliver(&engine, &url, server, BodyFraming::Chunks, Some(Duration::from_secs(1)));
    let failure = ended.recv_timeout(PATIENCE).expect("an end").expect_err("left");
    assert!(failure.to_string().contains("took nothing for 1 s"), "{failure}");
    assert!(blocked.recv_timeout(PATIENCE).expect("an end") < 32 << 20);
    drop(client);
    thread.join().expect("the upstream ends well");
}
