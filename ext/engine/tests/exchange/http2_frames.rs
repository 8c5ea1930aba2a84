//! HTTP/2 upstreams that do what no sound one does (RFC 9113), frame by frame.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use streaming_engine::{
    BodyKind, Bytes, Client, Kind, Phase, Policy, PoolSettings, Snapshot, Timeouts,
};

use crate::http2_frame_peer::{
    DATA, END_HEADERS, END_STREAM, HEADERS, NO_ERROR, OK, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    frames,
};
use crate::http2_peer::policy;
use crate::peers::{PATIENCE, Reader, client};

fn whole(client: &Client, url: &str, policy: &Policy) {
    let mut reader = Reader::open(client, url, BodyKind::None, policy.clone());
    assert_eq!(reader.head().expect("a head").status, 200);
    let (body, outcome) = reader.body();
    outcome.expect("whole");
    assert_eq!(body, b"fine");
}

fn client_is(client: &Client, condition: impl Fn(&Snapshot) -> bool) {
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

#[test]
fn cn3_a_new_connection_that_goes_away_unused_is_replaced() {
    let url = frames(|number, mut upstream| {
        upstream.settings(100);
        if number == 0 {
            upstream.goaway(0);
        }
        upstream.go_on();
    });
    let client = client();
    whole(&client, &url, &policy());
}

#[test]
fn cn10_a_connection_is_used_once_it_takes_a_stream() {
    let url = frames(|number, mut upstream| {
        assert_eq!(number, 0, "one connection is enough");
        upstream.settings(0);
        thread::sleep(Duration::from_millis(50));
        upstream.settings(100);
        upstream.go_on();
    });
    let client = client();
    whole(&client, &url, &policy());
    whole(&client, &url, &policy());
}

/// Two connections at the most; the first takes no further stream after its first answer, until
/// the test says so.
fn closed_for_a_while() -> (String, impl FnOnce()) {
    let (open, opened) = channel();
    let opened = Mutex::new(opened);
    let url = frames(move |number, mut upstream| {
        upstream.settings(if number == 0 { 100 } else { 1 });
        let stream = upstream.request().expect("a request");
        if number == 0 {
            upstream.settings(0);
            upstream.answer(stream);
            let opened: &Receiver<()> = &opened.lock().expect("a receiver");
            opened.recv().expect("a word");
            upstream.settings(100);
            upstream.go_on();
        } else {
            // Never answers.
            upstream.request();
        }
    });
    (url, move || open.send(()).expect("the upstream lives"))
}

#[test]
fn cn10_a_lowered_limit_on_streams_holds_and_a_raised_one_serves_the_queue() {
    let (url, open) = closed_for_a_while();
    let client = client();
    let pool = PoolSettings { max_connections: 2, ..PoolSettings::default() };
    let policy = Policy { pool, ..policy() };
    whole(&client, &url, &policy);
    // Goes on a connection of its own, which has room for no other.
    let _elsewhere = Reader::open(&client, &url, BodyKind::None, policy.clone());
    client_is(&client, |stats| stats.connections == 2);
    let mut waiting = Reader::open(&client, &url, BodyKind::None, policy.clone());
    client_is(&client, |stats| stats.waiting_requests == 1);
    open();
    assert_eq!(waiting.head().expect("a head").status, 200);
    assert_eq!(waiting.body().0, b"fine");
}

/// Frames that were under way when their streams were cancelled are no fault of the upstream's.
#[test]
fn st4_readers_that_leave_in_mid_body_disturb_no_other_stream() {
    const LEAVERS: usize = 90;
    let (left, seen) = channel();
    let url = frames(move |_, mut upstream| {
        upstream.settings(100);
        let held = upstream.request().expect("a request");
        upstream.send(HEADERS, END_HEADERS, held, OK);
        for _ in 0..2 {
            let leavers: Vec<u32> = (0..LEAVERS).map_while(|_| upstream.request()).collect();
            leavers.iter().for_each(|stream| upstream.send(HEADERS, END_HEADERS, *stream, OK));
            leavers.iter().for_each(|_| assert!(upstream.next(RST_STREAM).is_some()));
            left.send(()).expect("the client lives");
            for _ in 0..16 {
                leavers.iter().for_each(|stream| upstream.send(DATA, 0, *stream, &[b'x'; 1000]));
                thread::sleep(Duration::from_millis(5));
            }
        }
        upstream.send(DATA, END_STREAM, held, b"fine");
        upstream.go_on();
    });
    let client = client();
    let mut held = Reader::open(&client, &url, BodyKind::None, policy());
    held.head().expect("a head");
    for _ in 0..2 {
        let mut leavers: Vec<Reader> =
            (0..LEAVERS).map(|_| Reader::open(&client, &url, BodyKind::None, policy())).collect();
        leavers.iter_mut().for_each(|leaver| drop(leaver.head().expect("a head")));
        drop(leavers);
        seen.recv_timeout(PATIENCE).expect("they are seen to leave");
    }
    let (body, outcome) = held.body();
    outcome.expect("whole");
    assert_eq!(body, b"fine");
    assert_eq!(client.stats().connections, 1);
}

#[test]
fn to2_a_connection_from_which_nothing_comes_serves_no_further_request() {
    let url = frames(|number, mut upstream| {
        upstream.settings(100);
        let stream = upstream.request().expect("a request");
        upstream.answer(stream);
        if number > 0 {
            upstream.go_on();
        } else {
            thread::sleep(PATIENCE);
        }
    });
    let client = client();
    let head = Some(Duration::from_millis(100));
    let brief = Policy { timeouts: Timeouts { head, ..Timeouts::default() }, ..policy() };
    whole(&client, &url, &policy());
    let mut lost = Reader::open(&client, &url, BodyKind::None, brief);
    assert_eq!(lost.head().expect_err("a failure").kind, Kind::Timeout);
    whole(&client, &url, &policy());
}

/// The clock of the answer begins with the last byte that the upstream let us send.
#[test]
fn to2_an_upload_that_the_upstream_does_not_take_is_idle() {
    let url = frames(|_, mut upstream| {
        // SETTINGS_INITIAL_WINDOW_SIZE
        upstream.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 5]);
        while upstream.request().is_some() {}
    });
    let client = client();
    let (head, idle) = (Some(Duration::from_millis(100)), Some(Duration::from_millis(500)));
    let timeouts = Timeouts { head, idle, ..Timeouts::default() };
    let policy = Policy { timeouts, ..policy() };
    let mut reader = Reader::open(&client, &url, BodyKind::Length(10), policy);
    reader.exchange.write(Bytes::from_static(b"0123456789"));
    reader.exchange.finish();
    let failure = reader.head().expect_err("a failure");
    assert_eq!((failure.kind, failure.phase), (Kind::Timeout, Phase::Idle));
    assert_eq!(reader.exchange.report().bytes_up, 5);
}

