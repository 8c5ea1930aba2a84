//! An upstream that answers and cuts as the request's path says.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::canned::{self, Canned};
use crate::requests::{self, Arrived};

/// How a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cut {
    Fin,
    Reset,
    Stall,
}

impl Cut {
    fn parse(name: &str) -> Self {
        [Cut::Fin, Cut::Reset, Cut::Stall]
            .into_iter()
            .find(|cut| format!("{cut:?}") == name)
            .expect("a kind of cut")
    }
}

/// Where it listens, and what it has seen.
pub(crate) struct Upstream {
    pub(crate) url: String,
    pub(crate) canned: Vec<Canned>,
    /// What no connection may see.
    pub(crate) violations: Mutex<Vec<String>>,
    pub(crate) arrived: Arrived,
}

impl Upstream {
    pub(crate) async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let upstream = Arc::new(Upstream {
            url: format!("http://{}", listener.local_addr().expect("an address")),
            canned: canned::all(),
            violations: Mutex::default(),
            arrived: Arrived::default(),
        });
        let accepting = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (stream, upstream) = (BufReader::new(stream), accepting.clone());
                let conversing = tokio::spawn(converse(stream, upstream.clone()));
                tokio::spawn(async move {
                    if let Err(panic) = conversing.await {
                        upstream.violated(panic.to_string());
                    }
                });
            }
        });
        upstream
    }

    pub(crate) fn violated(&self, what: String) {
        self.violations.lock().expect("no panic").push(what);
    }

    pub(crate) fn assert_nothing_violated(&self) {
        let violations = self.violations.lock().expect("no panic");
        assert!(violations.is_empty(), "{} times: {:?}", violations.len(), violations.first());
    }
}

async fn converse(mut stream: BufReader<TcpStream>, upstream: Arc<Upstream>) {
    let mut spent: Option<String> = None;
    while let Some(head) = read_head(&mut stream).await {
        let path = head.split(' ').nth(1).expect("a target").to_owned();
        if let Some(before) = spent {
            upstream.violated(format!("{path} on the connection of {before}"));
            return;
        }
        let parts: Vec<_> = path.split('/').skip(1).collect();
        let going_on = match parts[..] {
            ["clean", token] => answer(&mut stream, "200 OK", token.as_bytes()).await,
            ["cut", case, offset, cut] => {
                let canned = &upstream.canned[case.parse::<usize>().expect("a case")];
                let offset = offset.parse().expect("an offset");
                let cut = Cut::parse(cut);
                if !canned.brought_by(offset).serves_on {
                    spent = Some(path.clone());
                }
                cut_answer(&mut stream, &canned.bytes()[..offset], cut).await
            }
            ["upload", ..] => requests::serve(&mut stream, head, &path, &upstream).await,
            _ => panic!("no such path: {path}"),
        };
        if !matches!(going_on, Ok(true)) {
            return;
        }
    }
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).expect("text"))
}

/// Answers whole; the connection may serve on.
pub(crate) async fn answer(
    stream: &mut BufReader<TcpStream>,
    status: &str,
    body: &[u8],
) -> io::Result<bool> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.get_mut().write_all(&[head.as_bytes(), body].concat()).await?;
    Ok(true)
}

/// Writes these bytes and cuts; whether the connection is still open.
async fn cut_answer(stream: &mut BufReader<TcpStream>, bytes: &[u8], cut: Cut) -> io::Result<bool> {
    stream.get_mut().write_all(bytes).await?;
    if cut == Cut::Reset {
        reset_on_close(stream.get_ref());
    }
    Ok(cut == Cut::Stall)
}

/// Dropping the stream sends RST.
pub(crate) fn reset_on_close(stream: &TcpStream) {
    SockRef::from(stream).set_linger(Some(Duration::ZERO)).expect("an open socket");
}
