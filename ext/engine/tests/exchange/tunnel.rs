//! Exchanges that change protocols: what is a change, and both directions after it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use streaming_engine::{Bytes, Client, Exchange, Failure, Kind, Phase, Policy, Tunnel};

use crate::peers::{PATIENCE, Reader, client, pair, read_head, upstream};

const SWITCH: &[u8] =
    b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-A: 1\r\n\r\n";

/// A tunnel, from outside.
pub(crate) struct Open {
    pub(crate) client: TcpStream,
    exchange: Arc<Mutex<Exchange>>,
    pub(crate) ended: Receiver<Result<(), Failure>>,
}

impl Open {
    pub(crate) fn end(&self) -> Result<(), Failure> {
        self.ended.recv_timeout(PATIENCE).expect("an end")
    }

    /// Bytes up and down.
    pub(crate) fn passed(&self) -> (u64, u64) {
        let report = self.exchange.lock().expect("no panic").report();
        (report.bytes_up, report.bytes_down)
    }

    pub(crate) fn read_exactly(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.client.read_exact(&mut bytes).expect("bytes");
        bytes
    }
}

pub(crate) fn open(
    engine: &Client,
    url: &str,
    early: &'static [u8],
    idle: Option<Duration>,
) -> Open {
    open_limited(engine, url, early, (idle, None))
}

/// `limits`: for one that is open, and for one that is half closed.
pub(crate) fn open_limited(
    engine: &Client,
    url: &str,
    early: &'static [u8],
    limits: (Option<Duration>, Option<Duration>),
) -> Open {
    let mut reader = Reader::upgrading(engine, url, "websocket", Policy::default());
    assert_eq!(reader.head().expect("a head").status, 101);
    let (mut client, server) = pair();
    let tunnel = Tunnel {
        socket: server.into(),
        head: Bytes::from_static(b"HEAD\r\n\r\n"),
        early: Bytes::from_static(early),
        idle_timeout: limits.0,
        half_closed_timeout: limits.1,
        upstream: url.to_owned(),
    };
    let (told, ended) = channel();
    let exchange = Arc::new(Mutex::new(reader.exchange));
    engine.tunnel(exchange.clone(), tunnel, move |outcome| {
        let _ = told.send(outcome);
    });
    assert_eq!(read_head(&mut client), "HEAD\r\n\r\n");
    Open { client, exchange, ended }
}

pub(crate) fn switch(stream: &mut TcpStream) {
    read_head(stream);
    stream.write_all(SWITCH).expect("sent");
}

#[test]
fn ws3_bytes_that_are_glued_to_either_handshake_are_delivered() {
    let (url, thread) = upstream(1, |_, stream| {
        let head = read_head(stream);
        assert!(head.contains("\r\nupgrade: websocket\r\n"), "{head}");
        assert!(head.contains("\r\nconnection: upgrade\r\n"), "{head}");
        stream.write_all(&[SWITCH, b"down"].concat()).expect("sent");
        let mut early = Vec::new();
        stream.read_to_end(&mut early).expect("the client's bytes");
        assert_eq!(early, b"up up");
    });
    let engine = client();
    let mut open = open(&engine, &url, b"up ", None);
    open.client.write_all(b"up").expect("sent");
    assert_eq!(open.read_exactly(4), b"down");
    open.client.shutdown(Shutdown::Write).expect("ended");
    assert_eq!(open.client.read(&mut [0]).expect("a FIN"), 0);
    open.end().expect("whole");
    assert_eq!(open.passed(), (5, 4));
    let stats = engine.stats();
    assert_eq!((stats.exchanges, stats.connections, stats.finished), (0, 0, 1));
    assert_eq!((stats.bytes_up, stats.bytes_down), (5, 4));
    thread.join().expect("the upstream ends well");
}

