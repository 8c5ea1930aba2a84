//! Exchanges with HTTP/2 upstreams (RFC 9113), by prior knowledge.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use h2::Reason;
use h2::server::Builder;
use http::Response;
use streaming_engine::{
    BodyKind, Bytes, Http2, Kind, Phase, Policy, PoolSettings, Timeouts, Written,
};
use tokio::sync::Semaphore;

use crate::http2_peer::{Asked, Http2Upstream};
use crate::peers::{PATIENCE, Reader, client, read_head, upstream};

fn policy() -> Policy {
    Policy { http2: Http2::Always, ..Policy::default() }
}

fn waits(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it never came true");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn get(client: &streaming_engine::Client, url: &str) -> Reader {
    Reader::open(client, url, BodyKind::None, policy())
}

#[test]
fn cn10_many_requests_share_one_connection() {
    let upstream = Http2Upstream::start(&Builder::new(), |asked: Asked| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        asked.answer("hello");
    });
    let client = client();
    let mut readers: Vec<_> = (0..80).map(|_| get(&client, &upstream.url)).collect();
    for reader in &mut readers {
        assert_eq!(reader.head().expect("a head").status, 200);
        assert_eq!(reader.body().0, b"hello");
    }
    assert_eq!(upstream.connections(), 1);
    waits(|| client.stats().exchanges == 0);
    assert_eq!((client.stats().connections, client.stats().idle_connections), (1, 1));
}

#[test]
fn rq14_options_of_the_whole_server_has_an_asterisk_for_its_path() {
    let upstream = Http2Upstream::start(&Builder::new(), |asked: Asked| async move {
        let path = asked.request.uri().path().to_owned();
        asked.answer(path);
    });
    let client = client();
    let url = upstream.url.trim_end_matches('/');
    let mut reader = Reader::open_as(&client, "OPTIONS", url, BodyKind::None, policy());
    assert_eq!(reader.head().expect("a head").status, 200);
    assert_eq!(reader.body().0, b"*");
}

#[test]
fn cn10_sends_authority_and_no_connection_specific_field() {
    let upstream = Http2Upstream::start(&Builder::new(), |mut asked: Asked| async move {
        let body = asked.body().await.expect("a body");
        let parts = format!("{} {:?}", asked.request.uri(), asked.request.headers());
        asked.answer(format!("{parts} {}", body.len()));
    });
    let client = client();
    let mut reader = Reader::open(&client, &upstream.url, BodyKind::Chunked, policy());
    reader.exchange.write(Bytes::from_static(b"12345"));
    reader.exchange.finish();
    reader.head().expect("a head");
    let told = String::from_utf8(reader.body().0).expect("text");
    assert!(told.starts_with(&upstream.url), "{told}");
    for field in ["host", "transfer-encoding", "connection", "content-length"] {
        assert!(!told.contains(&format!("\"{field}\"")), "{told}");
    }
    assert!(told.ends_with(" 5"), "{told}");
}

/// Holds every request until `release` has a permit for it; notes how many there were at once.
fn holding(
    builder: &Builder,
    release: Arc<Semaphore>,
) -> (Http2Upstream, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (inside, highest) = (now.clone(), most.clone());
    let upstream = Http2Upstream::start(builder, move |asked: Asked| {
        let (release, inside, highest) = (release.clone(), inside.clone(), highest.clone());
        async move {
            highest.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            release.acquire().await.expect("a permit").forget();
            inside.fetch_sub(1, Ordering::SeqCst);
            asked.answer("held");
        }
    });
    (upstream, now, most)
}

#[test]
fn cn10_respects_max_concurrent_streams_and_waits_in_line() {
    let release = Arc::new(Semaphore::new(0));
    let (upstream, now, most) = holding(Builder::new().max_concurrent_streams(2), release.clone());
    let client = client();
    let pool = PoolSettings { max_connections: 1, ..PoolSettings::default() };
    let policy = Policy { pool, ..policy() };
    let open = |_| Reader::open(&client, &upstream.url, BodyKind::None, policy.clone());
    let mut readers: Vec<_> = (0..6).map(open).collect();
    waits(|| now.load(Ordering::SeqCst) == 2 && client.stats().waiting_requests == 4);
    release.add_permits(6);
    for reader in &mut readers {
        assert_eq!(reader.head().expect("a head").status, 200);
        assert_eq!(reader.body().0, b"held");
    }
    assert_eq!((most.load(Ordering::SeqCst), upstream.connections()), (2, 1));
}

