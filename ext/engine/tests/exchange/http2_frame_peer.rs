//! An HTTP/2 upstream that tests script frame by frame (RFC 9113).

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use crate::peers::PATIENCE;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const NO_ERROR: [u8; 4] = [0; 4];
/// `:status: 200`, by its index in HPACK's static table.
pub(crate) const OK: &[u8] = &[0x88];

/// The upstream's end of a connection.
pub(crate) struct Frames(pub(crate) TcpStream);

impl Frames {
    /// Takes the client's preface.
    pub(crate) fn begin(mut stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).expect("a preface");
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        Frames(stream)
    }

    pub(crate) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame).expect("sent");
    }

    pub(crate) fn settings(&mut self, max_concurrent_streams: u32) {
        let mut payload = vec![0, 3];
        payload.extend(max_concurrent_streams.to_be_bytes());
        self.send(SETTINGS, 0, 0, &payload);
    }

    pub(crate) fn goaway(&mut self, last_stream: u32) {
        self.send(GOAWAY, 0, 0, &[last_stream.to_be_bytes(), NO_ERROR].concat());
    }

    /// The stream of the next request; none when the client has gone.
    pub(crate) fn request(&mut self) -> Option<u32> {
        self.next(HEADERS)
    }

    /// The stream of the next frame of this kind.
    pub(crate) fn next(&mut self, wanted: u8) -> Option<u32> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).ok()?;
            let [a, b, c, kind, _, id @ ..] = head;
            self.0.read_exact(&mut vec![0; u32::from_be_bytes([0, a, b, c]) as usize]).ok()?;
            if kind == wanted {
                return Some(u32::from_be_bytes(id));
            }
        }
    }

    pub(crate) fn answer(&mut self, stream: u32) {
        self.send(HEADERS, END_HEADERS, stream, OK);
        self.send(DATA, END_STREAM, stream, b"fine");
    }

    /// Answers whatever else is asked for.
    pub(crate) fn go_on(mut self) {
        while let Some(stream) = self.request() {
            self.answer(stream);
        }
    }
}

/// Serves each connection with `script`, all at once.
pub(crate) fn frames(script: impl Fn(usize, Frames) + Send + Sync + 'static) -> String {
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
