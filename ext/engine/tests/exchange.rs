//! Exchanges with a scripted upstream: real sockets, no Ruby.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use streaming_engine::{
    BodyEvent, BodyKind, Bytes, Client, ClientFacts, Exchange, Failure, HeadEvent, Kind, Phase,
    Policy, PoolSettings, RequestHead, ResponseHead, Retry, Signal, Target, Timeouts, Written,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// The reader's side: an exchange and what its signal rings.
struct Reader {
    exchange: Exchange,
    rung: Receiver<()>,
}

impl Reader {
    fn open(client: &Client, url: &str, body: BodyKind, policy: Policy) -> Self {
        let target = Target::parse(url.as_bytes()).expect("a URL");
        let method = if body == BodyKind::None { "GET" } else { "PUT" };
        let facts = ClientFacts { version: "1.1".to_owned(), ..ClientFacts::default() };
        let head = RequestHead::new(method.as_bytes(), target, std::iter::empty(), facts);
        let (sender, rung) = channel();
        let signal = Signal::new(move || {
            let _ = sender.send(());
        });
        let head = head.expect("a head");
        let exchange = client.open(head, body, true, Arc::new(policy), signal);
        Reader { exchange, rung }
    }

    fn wait(&self) {
        self.rung.recv_timeout(PATIENCE).expect("the signal rings");
    }

    fn head(&mut self) -> Result<ResponseHead, Failure> {
        loop {
            match self.exchange.head()? {
                HeadEvent::Head(head) => return Ok(*head),
                HeadEvent::Rewind => panic!("nothing was to be sent again"),
                HeadEvent::Again => self.wait(),
            }
        }
    }

    fn body(&mut self) -> (Vec<u8>, Result<(), Failure>) {
        let mut whole = Vec::new();
        loop {
            match self.exchange.read(64 * 1024) {
                Ok(BodyEvent::Chunks(parts)) => whole.extend(parts.concat()),
                Ok(BodyEvent::End) => return (whole, Ok(())),
                Ok(BodyEvent::Again) => self.wait(),
                Err(failure) => return (whole, Err(failure)),
            }
        }
    }
}

/// Serves connections one after another with `script`; counts them when joined.
fn upstream(
    connections: usize,
    script: impl Fn(usize, &mut TcpStream) + Send + 'static,
) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let thread = thread::spawn(move || {
        for number in 0..connections {
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            script(number, &mut stream);
        }
    });
    (url, thread)
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("text")
}

fn client() -> Client {
    Client::start().expect("threads")
}

#[test]
fn a_connection_serves_one_exchange_after_another() {
    let (url, thread) = upstream(1, |_, stream| {
        for _ in 0..2 {
            read_head(stream);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").expect("sent");
        }
    });
    let client = client();
    for _ in 0..2 {
        let mut reader = Reader::open(&client, &url, BodyKind::None, Policy::default());
        assert_eq!(reader.head().expect("a head").length, Some(5));
        let (body, outcome) = reader.body();
        assert_eq!((&body[..], outcome.is_ok()), (&b"hello"[..], true));
    }
    // The upstream accepts no second connection.
    thread.join().expect("the upstream ends well");
}

