//! After which responses a connection serves on, and after which it does not.

use std::io::{Read, Write};
use std::mem::ManuallyDrop;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use streaming_engine::{BodyKind, Bytes, Client, Kind, Policy, Written};

use crate::peers::{PATIENCE, Reader, client};

/// An upstream whose connections live beside each other.
struct Serving {
    url: String,
    connections: Arc<AtomicUsize>,
    /// A message for each connection that the engine has ended.
    ended: Receiver<()>,
}

impl Serving {
    /// Answers each request by `answer`; ends the connection when that says so.
    fn start(answer: impl Fn(&mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let (connections, answer) = (Arc::<AtomicUsize>::default(), Arc::new(answer));
        let (sender, ended) = channel();
        let counted = connections.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, answer, sender) =
                    (stream.expect("a connection"), answer.clone(), sender.clone());
                counted.fetch_add(1, Ordering::SeqCst);
                stream.set_nodelay(true).expect("an open socket");
                thread::spawn(move || {
                    while heard_request(&mut stream) && answer(&mut stream) {}
                    drop(stream);
                    let _ = sender.send(());
                });
            }
        });
        Serving { url, connections, ended }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn await_end(&self) {
        self.ended.recv_timeout(PATIENCE).expect("the connection is ended");
    }
}

/// Reads a head; false at the connection's end.
fn heard_request(stream: &mut TcpStream) -> bool {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return false,
        }
    }
    true
}

