//! What a reader that waits for its client hears, over a pair of sockets.

use std::fs::File;
use std::future::ready;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use super::Watch;
use crate::signal::Signal;

/// A watch that a task looks after, and what hears it ring.
fn watched() -> (Arc<Watch>, Arc<Signal>, UnboundedReceiver<()>) {
    let (ring, rings) = unbounded_channel();
    let signal = Arc::new(Signal::new(move || {
        let _ = ring.send(());
    }));
    let watch = Arc::new(Watch::new(signal.clone()));
    let task = watch.clone();
    tokio::spawn(async move { task.client_gone().await });
    (watch, signal, rings)
}

/// Its peer hears of the end once no duplicate is left.
fn assert_ends(mut client: UnixStream) {
    client.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    assert_eq!(client.read(&mut [0; 8]).expect("no failure"), 0);
}

/// Whether it has not resolved when it has been polled.
async fn waits(task: impl Future<Output = ()>) -> bool {
    tokio::select! {
        biased;
        () = task => false,
        () = ready(()) => true,
    }
}

async fn rang(rings: &mut UnboundedReceiver<()>) -> bool {
    timeout(Duration::from_secs(20), rings.recv()).await.is_ok()
}

#[tokio::test]
async fn input_rings_once_for_each_time_that_it_is_awaited() {
    let (watch, signal, mut rings) = watched();
    let (mut client, mut server) = UnixStream::pair().expect("a pair");
    for _ in 0..3 {
        signal.arm();
        assert!(watch.wake_when_readable(server.try_clone().expect("a duplicate").into()));
        tokio::task::yield_now().await;
        assert!(rings.try_recv().is_err(), "nothing has come");
        client.write_all(b"x").expect("room");
        assert!(rang(&mut rings).await);
        signal.arm();
        assert_eq!(server.read(&mut [0; 8]).expect("no failure"), 1);
    }
}

#[tokio::test]
async fn input_that_is_here_already_rings() {
    let (watch, signal, mut rings) = watched();
    let (mut client, server) = UnixStream::pair().expect("a pair");
    client.write_all(b"x").expect("room");
    signal.arm();
    assert!(watch.wake_when_readable(server.into()));
    assert!(rang(&mut rings).await);
}

#[tokio::test]
async fn a_duplicate_is_closed_before_the_ring() {
    let (watch, signal, mut rings) = watched();
    let (mut client, mut server) = UnixStream::pair().expect("a pair");
    signal.arm();
    watch.wake_when_readable(server.try_clone().expect("a duplicate").into());
    client.write_all(b"x").expect("room");
    assert!(rang(&mut rings).await);
    assert_eq!(server.read(&mut [0; 8]).expect("no failure"), 1);
    drop(server);
    assert_ends(client);
}

#[tokio::test]
async fn a_duplicate_that_comes_after_the_end_is_closed() {
    let (watch, _signal, _rings) = watched();
    let (client, server) = UnixStream::pair().expect("a pair");
    watch.end();
    assert!(watch.wake_when_readable(server.into()));
    assert_ends(client);
}

#[tokio::test]
async fn a_duplicate_that_is_watched_is_closed_at_the_end_and_nobody_is_told_of_the_client() {
    let (client, server) = UnixStream::pair().expect("a pair");
    let watch = Watch::new(Arc::new(Signal::new(|| ())));
    let mut gone = pin!(watch.client_gone());
    watch.give(server.into());
    assert!(waits(gone.as_mut()).await, "the client is here");
    watch.end();
    assert!(waits(gone.as_mut()).await);
    assert_ends(client);
    assert!(waits(gone).await);
}

#[tokio::test]
async fn what_cannot_be_watched_is_told() {
    let (watch, signal, mut rings) = watched();
    let file = || OwnedFd::from(File::open("/proc/self/exe").expect("a file"));
    signal.arm();
    assert!(watch.wake_when_readable(file()), "not known yet");
    assert!(rang(&mut rings).await);
    assert!(!watch.wake_when_readable(file()));
}