#[test]
fn st2_a_body_cut_short_is_a_failure_after_its_bytes() {
    let (url, thread) = upstream(1, |_, stream| {
        read_head(stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel").expect("sent");
    });
    let client = client();
    let mut reader = Reader::open(&client, &url, BodyKind::None, Policy::default());
    reader.head().expect("a head");
    let (body, outcome) = reader.body();
    let failure = outcome.expect_err("cut");
    assert_eq!(
        (&body[..], failure.kind, failure.phase),
        (&b"hel"[..], Kind::Protocol, Phase::Body)
    );
    thread.join().expect("the upstream ends well");
}

#[test]
fn st4_closing_an_exchange_ends_its_connection_at_once() {
    let (sender, gone) = channel();
    let (url, thread) = upstream(1, move |_, stream| {
        read_head(stream);
        sender.send(Instant::now()).expect("told");
        assert_eq!(stream.read(&mut [0]).expect("a FIN"), 0);
        sender.send(Instant::now()).expect("told");
    });
    let client = client();
    let mut reader = Reader::open(&client, &url, BodyKind::None, Policy::default());
    gone.recv_timeout(PATIENCE).expect("the request arrives");
    let closed = Instant::now();
    reader.exchange.close();
    let seen = gone.recv_timeout(PATIENCE).expect("the FIN arrives");
    assert!(seen.duration_since(closed) < Duration::from_secs(1));
    thread.join().expect("the upstream ends well");
}

#[test]
fn st7_a_reader_that_stops_reading_stops_the_upstream() {
    let (url, thread) = upstream(1, |_, stream| {
        read_head(stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("sent");
        stream.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        let (block, mut sent) = ([0; 64 * 1024], 0);
        let stopped = loop {
            match stream.write(&block) {
                Ok(len) => sent += len,
                Err(err) => break err,
            }
        };
        assert!(matches!(stopped.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{stopped}");
        assert!(sent < 8 * 1024 * 1024, "{sent} bytes were taken");
    });
    let client = client();
    let mut reader = Reader::open(&client, &url, BodyKind::None, Policy::default());
    reader.head().expect("a head");
    thread.join().expect("the upstream was stopped");
}

#[test]
fn rt4_a_body_past_what_is_kept_is_asked_for_again() {
    let body = 200 * 1024;
    let (url, thread) = upstream(2, move |number, stream| {
        assert!(read_head(stream).contains("content-length: 204800\r\n"));
        let mut whole = vec![0; body];
        stream.read_exact(&mut whole).expect("the whole body");
        assert!(whole.iter().all(|byte| *byte == b'x'));
        let status = if number == 0 { "503 Later" } else { "200 OK" };
        let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
    });
    let client = client();
    let retry = Retry { on_5xx: 1, delay: Duration::ZERO };
    let policy = Policy { retry, ..Policy::default() };
    let mut reader = Reader::open(&client, &url, BodyKind::Length(body as u64), policy);
    let (mut left, mut rewinds) = (body, 0);
    let head = loop {
        match reader.exchange.head().expect("no failure") {
            HeadEvent::Head(head) => break head,
            HeadEvent::Rewind => (left, rewinds) = (body, rewinds + 1),
            HeadEvent::Again if left > 0 && reader.exchange.writable() == Written::Taken => {
                let len = left.min(64 * 1024);
                reader.exchange.write(Bytes::from(vec![b'x'; len]));
                left -= len;
            }
            HeadEvent::Again => reader.wait(),
        }
    };
    assert_eq!((head.status, rewinds), (200, 1));
    assert_eq!(reader.exchange.report().attempts.len(), 2);
    thread.join().expect("the upstream ends well");
}

#[test]
fn rq6_a_short_upload_never_reaches_the_upstream_as_complete() {
    let (url, thread) = upstream(1, |_, stream| {
        let mut sent = Vec::new();
        // A FIN or a reset: both tell the upstream that it has not got the whole.
        let _ = stream.read_to_end(&mut sent);
        let sent = String::from_utf8(sent).expect("text");
        let body = sent.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        assert!(body.len() < 10, "{body:?}");
    });
    let client = client();
    let mut reader = Reader::open(&client, &url, BodyKind::Length(10), Policy::default());
    assert_eq!(reader.exchange.write(Bytes::from_static(b"abc")), Written::Taken);
    reader.exchange.finish();
    let failure = reader.head().expect_err("short");
    assert_eq!(failure.kind, Kind::RequestBody);
    assert!(failure.to_string().contains("7 bytes short"), "{failure}");
    thread.join().expect("the upstream ends well");
}

#[test]
fn st2_a_reset_hidden_by_a_failed_write_is_no_end() {
    let (url, thread) = upstream(1, |_, stream| {
        read_head(stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\npart").expect("sent");
        stream.read_exact(&mut [0; 1000]).expect("some of the body");
        // Closed with unread bytes: a reset, of which a write will hear first.
    });
    let client = client();
    let mut reader = Reader::open(&client, &url, BodyKind::Chunked, Policy::default());
    let mut writing = true;
    let outcome = loop {
        writing = writing && reader.exchange.write(Bytes::from(vec![b'x'; 4096])) == Written::Taken;
        match reader.exchange.head() {
            Ok(HeadEvent::Head(_)) => break Ok(()),
            Ok(HeadEvent::Again) if !writing => reader.wait(),
            Ok(_) => {}
            Err(failure) => break Err(failure),
        }
    };
    let outcome = outcome.and_then(|()| {
        loop {
            let _ = reader.exchange.write(Bytes::from(vec![b'x'; 4096]));
            match reader.exchange.read(64 * 1024) {
                Ok(BodyEvent::End) => break Ok(()),
                Ok(_) => thread::yield_now(),
                Err(failure) => break Err(failure),
            }
        }
    });
    assert_eq!(outcome.expect_err("cut").kind, Kind::Protocol);
    thread.join().expect("the upstream ends well");
}

#[test]
fn st6_an_upstream_that_reads_no_more_does_not_hold_up_the_end() {
    let (sender, done) = channel::<()>();
    let (url, thread) = upstream(50, move |_, stream| {
        read_head(stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").expect("sent");
        let _ = done.recv_timeout(PATIENCE);
    });
    let client = client();
    // More than the socket's buffers take, so that its tail stays in hyper's.
    for length in (3000..4600).step_by(32).map(|kib| kib * 1024) {
        let pool = PoolSettings { max_idle: 0, ..PoolSettings::default() };
        let policy = Policy { pool, ..Policy::default() };
        let mut reader = Reader::open(&client, &url, BodyKind::Length(length), policy);
        let mut left = length;
        let head = loop {
            match reader.exchange.head().expect("no failure") {
                HeadEvent::Head(head) => break head,
                _ if left > 0 && reader.exchange.writable() == Written::Taken => {
                    let len = left.min(64 * 1024);
                    reader.exchange.write(Bytes::from(vec![b'x'; len as usize]));
                    left -= len;
                }
                _ => reader.wait(),
            }
        };
        assert_eq!(head.status, 200);
        let (body, outcome) = reader.body();
        assert_eq!((&body[..], outcome.is_ok()), (&b"ok"[..], true));
        drop(reader);
        sender.send(()).expect("told");
    }
    thread.join().expect("the upstream ends well");
}

#[test]
fn rt4_a_5xx_before_the_uploads_end_is_tried_again_with_what_was_kept() {
    let (url, thread) = upstream(2, |number, stream| {
        read_head(stream);
        if number == 0 {
            stream.write_all(b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n").expect("sent");
            let _ = stream.read(&mut [0; 1024]);
        } else {
            let mut body = vec![0; 100_000];
            stream.read_exact(&mut body).expect("the whole body");
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").expect("sent");
        }
    });
    let client = client();
    let retry = Retry { on_5xx: 1, delay: Duration::from_millis(50) };
    let policy = Policy { retry, ..Policy::default() };
    let target = Target::parse(url.as_bytes()).expect("a URL");
    let facts = ClientFacts { version: "1.1".to_owned(), ..ClientFacts::default() };
    let head = RequestHead::new(b"POST", target, std::iter::empty(), facts).expect("a head");
    let (sender, rung) = channel();
    let signal = Signal::new(move || {
        let _ = sender.send(());
    });
    let body = BodyKind::Length(100_000);
    // Not rewindable: the writer goes on where it is, and what went before is replayed.
    let exchange = client.open(head, body, false, Arc::new(policy), signal);
    let mut reader = Reader { exchange, rung };
    reader.exchange.write(Bytes::from(vec![b'a'; 1000]));
    while reader.exchange.report().attempts.is_empty() {
        assert!(matches!(reader.exchange.head(), Ok(HeadEvent::Again)), "no head yet");
        thread::sleep(Duration::from_millis(1));
    }
    for _ in 0..99 {
        assert_eq!(reader.exchange.write(Bytes::from(vec![b'b'; 1000])), Written::Taken);
    }
    assert_eq!(reader.head().expect("a head").status, 200);
    thread.join().expect("the upstream ends well");
}

#[test]
fn to2_each_clock_names_its_phase() {
    let (url, thread) = upstream(3, |_, stream| {
        read_head(stream);
        assert_eq!(stream.read(&mut [0]).expect("a FIN"), 0);
    });
    let client = client();
    let brief = Some(Duration::from_millis(50));
    let cases = [
        (Timeouts { head: brief, ..Timeouts::default() }, Phase::Head, "(timeout)"),
        (Timeouts { total: brief, ..Timeouts::default() }, Phase::Total, "(total_timeout)"),
        (Timeouts { head: brief, idle: brief, ..Timeouts::default() }, Phase::Head, "(timeout)"),
    ];
    for (timeouts, phase, setting) in cases {
        let policy = Policy { timeouts, ..Policy::default() };
        let mut reader = Reader::open(&client, &url, BodyKind::None, policy);
        let failure = reader.head().expect_err("late");
        assert_eq!((failure.kind, failure.phase), (Kind::Timeout, phase));
        assert!(failure.to_string().contains(setting), "{failure}");
    }
    let zero = Timeouts { head: Some(Duration::ZERO), ..Timeouts::default() };
    let policy = Policy { timeouts: zero, ..Policy::default() };
    let mut reader = Reader::open(&client, &url, BodyKind::None, policy);
    assert_eq!(reader.head().expect_err("at once").phase, Phase::Head);
    thread.join().expect("the upstream ends well");
}
