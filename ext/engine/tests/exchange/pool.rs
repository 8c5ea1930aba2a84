//! Connections: limits, the queue for them, age, and what is kept.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use streaming_engine::{BodyKind, Client, Kind, Phase, Policy, PoolSettings};

use crate::peers::{PATIENCE, Reader, client, read_head, upstream};

/// An upstream that serves connections at once, each for as long as it lasts; it answers a request
/// when the test says so, with the connection's number and the rest that the test gives.
struct Held {
    url: String,
    /// One for each connection.
    answers: Vec<Sender<&'static str>>,
    asked: Receiver<usize>,
    _thread: JoinHandle<()>,
}

impl Held {
    fn start(connections: usize) -> Self {
        let (answers, to_give): (Vec<_>, Vec<_>) = (0..connections).map(|_| channel()).unzip();
        let (tell, asked) = channel();
        let to_give = Mutex::new(to_give.into_iter());
        let (url, _thread) = upstream(connections, move |number, stream| {
            let to_give = to_give.lock().expect("answers").next().expect("one for each");
            let tell = tell.clone();
            let mut stream = stream.try_clone().expect("a duplicate");
            thread::spawn(move || converse(number, &mut stream, &to_give, &tell));
        });
        Held { url, answers, asked, _thread }
    }

    fn wait_for_request(&self) -> usize {
        self.asked.recv_timeout(PATIENCE).expect("a request")
    }

    fn answer(&self, number: usize, fields: &'static str) {
        self.answers[number].send(fields).expect("the upstream lives");
    }
}

/// Instead of fields: the connection is closed without an answer.
const CLOSE: &str = "close";

fn converse(
    number: usize,
    stream: &mut TcpStream,
    answers: &Receiver<&'static str>,
    asked: &Sender<usize>,
) {
    let mut first = [0];
    while matches!(stream.peek(&mut first), Ok(1)) {
        read_head(stream);
        let _ = asked.send(number);
        let Ok(fields) = answers.recv() else { return };
        if fields == CLOSE {
            return;
        }
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 1\r\n\r\n{number}");
        stream.write_all(answer.as_bytes()).expect("sent");
    }
}

fn with(pool: PoolSettings) -> Policy {
    Policy { pool, ..Policy::default() }
}

fn get(client: &Client, url: &str, policy: &Policy) -> Reader {
    Reader::open(client, url, BodyKind::None, policy.clone())
}

fn whole(reader: &mut Reader) -> Vec<u8> {
    assert_eq!(reader.head().expect("a head").status, 200);
    let (body, outcome) = reader.body();
    outcome.expect("whole");
    body
}

fn waits(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it never came true");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn cn5_requests_past_the_limit_wait_in_a_queue_and_share_the_connection() {
    let upstream = Held::start(1);
    let client = client();
    let policy = with(PoolSettings { max_connections: 1, ..PoolSettings::default() });
    let mut readers = vec![get(&client, &upstream.url, &policy)];
    upstream.wait_for_request();
    for waiting in 1..=2 {
        readers.push(get(&client, &upstream.url, &policy));
        waits(|| client.stats().waiting_requests == waiting);
    }
    for reader in &mut readers {
        upstream.answer(0, "");
        assert_eq!(whole(reader), b"0");
    }
    waits(|| client.stats().idle_connections == 1 && client.stats().waiting_requests == 0);
}

#[test]
fn cn5_one_that_waits_takes_the_place_of_a_connection_that_ends() {
    let upstream = Held::start(2);
    let client = client();
    let policy = with(PoolSettings { max_connections: 1, ..PoolSettings::default() });
    let mut first = get(&client, &upstream.url, &policy);
    upstream.wait_for_request();
    let mut second = get(&client, &upstream.url, &policy);
    waits(|| client.stats().waiting_requests == 1);
    upstream.answer(0, "Connection: close\r\n");
    assert_eq!(whole(&mut first), b"0");
    upstream.answer(1, "");
    assert_eq!(whole(&mut second), b"1");
}

#[test]
fn cn5_one_that_has_left_the_queue_gets_nothing() {
    let upstream = Held::start(1);
    let client = client();
    let policy = with(PoolSettings { max_connections: 1, ..PoolSettings::default() });
    let mut first = get(&client, &upstream.url, &policy);
    upstream.wait_for_request();
    let gone = get(&client, &upstream.url, &policy);
    waits(|| client.stats().waiting_requests == 1);
    let mut third = get(&client, &upstream.url, &policy);
    waits(|| client.stats().waiting_requests == 2);
    drop(gone);
    waits(|| client.stats().waiting_requests == 1);
    upstream.answer(0, "");
    assert_eq!(whole(&mut first), b"0");
    upstream.answer(0, "");
    assert_eq!(whole(&mut third), b"0");
}

