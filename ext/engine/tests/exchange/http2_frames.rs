//! HTTP/2 upstreams that do what no sound one does (RFC 9113), frame by frame.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use streaming_engine::{
    BodyKind, Client, Http2, Kind, Phase, Policy, PoolSettings, Snapshot, Timeouts,
};

use crate::peers::{PATIENCE, Reader, client};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const NO_ERROR: [u8; 4] = [0; 4];
/// `:status: 200`, by its index in HPACK's static table.
const OK: &[u8] = &[0x88];

/// The upstream's end of a connection.
struct Frames(TcpStream);

impl Frames {
    /// Takes the client's preface.
    fn begin(mut stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).expect("a preface");
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        Frames(stream)
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame).expect("sent");
    }

    fn settings(&mut self, max_concurrent_streams: u32) {
        let mut payload = vec![0, 3];
        payload.extend(max_concurrent_streams.to_be_bytes());
        self.send(SETTINGS, 0, 0, &payload);
    }

    fn goaway(&mut self, last_stream: u32) {
        self.send(GOAWAY, 0, 0, &[last_stream.to_be_bytes(), NO_ERROR].concat());
    }

    /// The stream of the next request; none when the client has gone.
    fn request(&mut self) -> Option<u32> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).ok()?;
            let [a, b, c, kind, _, id @ ..] = head;
            self.0.read_exact(&mut vec![0; u32::from_be_bytes([0, a, b, c]) as usize]).ok()?;
            if kind == HEADERS {
                return Some(u32::from_be_bytes(id));
            }
        }
    }

    fn answer(&mut self, stream: u32) {
        self.send(HEADERS, END_HEADERS, stream, OK);
        self.send(DATA, END_STREAM, stream, b"fine");
    }

    /// Answers whatever else is asked for.
    fn go_on(mut self) {
        while let Some(stream) = self.request() {
            self.answer(stream);
        }
    }
}

/// Serves each connection with `script`, all at once.
fn frames(script: impl Fn(usize, Frames) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let script = Arc::new(script);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let (script, stream) = (script.clone(), stream.expect("a connection"));
            thread::spawn(move || script(number, Frames::begin(stream)));
        }
    });
    url
}

fn policy() -> Policy {
    Policy { http2: Http2::Always, ..Policy::default() }
}

fn whole(client: &Client, url: &str, policy: &Policy) {
    let mut reader = Reader::open(client, url, BodyKind::None, policy.clone());
    assert_eq!(reader.head().expect("a head").status, 200);
    let (body, outcome) = reader.body();
    outcome.expect("whole");
    assert_eq!(body, b"fine");
}

fn waits(client: &Client, condition: impl Fn(&Snapshot) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition(&client.stats()) {
        assert!(Instant::now() < deadline, "it never came true: {:?}", client.stats());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn st2_a_reset_without_an_error_code_is_no_end_of_a_body() {
    let url = frames(|_, mut upstream| {
        upstream.settings(100);
        while let Some(stream) = upstream.request() {
            upstream.send(HEADERS, END_HEADERS, stream, OK);
            upstream.send(DATA, 0, stream, b"part");
            upstream.send(RST_STREAM, 0, stream, &NO_ERROR);
        }
    });
    let client = client();
    let mut reader = Reader::open(&client, &url, BodyKind::None, policy());
    reader.head().expect("a head");
    let (body, outcome) = reader.body();
    let failure = outcome.expect_err("a failure");
    assert_eq!((failure.kind, failure.phase), (Kind::Protocol, Phase::Body));
    assert_eq!(body, b"part");
}

#[test]
fn st2_goaway_without_an_error_code_is_no_end_of_a_body() {
    let url = frames(|_, mut upstream| {
        upstream.settings(100);
        while let Some(stream) = upstream.request() {
            upstream.send(HEADERS, END_HEADERS, stream, OK);
            upstream.send(DATA, 0, stream, b"part");
            upstream.goaway(0);
        }
    });
    let client = client();
    let mut reader = Reader::open(&client, &url, BodyKind::None, policy());
    reader.head().expect("a head");
    let failure = reader.body().1.expect_err("a failure");
    assert_eq!((failure.kind, failure.phase), (Kind::Protocol, Phase::Body));
}

/// RFC 9113 section 8.1: so the upstream says that it wants no more of the upload.
#[test]
fn st6_a_reset_without_an_error_code_after_the_response_is_none() {
    let url = frames(|_, mut upstream| {
        upstream.settings(100);
        while let Some(stream) = upstream.request() {
            upstream.answer(stream);
            upstream.send(RST_STREAM, 0, stream, &NO_ERROR);
        }
    });
    let client = client();
    let mut reader = Reader::open(&client, &url, BodyKind::Length(1000), policy());
    assert_eq!(reader.head().expect("a head").status, 200);
    let (body, outcome) = reader.body();
    outcome.expect("whole");
    assert_eq!(body, b"fine");
}