#[test]
fn ws1_a_101_that_was_not_asked_for_so_is_a_failure() {
    let rows: [(&[u8], &str); 4] = [
        (b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", "not asked"),
        (b"HTTP/1.1 101 S\r\nConnection: upgrade\r\n\r\n", "to which"),
        (b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n", "Connection"),
        (b"HTTP/1.0 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "HTTP/1.1"),
    ];
    let (url, thread) = upstream(rows.len(), move |number, stream| {
        read_head(stream);
        stream.write_all(rows[number].0).expect("sent");
        assert_eq!(stream.read(&mut [0]).expect("a FIN"), 0);
    });
    let engine = client();
    for (_, rule) in rows {
        let mut reader = Reader::upgrading(&engine, &url, "websocket", Policy::default());
        let failure = reader.head().expect_err("refused");
        assert_eq!((failure.kind, failure.phase), (Kind::Protocol, Phase::Head));
        assert!(failure.to_string().contains(rule), "{failure}");
    }
    thread.join().expect("the upstream ends well");
}

#[test]
fn ws1_another_answer_is_an_ordinary_response() {
    let (url, thread) = upstream(1, |_, stream| {
        for _ in 0..2 {
            read_head(stream);
            stream.write_all(b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno").expect("sent");
        }
    });
    let engine = client();
    let mut reader = Reader::upgrading(&engine, &url, "websocket", Policy::default());
    assert_eq!(reader.head().expect("a head").status, 404);
    assert_eq!(reader.body().0, b"no");
    let mut next = Reader::open(&engine, &url, streaming_engine::BodyKind::None, Policy::default());
    assert_eq!(next.head().expect("a head").status, 404);
    thread.join().expect("one connection serves both");
}

#[test]
fn ws4_a_side_that_has_ended_still_hears_the_other() {
    let (url, thread) = upstream(2, |number, stream| {
        switch(stream);
        let mut heard = Vec::new();
        if number == 0 {
            stream.read_to_end(&mut heard).expect("the client's bytes");
            stream.write_all(b"after").expect("sent");
        } else {
            stream.write_all(b"last").expect("sent");
            stream.shutdown(Shutdown::Write).expect("ended");
            stream.read_to_end(&mut heard).expect("the client's bytes");
        }
        assert_eq!(heard, b"bye");
    });
    let engine = client();
    let mut first = open(&engine, &url, b"", None);
    first.client.write_all(b"bye").expect("sent");
    first.client.shutdown(Shutdown::Write).expect("ended");
    let mut heard = Vec::new();
    first.client.read_to_end(&mut heard).expect("the upstream's bytes");
    assert_eq!(heard, b"after");
    first.end().expect("whole");
    let mut second = open(&engine, &url, b"", None);
    let mut heard = Vec::new();
    second.client.read_to_end(&mut heard).expect("the upstream's bytes");
    assert_eq!(heard, b"last");
    second.client.write_all(b"bye").expect("sent");
    drop(second.client);
    second.ended.recv_timeout(PATIENCE).expect("an end").expect("whole");
    thread.join().expect("the upstream ends well");
}

#[test]
fn ws4_a_side_that_breaks_off_ends_the_other() {
    let (told, gone) = channel();
    let (url, thread) = upstream(2, move |number, stream| {
        switch(stream);
        stream.read_exact(&mut [0; 2]).expect("the client's bytes");
        match number {
            // Bytes that nobody has read make the end a reset.
            0 => stream.write_all(b"last").expect("sent"),
            _ => told.send(stream.read(&mut [0]).map_err(|err| err.kind())).expect("told"),
        }
    });
    let engine = client();
    let mut cut = open(&engine, &url, b"", None);
    cut.client.write_all(&[0; 3]).expect("sent");
    let mut heard = Vec::new();
    let error = cut.client.read_to_end(&mut heard).expect_err("a reset");
    assert_eq!((heard, error.kind()), (b"last".to_vec(), ErrorKind::ConnectionReset));
    let failure = cut.end().expect_err("cut");
    assert_eq!(failure.kind, Kind::Protocol);
    assert!(failure.to_string().contains("broke the tunnel off"), "{failure}");

    let left = open(&engine, &url, b"ab", None);
    socket2::SockRef::from(&left.client).set_linger(Some(Duration::ZERO)).expect("set");
    drop(left.client);
    let failure = left.ended.recv_timeout(PATIENCE).expect("an end").expect_err("left");
    assert_eq!(failure.kind, Kind::ClientGone);
    assert_eq!(gone.recv_timeout(PATIENCE).expect("the upstream hears of it"), Ok(0));
    let stats = engine.stats();
    assert_eq!((stats.exchanges, stats.connections, stats.cut, stats.abandoned), (0, 0, 1, 1));
    thread.join().expect("the upstream ends well");
}

#[test]
fn ws5_an_exchange_that_is_closed_before_its_tunnel_ends_the_connection() {
    let (url, thread) = upstream(1, |_, stream| {
        switch(stream);
        assert_eq!(stream.read(&mut [0]).expect("a FIN"), 0);
    });
    let engine = client();
    let mut reader = Reader::upgrading(&engine, &url, "websocket", Policy::default());
    assert_eq!(reader.head().expect("a head").status, 101);
    reader.exchange.close();
    thread.join().expect("the upstream ends well");
    assert_eq!((engine.stats().exchanges, engine.stats().abandoned), (0, 1));
}

#[test]
fn st7_a_peer_that_does_not_read_makes_the_other_wait() {
    const SENT: usize = 48 << 20;
    let (told, blocked) = channel();
    let (url, thread) = upstream(1, move |_, stream| {
        switch(stream);
        let writer = stream.try_clone().expect("a duplicate");
        writer.set_write_timeout(Some(Duration::from_secs(1))).expect("a timeout");
        let mut sent = 0;
        while let Ok(length) = (&writer).write(&[7; 65_536]) {
            sent += length;
        }
        told.send(sent).expect("told");
        writer.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        while sent < SENT {
            sent += (&writer).write(&vec![7; 65_536.min(SENT - sent)]).expect("sent");
        }
    });
    let engine = client();
    let mut open = open(&engine, &url, b"", None);
    let waiting = blocked.recv_timeout(PATIENCE).expect("the upstream has to wait");
    assert!(waiting < SENT / 2, "{waiting} bytes went");
    open.client.shutdown(Shutdown::Write).expect("ended");
    let mut all = Vec::new();
    open.client.read_to_end(&mut all).expect("the upstream's bytes");
    assert!(all.len() == SENT && all.iter().all(|byte| *byte == 7));
    open.end().expect("whole");
    thread.join().expect("the upstream ends well");
}
