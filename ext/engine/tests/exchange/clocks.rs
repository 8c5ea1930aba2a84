//! The clocks around real sockets. How exact they are is measured under paused time, beside them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use streaming_engine::{BodyKind, Bytes, Failure, Kind, Phase, Policy, Retry, Timeouts, Written};

use crate::peers::{PATIENCE, Reader, client, read_head, upstream};

const BRIEF: Duration = Duration::from_millis(100);

fn limited(timeouts: Timeouts) -> Policy {
    Policy { timeouts, ..Policy::default() }
}

fn connecting(url: &str) -> Failure {
    let policy = limited(Timeouts { connect: Some(BRIEF), ..Timeouts::default() });
    let started = Instant::now();
    let failure =
        Reader::open(&client(), url, BodyKind::None, policy).head().expect_err("no connection");
    assert!(started.elapsed() >= BRIEF, "{:?}", started.elapsed());
    assert_eq!(failure.kind, Kind::Timeout);
    assert!(failure.to_string().ends_with("within 0.1 s (connect_timeout)"), "{failure}");
    failure
}

#[test]
fn to1_connect_timeout_covers_a_connection_that_nobody_accepts() {
    let deaf = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    deaf.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    deaf.listen(0).expect("a queue");
    let address = deaf.local_addr().expect("an address");
    // Connections that fill the queue, so that the next one is not answered.
    let fill = |_| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_nonblocking(true).expect("an open socket");
        let _ = socket.connect(&address);
        socket
    };
    let filling: Vec<_> = (0..4).map(fill).collect();
    let address = address.as_socket().expect("an address");
    assert_eq!(connecting(&format!("http://{address}/")).phase, Phase::Connect);
    drop(filling);
}

#[test]
fn to1_connect_timeout_covers_the_tls_handshake() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    assert_eq!(connecting(&format!("https://{address}/")).phase, Phase::Tls);
}

#[test]
fn to1_a_slow_reader_is_no_timeout() {
    const SIZE: usize = 32 * 1024 * 1024;
    let bytes = vec![b'x'; SIZE];
    let (url, thread) = upstream(1, move |_, stream| {
        read_head(stream);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
        stream.write_all(&bytes).expect("the reader goes on");
    });
    let client = client();
    let limit = Some(5 * BRIEF);
    let timeouts = Timeouts { head: limit, idle: limit, ..Timeouts::default() };
    let mut reader = Reader::open(&client, &url, BodyKind::None, limited(timeouts));
    reader.head().expect("a head");
    // The reader does something else for longer than both clocks.
    std::thread::sleep(10 * BRIEF);
    assert!(!thread.is_finished(), "the upstream was stopped");
    let (body, outcome) = reader.body();
    assert_eq!((body.len(), outcome.is_ok()), (SIZE, true), "{outcome:?}");
    thread.join().expect("the upstream ends well");
}

#[test]
fn to1_a_stream_that_goes_on_is_cut_by_no_clock_but_total_timeout() {
    let stream_on = |_, stream: &mut std::net::TcpStream| {
        read_head(stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n").expect("sent");
        for _ in 0..20 {
            std::thread::sleep(BRIEF / 2);
            if stream.write_all(b".").is_err() {
                return;
            }
        }
    };
    let limit = Some(4 * BRIEF);
    let active = Timeouts { head: limit, idle: limit, ..Timeouts::default() };
    let (url, thread) = upstream(2, stream_on);
    let client = client();
    let mut reader = Reader::open(&client, &url, BodyKind::None, limited(active));
    reader.head().expect("a head");
    let (body, outcome) = reader.body();
    assert_eq!((body.len(), outcome.is_ok()), (20, true), "{outcome:?}");
    let bounded = Timeouts { total: Some(2 * BRIEF), ..active };
    let mut reader = Reader::open(&client, &url, BodyKind::None, limited(bounded));
    reader.head().expect("a head");
    let (body, outcome) = reader.body();
    let failure = outcome.expect_err("cut");
    assert_eq!((failure.kind, failure.phase), (Kind::Timeout, Phase::Total));
    assert!(body.len() < 20, "{}", body.len());
    thread.join().expect("the upstream ends well");
}

#[test]
fn to1_a_stalled_refusal_of_a_slow_upload_is_a_timeout() {
    let (url, thread) = upstream(1, |_, stream| {
        read_head(stream);
        stream.read_exact(&mut [0; 3]).expect("half of the body");
        stream.write_all(b"HTTP/1.1 413 No\r\nContent-Length: 9\r\n\r\nhalf").expect("sent");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let client = client();
    let policy = limited(Timeouts { idle: Some(BRIEF), ..Timeouts::default() });
    let mut reader = Reader::open(&client, &url, BodyKind::Length(6), policy);
    assert_eq!(reader.exchange.write(Bytes::from_static(b"abc")), Written::Taken);
    assert_eq!(reader.head().expect("a head").status, 413);
    let (body, outcome) = reader.body();
    assert_eq!(&body[..], b"half");
    let failure = outcome.expect_err("late");
    assert_eq!((failure.kind, failure.phase), (Kind::Timeout, Phase::Idle));
    thread.join().expect("the upstream ends well");
}

#[test]
fn to2_total_timeout_covers_attempts_and_the_delays_between_them() {
    let (sender, answered) = channel();
    let (url, thread) = upstream(1, move |_, stream| {
        read_head(stream);
        stream.write_all(b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n").expect("sent");
        sender.send(()).expect("told");
    });
    let client = client();
    let timeouts = Timeouts { total: Some(3 * BRIEF), ..Timeouts::default() };
    let retry = Retry { on_5xx: 9, delay: PATIENCE };
    let policy = Policy { retry, ..limited(timeouts) };
    let mut reader = Reader::open(&client, &url, BodyKind::None, policy);
    answered.recv_timeout(PATIENCE).expect("the first attempt is answered");
    let failure = reader.head().expect_err("late");
    assert_eq!((failure.kind, failure.phase), (Kind::Timeout, Phase::Total));
    assert!(failure.to_string().ends_with("within 0.3 s (total_timeout)"), "{failure}");
    thread.join().expect("the upstream ends well");
}