fn sends(response: &'static str) -> impl Fn(&mut TcpStream) -> bool + Send + Sync + 'static {
    move |stream| stream.write_all(response.as_bytes()).is_ok()
}

fn get(client: &Client, method: &str, url: &str) -> Vec<u8> {
    let mut reader = Reader::open_as(client, method, url, BodyKind::None, Policy::default());
    reader.head().expect("a head");
    let (body, outcome) = reader.body();
    outcome.expect("the whole");
    body
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                       2\r\nok\r\n00a;x=\"y\"\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n";

/// Method, response, body.
const SERVES_ON: [(&str, &str, &str); 18] = [
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok"),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", "ok"),
    ("GET", CHUNKED, "ok0123456789"),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", ""),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
    ("GET", "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", ""),
    ("GET", "HTTP/1.1 200 OK\r\nConnection: X-Close, closed\r\nContent-Length: 0\r\n\r\n", ""),
    ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", ""),
    ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ""),
    ("HEAD", "HTTP/1.1 200 OK\r\n\r\n", ""),
    ("GET", "HTTP/1.1 204 No Content\r\n\r\n", ""),
    ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n", ""),
    ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", ""),
    ("GET", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", ""),
    ("GET", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone", "none"),
    ("GET", "HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", "x"),
    ("GET", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", "ok"),
    (
        "GET",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "ok",
    ),
];

#[test]
fn cn1_a_connection_serves_on_after_a_response_that_was_read_whole() {
    for (method, response, body) in SERVES_ON {
        let upstream = Serving::start(sends(response));
        let client = client();
        for _ in 0..3 {
            assert_eq!(get(&client, method, &upstream.url), body.as_bytes(), "{response}");
        }
        assert_eq!(upstream.connections(), 1, "{method} {response}");
    }
}

#[test]
fn cn1_a_connection_serves_on_wherever_the_response_is_split() {
    let split = AtomicUsize::new(1);
    let upstream = Serving::start(move |stream| {
        let at = split.fetch_add(1, Ordering::SeqCst);
        stream.write_all(&CHUNKED.as_bytes()[..at]).expect("sent");
        // Time for the first part to be read by itself; nothing tells when that has happened.
        thread::sleep(Duration::from_millis(1));
        stream.write_all(&CHUNKED.as_bytes()[at..]).is_ok()
    });
    let client = client();
    for at in 1..CHUNKED.len() {
        assert_eq!(get(&client, "GET", &upstream.url), b"ok0123456789", "split at {at}");
    }
    assert_eq!(upstream.connections(), 1);
}

/// Method and response.
const IS_THE_LAST: [(&str, &str); 16] = [
    ("GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"),
    ("GET", "HTTP/1.1 200 OK\r\nCONNECTION: CLOSE\r\nContent-Length: 2\r\n\r\nok"),
    ("GET", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok"),
    ("GET", "HTTP/1.1 200 OK\r\nConnection: x,close,y\r\nContent-Length: 2\r\n\r\nok"),
    ("GET", "HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
    ("GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: x\r\nContent-Length: 0\r\n\r\n"),
    ("GET", "HTTP/1.1 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 0\r\n\r\n"),
    ("GET", "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"),
    ("HEAD", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\n"),
    ("GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 0\r\n\r\n"),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n"),
    ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ("GET", "HTTP/1.1 204 No Content\r\n\r\nhello"),
    ("GET", "HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\nhello"),
    (
        "GET",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\nok\r\n0\r\n\r\n",
    ),
];

#[test]
fn cn1_a_connection_is_ended_after_a_response_that_must_be_its_last() {
    for (method, response) in IS_THE_LAST {
        let upstream = Serving::start(sends(response));
        let client = client();
        for number in 1..=3 {
            get(&client, method, &upstream.url);
            upstream.await_end();
            assert_eq!(upstream.connections(), number, "{method} {response}");
        }
    }
}

#[test]
fn cn1_a_connection_is_not_used_after_a_body_that_it_ended() {
    let upstream = Serving::start(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nuntil the end").expect("sent");
        false
    });
    let client = client();
    for number in 1..=3 {
        assert_eq!(get(&client, "GET", &upstream.url), b"until the end");
        assert_eq!(upstream.connections(), number);
    }
}

#[test]
fn cn1_a_connection_is_ended_when_bytes_come_that_nobody_asked_for() {
    let (sender, told) = channel::<()>();
    let told = Mutex::new(told);
    let upstream = Serving::start(move |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").expect("sent");
        if told.lock().expect("no panic").recv().is_ok() {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nspoof").expect("sent");
        }
        true
    });
    let client = client();
    for number in 1..=3 {
        assert_eq!(get(&client, "GET", &upstream.url), b"ok");
        let started = Instant::now();
        while client.stats().idle_connections != 1 {
            assert!(started.elapsed() < PATIENCE, "the connection is kept at first");
            thread::yield_now();
        }
        sender.send(()).expect("told");
        upstream.await_end();
        assert_eq!(upstream.connections(), number);
    }
}

#[test]
fn cn1_a_connection_is_ended_after_a_response_that_is_refused() {
    for response in [
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    ] {
        let upstream = Serving::start(sends(response));
        let client = client();
        for number in 1..=2 {
            let mut reader =
                Reader::open(&client, &upstream.url, BodyKind::None, Policy::default());
            assert_eq!(reader.head().expect_err("refused").kind, Kind::Protocol, "{response}");
            upstream.await_end();
            assert_eq!(upstream.connections(), number, "{response}");
        }
    }
}

#[test]
fn cn2_a_connection_is_ended_when_the_reader_leaves_before_the_bodys_end() {
    let upstream = Serving::start(sends("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart"));
    let client = client();
    for number in 1..=3 {
        let mut reader = Reader::open(&client, &upstream.url, BodyKind::None, Policy::default());
        reader.head().expect("a head");
        reader.exchange.close();
        upstream.await_end();
        assert_eq!(upstream.connections(), number);
    }
}

#[test]
fn cn1_a_connection_is_ended_after_an_answer_to_half_a_request() {
    for status in ["200 OK", "413 Too Large"] {
        let upstream = Serving::start(move |stream| {
            stream.read_exact(&mut [0; 3]).expect("half of the body");
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\nearly");
            stream.write_all(head.as_bytes()).is_ok()
        });
        let client = client();
        for number in 1..=3 {
            let policy = Policy::default();
            let mut reader = Reader::open(&client, &upstream.url, BodyKind::Length(6), policy);
            assert_eq!(reader.exchange.write(Bytes::from_static(b"abc")), Written::Taken);
            reader.head().expect("a head");
            let (body, outcome) = reader.body();
            assert_eq!((&body[..], outcome.is_ok()), (&b"early"[..], true), "{status}");
            upstream.await_end();
            assert_eq!(upstream.connections(), number, "{status}");
        }
    }
}

#[test]
fn cn3_a_stale_connection_is_replaced_while_another_lies_idle() {
    let (asked, both) = (AtomicUsize::new(0), Barrier::new(2));
    // Two answers at once make two connections; the next request finds the one it gets closed.
    let upstream = Serving::start(move |stream| {
        match asked.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => both.wait().is_leader(),
            2 => return false,
            _ => true,
        };
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok()
    });
    // An engine that hangs would never be dropped: the test fails all the same.
    let client = ManuallyDrop::new(client());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| assert_eq!(get(&client, "GET", &upstream.url), b"ok"));
        }
    });
    let started = Instant::now();
    while client.stats().idle_connections != 2 {
        assert!(started.elapsed() < PATIENCE, "both connections are kept");
        thread::yield_now();
    }
    assert_eq!(get(&client, "GET", &upstream.url), b"ok");
    assert_eq!(upstream.connections(), 3);
    drop(ManuallyDrop::into_inner(client));
}