#[test]
fn cn10_opens_another_connection_when_one_has_no_room() {
    let release = Arc::new(Semaphore::new(0));
    let (upstream, now, _) = holding(Builder::new().max_concurrent_streams(2), release.clone());
    let client = client();
    let mut readers: Vec<_> = (0..5).map(|_| get(&client, &upstream.url)).collect();
    waits(|| now.load(Ordering::SeqCst) == 5);
    release.add_permits(5);
    readers.iter_mut().for_each(|reader| assert_eq!(reader.head().expect("a head").status, 200));
    assert_eq!(upstream.connections(), 3);
}

/// Sends a body as fast as flow control lets it; `sent` counts its bytes.
async fn flood(mut asked: Asked, len: usize, sent: Arc<AtomicUsize>) {
    let mut stream = asked.begin();
    let mut left = len;
    while left > 0 {
        stream.reserve_capacity(left.min(16 * 1024));
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let Some(Ok(room)) = room else { return };
        stream.send_data(Bytes::from(vec![b'x'; room]), room == left).expect("sent");
        sent.fetch_add(room, Ordering::SeqCst);
        left -= room;
    }
}

#[test]
fn st7_three_stalled_readers_delay_no_other_stream() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = sent.clone();
    let upstream = Http2Upstream::start(&Builder::new(), move |asked: Asked| {
        let sent = counter.clone();
        async move {
            match asked.request.uri().path() {
                "/big" => flood(asked, 50 * 1024 * 1024, sent).await,
                _ => asked.answer(vec![b'f'; 1024 * 1024]),
            }
        }
    });
    let client = client();
    let big = format!("{}big", upstream.url);
    let mut stalled: Vec<_> = (0..3).map(|_| get(&client, &big)).collect();
    for reader in &mut stalled {
        assert_eq!(reader.head().expect("a head").status, 200);
    }
    for _ in 0..20 {
        let mut fast = get(&client, &upstream.url);
        assert_eq!(fast.head().expect("a head").status, 200);
        let (body, outcome) = fast.body();
        outcome.expect("whole");
        assert_eq!(body.len(), 1024 * 1024);
    }
    assert_eq!(upstream.connections(), 1);
    let held = sent.load(Ordering::SeqCst);
    assert!(held <= 3 * 1024 * 1024, "{held} bytes are held for three stalled readers");
    // What was held back goes on when it is wanted.
    let (body, outcome) = stalled.remove(0).body();
    outcome.expect("whole");
    assert_eq!(body.len(), 50 * 1024 * 1024);
}

