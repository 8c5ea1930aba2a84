//! Chunk coding over real sockets: whatever the pieces and the splits, the bytes are the same.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::channel;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use streaming_engine::{BodyKind, Bytes, Policy, Written};

use crate::peers::{Reader, client, read_head, upstream};

const CASES: u32 = 24;
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Pieces of a body, small ones and some that are larger than a read.
fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let length = prop_oneof![4 => 1..20_usize, 1 => 1..40_000_usize];
    let piece = (length, any::<u8>()).prop_map(|(length, first)| {
        (0..length).map(|at| first.wrapping_add((at % 251) as u8)).collect()
    });
    prop::collection::vec(piece, 0..6)
}

/// A chunked body as a sender may write it, and where the writes are cut.
fn coded() -> impl Strategy<Value = (Vec<Vec<u8>>, Vec<u8>, Vec<prop::sample::Index>)> {
    let styles = prop::collection::vec((any::<bool>(), 0..3_usize, "(;a=b|;q=\"x;y\")?"), 6);
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..8);
    (pieces(), styles, cuts).prop_map(|(pieces, styles, cuts)| {
        let mut wire = Vec::new();
        for (piece, (upper, zeros, extension)) in pieces.iter().zip(styles) {
            let size = format!("{:x}", piece.len());
            let size = if upper { size.to_uppercase() } else { size };
            wire.extend_from_slice("0".repeat(zeros).as_bytes());
            wire.extend_from_slice(format!("{size}{extension}\r\n").as_bytes());
            wire.extend_from_slice(piece);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b"0\r\n\r\n");
        (pieces, wire, cuts)
    })
}

fn runner() -> TestRunner {
    let cases = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) };
    TestRunner::new(cases)
}

#[test]
fn rs4_cn1_chunks_come_down_as_they_were_however_they_are_cut() {
    let (send, script) = channel::<(Vec<u8>, Vec<usize>)>();
    // One connection for all cases: each leaves it fit for the next.
    let (url, thread) = upstream(1, move |_, stream| {
        stream.set_nodelay(true).expect("no delay");
        while let Ok((wire, cuts)) = script.recv() {
            read_head(stream);
            stream.write_all(HEAD).expect("sent");
            let mut from = 0;
            for to in cuts.into_iter().chain([wire.len()]) {
                stream.write_all(&wire[from..to]).expect("sent");
                from = to;
            }
        }
    });
    let client = client();
    let outcome = runner().run(&coded(), |(pieces, wire, cuts)| {
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.index(wire.len())).collect();
        cuts.sort_unstable();
        send.send((wire, cuts)).expect("the upstream is there");
        let mut reader = Reader::open(&client, &url, BodyKind::None, Policy::default());
        prop_assert_eq!(reader.head().expect("a head").status, 200);
        let (body, outcome) = reader.body();
        prop_assert!(outcome.is_ok());
        prop_assert_eq!(body, pieces.concat());
        Ok(())
    });
    drop(send);
    thread.join().expect("the upstream ends well");
    outcome.expect("the same bytes");
}

/// Reads a chunked body as simply as it can be done: a size line, so many bytes, a line end.
fn decode(stream: &mut TcpStream) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a size");
            line.push(byte[0]);
        }
        let size = std::str::from_utf8(&line[..line.len() - 2]).expect("hexadecimal");
        let size = usize::from_str_radix(size, 16).expect("a size and no extension");
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk).expect("a chunk");
        assert!(chunk.ends_with(b"\r\n"));
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

#[test]
fn rq5_chunks_go_up_as_they_were_however_they_are_written() {
    let (send, received) = channel();
    let (url, thread) = upstream(1, move |_, stream| {
        while stream.peek(&mut [0]).expect("a request or the end") > 0 {
            assert!(read_head(stream).contains("transfer-encoding: chunked\r\n"));
            let _ = send.send(decode(stream));
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("sent");
        }
    });
    let client = client();
    let outcome = runner().run(&pieces(), |pieces| {
        let mut reader = Reader::open(&client, &url, BodyKind::Chunked, Policy::default());
        for piece in &pieces {
            let written = reader.exchange.write(Bytes::copy_from_slice(piece));
            prop_assert_eq!(written, Written::Taken);
        }
        reader.exchange.finish();
        prop_assert_eq!(reader.head().expect("a head").status, 204);
        prop_assert_eq!(received.recv().expect("the upstream has it"), pieces.concat());
        prop_assert!(reader.body().1.is_ok());
        Ok(())
    });
    drop(client);
    thread.join().expect("the upstream ends well");
    outcome.expect("the same bytes");
}