/// An upload is under way as long as pieces of it go.
#[test]
fn to2_an_upload_that_the_upstream_takes_by_and_by_is_not_idle() {
    let url = frames(|_, mut upstream| {
        upstream.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]);
        let stream = upstream.request().expect("a request");
        for _ in 1..30 {
            thread::sleep(Duration::from_millis(50));
            upstream.send(WINDOW_UPDATE, 0, stream, &[0, 0, 0, 1]);
        }
        upstream.answer(stream);
        upstream.go_on();
    });
    let client = client();
    let brief = Some(Duration::from_secs(1));
    let timeouts = Timeouts { head: brief, idle: brief, ..Timeouts::default() };
    let policy = Policy { timeouts, ..policy() };
    let mut reader = Reader::open(&client, &url, BodyKind::Length(30), policy);
    reader.exchange.write(Bytes::from_static(&[b'a'; 30]));
    reader.exchange.finish();
    assert_eq!(reader.head().expect("a head").status, 200);
    assert_eq!(reader.exchange.report().bytes_up, 30);
}

#[test]
fn to1_who_waited_for_a_new_connection_then_waits_in_the_queue() {
    let url = frames(|_, mut upstream| {
        upstream.settings(1);
        while let Some(stream) = upstream.request() {
            thread::sleep(Duration::from_millis(1200));
            upstream.answer(stream);
        }
    });
    let client = client();
    let connect = Some(Duration::from_secs(1));
    let pool = PoolSettings { max_connections: 1, ..PoolSettings::default() };
    let timeouts = Timeouts { connect, ..Timeouts::default() };
    let policy = Policy { timeouts, pool, ..policy() };
    let open = |_| Reader::open(&client, &url, BodyKind::None, policy.clone());
    for mut reader in (0..3).map(open).collect::<Vec<_>>() {
        assert_eq!(reader.head().expect("a head").status, 200);
        assert_eq!(reader.body().0, b"fine");
    }
}

#[test]
fn cn5_one_that_waits_takes_the_place_of_a_shared_connection_that_has_served_enough() {
    let url = frames(|_, mut upstream| {
        upstream.settings(1);
        upstream.go_on();
    });
    let client = client();
    let pool =
        PoolSettings { max_connections: 1, max_requests: Some(2), ..PoolSettings::default() };
    let policy = Policy { pool, ..policy() };
    let begun = Instant::now();
    let open = |_| Reader::open(&client, &url, BodyKind::None, policy.clone());
    // The sweep comes once a second: for twenty connections, one after the other, it would take longer.
    for mut reader in (0..40).map(open).collect::<Vec<_>>() {
        assert_eq!(reader.head().expect("a head").status, 200);
        assert_eq!(reader.body().0, b"fine");
    }
    assert!(begun.elapsed() < PATIENCE, "nobody waits for the sweep");
}