#[test]
fn cn10_a_reset_stream_is_a_failure_and_the_connection_lives_on() {
    let upstream = Http2Upstream::start(&Builder::new(), |mut asked: Asked| async move {
        match asked.request.uri().path() {
            "/head" => asked.respond.send_reset(Reason::INTERNAL_ERROR),
            "/body" => {
                let mut stream = asked.begin();
                stream.send_data(Bytes::from_static(b"came"), false).expect("sent");
                tokio::time::sleep(Duration::from_millis(20)).await;
                stream.send_reset(Reason::INTERNAL_ERROR);
            }
            _ => asked.answer("fine"),
        }
    });
    let client = client();
    let mut reader = get(&client, &upstream.url);
    assert_eq!(reader.head().expect("a head").status, 200);
    let mut reader = get(&client, &format!("{}head", upstream.url));
    let failure = reader.head().expect_err("a failure");
    assert_eq!((failure.kind, failure.phase), (Kind::Protocol, Phase::Head));
    assert_eq!(reader.exchange.report().attempts.len(), 1, "it may have been processed");
    assert!(
        failure.to_string().contains("reset the HTTP/2 stream before it answered"),
        "{failure}"
    );
    assert!(failure.to_string().contains("INTERNAL_ERROR"), "{failure}");
    let mut reader = get(&client, &format!("{}body", upstream.url));
    reader.head().expect("a head");
    let (body, outcome) = reader.body();
    let failure = outcome.expect_err("a failure");
    assert_eq!((failure.kind, failure.phase), (Kind::Protocol, Phase::Body));
    assert_eq!(body, b"came");
    let mut reader = get(&client, &upstream.url);
    assert_eq!(reader.head().expect("a head").status, 200);
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn cn3_a_refused_stream_is_tried_again_whatever_it_asks_for() {
    let refused = Arc::new(AtomicUsize::new(0));
    let counter = refused.clone();
    let upstream = Http2Upstream::start(&Builder::new(), move |mut asked: Asked| {
        let refused = counter.clone();
        async move {
            if refused.fetch_add(1, Ordering::SeqCst) == 0 {
                asked.respond.send_reset(Reason::REFUSED_STREAM);
            } else {
                let body = asked.body().await.expect("a body");
                asked.answer(body);
            }
        }
    });
    let client = client();
    let mut reader = Reader::open_as(&client, "POST", &upstream.url, BodyKind::Length(5), policy());
    reader.exchange.write(Bytes::from_static(b"12345"));
    reader.exchange.finish();
    assert_eq!(reader.head().expect("a head").status, 200);
    assert_eq!(reader.body().0, b"12345");
    assert_eq!(refused.load(Ordering::SeqCst), 2);
}

#[test]
fn cn3_after_goaway_requests_go_on_a_new_connection() {
    let script = |asked: Asked| async move {
        let connection = asked.connection;
        asked.answer(format!("connection {connection}"));
    };
    let upstream = Http2Upstream::start_with(&Builder::new(), script, |request| {
        request.uri().path() == "/last"
    });
    let client = client();
    for expected in ["connection 0", "connection 1"] {
        let mut reader = get(&client, &format!("{}last", upstream.url));
        reader.head().expect("a head");
        assert_eq!(String::from_utf8_lossy(&reader.body().0), expected);
    }
    waits(|| client.stats().connections <= 1);
}

#[test]
fn cn3_a_connection_that_died_is_replaced_for_what_may_be_repeated() {
    let script = |asked: Asked| async move {
        let connection = asked.connection;
        asked.answer(format!("connection {connection}"));
    };
    let upstream = Http2Upstream::start(&Builder::new(), script);
    let client = client();
    let mut reader = get(&client, &upstream.url);
    reader.head().expect("a head");
    assert_eq!(reader.body().0, b"connection 0");
    upstream.break_off_under_the_next_request();
    let mut reader = get(&client, &upstream.url);
    reader.head().expect("a head");
    assert_eq!(reader.body().0, b"connection 1");
    assert_eq!(reader.exchange.report().attempts.len(), 2);
    upstream.break_off_under_the_next_request();
    let mut reader = Reader::open_as(&client, "POST", &upstream.url, BodyKind::None, policy());
    let failure = reader.head().expect_err("a failure");
    assert_eq!((failure.kind, failure.phase), (Kind::Protocol, Phase::Head));
    assert!(failure.to_string().contains("closed the connection before it answered"), "{failure}");
}

#[test]
fn st6_an_early_answer_stops_the_upload_and_the_connection_lives_on() {
    let (reset, was_reset) = channel();
    let upstream = Http2Upstream::start(&Builder::new(), move |mut asked: Asked| {
        let reset = reset.clone();
        async move {
            if asked.request.method() == "PUT" {
                let response = Response::builder().status(413).body(()).expect("a response");
                let mut stream = asked.respond.send_response(response, false).expect("sent");
                stream.send_data(Bytes::from_static(b"too much"), true).expect("sent");
                let ended = asked.body().await;
                let _ = reset.send(ended.err().and_then(|err| err.reason()));
            } else {
                asked.answer("fine");
            }
        }
    });
    let client = client();
    let mut reader = Reader::open(&client, &upstream.url, BodyKind::Length(1 << 20), policy());
    reader.exchange.write(Bytes::from(vec![b'x'; 1000]));
    assert_eq!(reader.head().expect("a head").status, 413);
    assert_eq!(reader.body().0, b"too much");
    assert_eq!(reader.exchange.writable(), Written::Stopped);
    assert_eq!(was_reset.recv_timeout(PATIENCE).expect("an end"), Some(Reason::CANCEL));
    let mut reader = get(&client, &upstream.url);
    assert_eq!(reader.head().expect("a head").status, 200);
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn st4_a_reader_that_leaves_cancels_its_stream_only() {
    let (ended, has_ended) = channel();
    let upstream = Http2Upstream::start(&Builder::new(), move |mut asked: Asked| {
        let ended = ended.clone();
        async move {
            if asked.request.uri().path() == "/endless" {
                let mut stream = asked.begin();
                stream.send_data(Bytes::from_static(b"tick"), false).expect("sent");
                let reason = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
                let _ = ended.send(reason.ok());
            } else {
                asked.answer("fine");
            }
        }
    });
    let client = client();
    let mut reader = get(&client, &format!("{}endless", upstream.url));
    reader.head().expect("a head");
    reader.exchange.close();
    assert_eq!(has_ended.recv_timeout(PATIENCE).expect("an end"), Some(Reason::CANCEL));
    let mut reader = get(&client, &upstream.url);
    assert_eq!(reader.head().expect("a head").status, 200);
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn rq6_a_short_upload_resets_its_stream() {
    let (ended, has_ended) = channel();
    let upstream = Http2Upstream::start(&Builder::new(), move |mut asked: Asked| {
        let ended = ended.clone();
        async move {
            let _ = ended.send(asked.body().await.map_err(|err| err.reason()));
        }
    });
    let client = client();
    let mut reader = Reader::open(&client, &upstream.url, BodyKind::Length(10), policy());
    reader.exchange.write(Bytes::from_static(b"123"));
    reader.exchange.finish();
    assert_eq!(reader.head().expect_err("a failure").kind, Kind::RequestBody);
    let ended = has_ended.recv_timeout(PATIENCE).expect("an end");
    assert_eq!(ended, Err(Some(Reason::CANCEL)));
}

#[test]
fn cn10_a_large_upload_respects_flow_control_and_arrives_whole() {
    let upstream = Http2Upstream::start(&Builder::new(), |mut asked: Asked| async move {
        let body = asked.body().await.expect("a body");
        assert!(body.iter().enumerate().all(|(index, byte)| *byte == (index / 65536) as u8));
        asked.answer(body.len().to_string());
    });
    let client = client();
    let whole = 64 * 65536_u64;
    let mut reader = Reader::open(&client, &upstream.url, BodyKind::Length(whole), policy());
    let mut piece = 0_u8;
    while u64::from(piece) < whole / 65536 {
        match reader.exchange.writable() {
            Written::Taken => {
                reader.exchange.write(Bytes::from(vec![piece; 65536]));
                piece += 1;
            }
            Written::Again => reader.wait(),
            Written::Stopped => panic!("the upload was stopped"),
        }
    }
    reader.exchange.finish();
    assert_eq!(reader.head().expect("a head").status, 200);
    assert_eq!(reader.body().0, whole.to_string().as_bytes());
}

#[test]
fn cn10_a_length_that_is_not_kept_is_a_failure() {
    let upstream = Http2Upstream::start(&Builder::new(), |mut asked: Asked| async move {
        let response = Response::builder().header("content-length", 10).body(());
        let response = response.expect("a response");
        let mut stream = asked.respond.send_response(response, false).expect("sent");
        stream.send_data(Bytes::from_static(b"short"), true).expect("sent");
    });
    let client = client();
    let mut reader = get(&client, &upstream.url);
    reader.head().expect("a head");
    let failure = reader.body().1.expect_err("a failure");
    assert_eq!((failure.kind, failure.phase), (Kind::Protocol, Phase::Body));
}

#[test]
fn cn10_an_http1_upstream_is_told_apart() {
    let (url, thread) = upstream(1, |_, stream| {
        assert_eq!(read_head(stream), "PRI * HTTP/2.0\r\n\r\n");
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let client = client();
    let failure = get(&client, &url).head().expect_err("a failure");
    assert_eq!((failure.kind, failure.phase), (Kind::Protocol, Phase::Connect));
    assert!(failure.to_string().contains("does not speak HTTP/2"), "{failure}");
    thread.join().expect("the upstream ends well");
}

#[test]
fn to1_an_upstream_that_never_sends_settings_is_late() {
    let barrier = Arc::new(Barrier::new(2));
    let release = barrier.clone();
    let (url, thread) = upstream(1, move |_, _| {
        barrier.wait();
    });
    let client = client();
    let connect = Some(Duration::from_millis(100));
    let timeouts = Timeouts { connect, ..Timeouts::default() };
    let policy = Policy { timeouts, ..policy() };
    // All that wait for the connection hear of it.
    let open = |_| Reader::open(&client, &url, BodyKind::None, policy.clone());
    for mut reader in (0..3).map(open).collect::<Vec<_>>() {
        let failure = reader.head().expect_err("a failure");
        assert_eq!((failure.kind, failure.phase), (Kind::Timeout, Phase::Connect));
    }
    release.wait();
    thread.join().expect("the upstream ends well");
    waits(|| client.stats().connections == 0);
}
