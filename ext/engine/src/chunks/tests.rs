//! The budget of bytes, from both ends.

use super::*;

fn pair(limit: usize) -> (Outbox, Inbox) {
    channel(limit, Arc::new(Signal::new(|| {})), "http://u")
}

#[tokio::test]
async fn takes_no_more_than_asked_and_loses_nothing() {
    let (mut outbox, mut inbox) = pair(1000);
    outbox.chunk(Bytes::from_static(b"hello ")).await;
    outbox.chunk(Bytes::from_static(b"world")).await;
    outbox.end(Ok(()));
    assert_eq!(inbox.chunks(8).expect("chunks").concat(), b"hello wo");
    assert_eq!(inbox.chunks(8).expect("chunks").concat(), b"rld");
    assert_eq!(inbox.chunks(8).expect("the end is here").len(), 0);
    assert!(matches!(inbox.next(), Some(Message::End(Ok(())))));
    assert!(inbox.next().is_none());
}

#[tokio::test]
async fn st7_counts_what_small_chunks_cost_and_holds_no_buffer_for_them() {
    let (mut outbox, mut inbox) = pair(10 * OVERHEAD);
    let buffer = Bytes::from(vec![0; SMALL]);
    let mut taken = 0;
    while outbox.has_room() {
        outbox.chunk(buffer.slice(..1)).await;
        taken += 1;
    }
    assert!(taken <= 10, "{taken}");
    assert!(buffer.is_unique(), "the chunks are copies");
    assert_eq!(inbox.chunks(SMALL).expect("chunks").len(), taken);
    assert!(outbox.has_room());
}

#[tokio::test]
async fn holds_nothing_that_comes_after_its_reader_has_gone() {
    let (mut outbox, mut inbox) = pair(1000);
    let (before, after) = (Bytes::from(vec![0; SMALL]), Bytes::from(vec![0; SMALL]));
    outbox.chunk(before.clone()).await;
    inbox.clear();
    outbox.chunk(after.clone()).await;
    assert!(before.is_unique() && after.is_unique());
}

#[tokio::test]
async fn waits_for_room_until_the_reader_takes_bytes() {
    let (mut outbox, mut inbox) = pair(4);
    outbox.chunk(Bytes::from_static(b"full")).await;
    let writer = tokio::spawn(async move {
        outbox.chunk(Bytes::from_static(b"more")).await;
        outbox.end(Ok(()));
    });
    tokio::task::yield_now().await;
    assert!(!writer.is_finished());
    assert_eq!(inbox.chunks(4).expect("chunks").concat(), b"full");
    writer.await.expect("the writer goes on");
    assert_eq!(inbox.chunks(4).expect("chunks").concat(), b"more");
}

#[tokio::test]
async fn st10_hints_are_bounded_like_chunks() {
    let (outbox, mut inbox) = pair(1000);
    let fields = vec![(http::header::LINK, http::HeaderValue::from_static("</a>"))];
    let announcer = outbox.announcer();
    for _ in 0..100 {
        announcer.early_hints(fields.clone());
    }
    let mut told = 0;
    while let Some(Message::EarlyHints(_)) = inbox.next() {
        told += 1;
    }
    assert!((1..10).contains(&told), "{told}");
    announcer.early_hints(fields);
    assert!(matches!(inbox.next(), Some(Message::EarlyHints(_))), "there is room again");
}
