//! Exchanges with HTTP/2 upstreams (RFC 9113), by prior knowledge.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use h2::Reason;
use h2::server::Builder;
use streaming_engine::{BodyKind, Bytes, Policy, PoolSettings};
use tokio::sync::Semaphore;

use crate::http2_peer::{Asked, Http2Upstream, get, policy, waits};
use crate::peers::{PATIENCE, Reader, client};

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
fn cn10_respects_max_concurrent_streams_and_waits_in_the_queue() {
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
