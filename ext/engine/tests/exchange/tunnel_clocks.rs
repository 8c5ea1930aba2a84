//! How long exchanges that have changed protocols may go on, and without a byte.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use streaming_engine::{Bytes, Client, Kind, Phase, Policy, Timeouts, Tunnel};

use crate::peers::{PATIENCE, Reader, client, pair, upstream};
use crate::tunnel::{open, open_limited, switch};

/// Clocks that run with the machine's: on a busy one the next of these is tried, which is longer.
const LIMITS: [Duration; 3] =
    [Duration::from_millis(400), Duration::from_millis(1600), Duration::from_millis(6400)];
/// Bytes that are sent one by one in two such times.
const BYTES: usize = 40;

fn trickle(stream: &mut TcpStream, limit: Duration) -> bool {
    (0..BYTES).all(|_| {
        thread::sleep(limit * 2 / BYTES as u32);
        stream.write_all(b"x").is_ok()
    })
}

/// Whether bytes down and then up have kept the tunnel; nothing that follows does.
fn kept(engine: &Client, url: &str, limit: Duration) -> bool {
    let mut open = open(engine, url, b"", Some(limit));
    let kept = open.client.read_exact(&mut [0; BYTES]).is_ok() && trickle(&mut open.client, limit);
    let failure = open.end().expect_err("left");
    assert_eq!((failure.kind, failure.phase), (Kind::Timeout, Phase::Idle));
    let rule = format!("{} s (tunnel_timeout)", limit.as_secs_f64());
    assert!(failure.to_string().contains(&rule), "{failure}");
    if !kept || open.passed() != (BYTES as u64, BYTES as u64) {
        return false;
    }
    let error = open.client.read(&mut [0]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    true
}

#[test]
fn ws6_bytes_of_either_direction_keep_a_tunnel_that_is_left_when_nothing_moves() {
    let (url, _thread) = upstream(LIMITS.len(), |number, stream| {
        switch(stream);
        if trickle(stream, LIMITS[number]) {
            // To the end, however the tunnel ends.
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    let engine = client();
    assert!(LIMITS.iter().any(|limit| kept(&engine, &url, *limit)));
}

/// Whether a tunnel passes bytes when all clocks of its exchange would have ended it.
fn passes_later(engine: &Client, url: &str, limit: Duration) -> bool {
    let short = Some(limit);
    let timeouts = Timeouts { head: short, idle: short, total: short, ..Timeouts::default() };
    let policy = Policy { timeouts, ..Policy::default() };
    let mut reader = Reader::upgrading(engine, url, "websocket", policy);
    if reader.head().is_err() {
        return false;
    }
    let (mut client, server) = pair();
    let tunnel = Tunnel {
        socket: server.into(),
        head: Bytes::new(),
        early: Bytes::new(),
        idle_timeout: None,
        half_closed_timeout: None,
        upstream: url.to_owned(),
    };
    engine.tunnel(Arc::new(Mutex::new(reader.exchange)), tunnel, |_| {});
    thread::sleep(limit * 2);
    let mut late = [0; 4];
    client.write_all(b"x").is_ok() && client.read_exact(&mut late).is_ok() && &late == b"late"
}

#[test]
fn ws6_the_clocks_of_an_exchange_end_with_its_101() {
    let (url, _thread) = upstream(LIMITS.len(), |_, stream| {
        switch(stream);
        if stream.read_exact(&mut [0]).is_ok() {
            stream.write_all(b"late").expect("sent");
        }
    });
    let engine = client();
    assert!(LIMITS.iter().any(|limit| passes_later(&engine, &url, *limit)));
}

#[test]
fn ws4_a_side_that_has_ended_is_not_waited_for_as_long_as_the_other_likes() {
    let (told, ended) = channel();
    let (url, thread) = upstream(2, move |number, stream| {
        switch(stream);
        if number == 1 {
            stream.shutdown(Shutdown::Write).expect("ended");
        }
        stream.read_to_end(&mut Vec::new()).expect("the client's end, or the tunnel's");
        ended.recv_timeout(PATIENCE).expect("the tunnel has ended");
    });
    let engine = client();
    let limit = Duration::from_millis(300);
    for number in 0..2 {
        let open = open_limited(&engine, &url, b"", (None, Some(limit)));
        if number == 0 {
            let early = open.ended.recv_timeout(limit * 2);
            assert!(early.is_err(), "both directions are open: {early:?}");
            open.client.shutdown(Shutdown::Write).expect("ended");
        }
        let failure = open.end().expect_err("left");
        assert_eq!((failure.kind, failure.phase), (Kind::Timeout, Phase::Idle));
        assert!(failure.to_string().contains("0.3 s (idle_timeout, for one side"), "{failure}");
        told.send(()).expect("told");
    }
    thread.join().expect("the upstream ends well");
}