#[test]
fn cn5_waiting_too_long_or_in_too_long_a_queue_is_an_overload() {
    let upstream = Held::start(1);
    let client = client();
    let wait = Duration::from_secs(1);
    let pool = PoolSettings { max_connections: 1, max_waiting: 1, wait, ..PoolSettings::default() };
    let policy = with(pool);
    let mut first = get(&client, &upstream.url, &policy);
    upstream.wait_for_request();
    let mut second = get(&client, &upstream.url, &policy);
    waits(|| client.stats().waiting_requests == 1);
    let failure = get(&client, &upstream.url, &policy).head().expect_err("a failure");
    assert_eq!((failure.kind, failure.phase), (Kind::Overloaded, Phase::Connect));
    assert!(failure.to_string().contains("max_waiting_requests"), "{failure}");
    let failure = second.head().expect_err("a failure");
    assert_eq!((failure.kind, failure.phase), (Kind::Overloaded, Phase::Connect));
    assert!(failure.to_string().contains("within 1 s (max_connections"), "{failure}");
    upstream.answer(0, "");
    assert_eq!(whole(&mut first), b"0");
}

#[test]
fn cn5_a_connection_serves_so_many_requests_and_no_more() {
    let upstream = Held::start(2);
    let client = client();
    let policy = with(PoolSettings { max_requests: Some(2), ..PoolSettings::default() });
    for number in [0, 0, 1] {
        upstream.answer(number, "");
        assert_eq!(whole(&mut get(&client, &upstream.url, &policy)), number.to_string().as_bytes());
    }
}

#[test]
fn cn5_an_old_connection_serves_no_further_request() {
    let upstream = Held::start(2);
    let client = client();
    let max_age = Some(Duration::from_millis(1));
    let policy = with(PoolSettings { max_age, ..PoolSettings::default() });
    for number in [0, 1] {
        upstream.answer(number, "");
        assert_eq!(whole(&mut get(&client, &upstream.url, &policy)), number.to_string().as_bytes());
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn cn5_an_upstream_that_keeps_a_connection_for_a_second_gets_a_new_one() {
    let upstream = Held::start(2);
    let client = client();
    for number in [0, 1] {
        upstream.answer(number, "Keep-Alive: timeout=1\r\n");
        assert_eq!(
            whole(&mut get(&client, &upstream.url, &Policy::default())),
            number.to_string().as_bytes()
        );
    }
}

#[test]
fn cn5_keeps_so_many_idle_connections_and_no_more() {
    let upstream = Held::start(3);
    let client = client();
    let policy = with(PoolSettings { max_idle: 2, ..PoolSettings::default() });
    let mut readers: Vec<_> = (0..3).map(|_| get(&client, &upstream.url, &policy)).collect();
    readers.iter().for_each(|_| {
        upstream.wait_for_request();
    });
    (0..3).for_each(|number| upstream.answer(number, ""));
    readers.iter_mut().for_each(|reader| {
        whole(reader);
    });
    waits(|| client.stats().connections == 2 && client.stats().idle_connections == 2);
}

#[test]
fn cn3_who_needs_a_fresh_connection_gets_the_place_of_one_that_comes_free() {
    let upstream = Held::start(4);
    let client = client();
    let policy = with(PoolSettings { max_connections: 2, ..PoolSettings::default() });
    upstream.answer(0, "");
    assert_eq!(whole(&mut get(&client, &upstream.url, &policy)), b"0");
    assert_eq!(upstream.wait_for_request(), 0);
    let mut stale = get(&client, &upstream.url, &policy);
    assert_eq!(upstream.wait_for_request(), 0);
    let mut busy = get(&client, &upstream.url, &policy);
    assert_eq!(upstream.wait_for_request(), 1);
    let mut third = get(&client, &upstream.url, &policy);
    waits(|| client.stats().waiting_requests == 1);
    // The place of the stale connection goes to the one in the queue; its own request is the next.
    upstream.answer(0, CLOSE);
    assert_eq!(upstream.wait_for_request(), 2);
    waits(|| client.stats().waiting_requests == 1);
    upstream.answer(1, "");
    assert_eq!(whole(&mut busy), b"1");
    assert_eq!(upstream.wait_for_request(), 3);
    upstream.answer(2, "");
    upstream.answer(3, "");
    assert_eq!(whole(&mut third), b"2");
    assert_eq!(whole(&mut stale), b"3");
}

#[test]
fn cn5_a_refused_connection_frees_its_place() {
    let client = client();
    let policy = with(PoolSettings { max_connections: 1, ..PoolSettings::default() });
    let (url, thread) = upstream(0, |_, _| {});
    thread.join().expect("it listens no more");
    for _ in 0..3 {
        let failure = get(&client, &url, &policy).head().expect_err("a failure");
        assert_eq!(failure.kind, Kind::Connect);
    }
    waits(|| client.stats().exchanges == 0 && client.stats().tasks <= 1);
}
