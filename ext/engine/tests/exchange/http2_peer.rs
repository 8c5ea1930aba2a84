//! An HTTP/2 upstream that tests script stream by stream.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use streaming_engine::{BodyKind, Client, Http2, Policy};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::peers::{PATIENCE, Reader};

/// What a script gets for each request.
pub(crate) struct Asked {
    pub(crate) request: Request<RecvStream>,
    pub(crate) respond: SendResponse<Bytes>,
    /// Which connection, from 0.
    pub(crate) connection: usize,
}

/// Serves until it is dropped.
pub(crate) struct Http2Upstream {
    pub(crate) url: String,
    connections: Arc<AtomicUsize>,
    breaks_off: Arc<AtomicBool>,
    _runtime: Runtime,
}

impl Http2Upstream {
    /// Answers each request with `script`, all at once.
    pub(crate) fn start<F, Fut>(builder: &Builder, script: F) -> Self
    where
        F: Fn(Asked) -> Fut + Send + Sync + Clone + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self::start_with(builder, script, |_| false)
    }

    /// The same; says GOAWAY on a connection after the request for which `leave` is true.
    pub(crate) fn start_with<F, Fut>(
        builder: &Builder,
        script: F,
        leave: impl Fn(&Request<RecvStream>) -> bool + Send + Sync + Clone + 'static,
    ) -> Self
    where
        F: Fn(Asked) -> Fut + Send + Sync + Clone + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let connections = Arc::new(AtomicUsize::new(0));
        let (counter, builder) = (connections.clone(), builder.clone());
        let breaks_off = Arc::new(AtomicBool::new(false));
        let next_breaks_off = breaks_off.clone();
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let connection = counter.fetch_add(1, Ordering::Relaxed);
                let (builder, script, leave) = (builder.clone(), script.clone(), leave.clone());
                let breaks_off = next_breaks_off.clone();
                tokio::spawn(async move {
                    let Ok(streams) = builder.handshake(stream).await else { return };
                    serve(streams, connection, script, leave, &breaks_off).await;
                });
            }
        });
        Http2Upstream { url, connections, breaks_off, _runtime: runtime }
    }

    /// The next request finds its connection closed without a word.
    pub(crate) fn break_off_under_the_next_request(&self) {
        self.breaks_off.store(true, Ordering::Relaxed);
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn serve<F, Fut>(
    mut streams: Connection<TcpStream, Bytes>,
    connection: usize,
    script: F,
    leave: impl Fn(&Request<RecvStream>) -> bool,
    breaks_off: &AtomicBool,
) where
    F: Fn(Asked) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    while let Some(Ok((request, respond))) = streams.accept().await {
        if breaks_off.swap(false, Ordering::Relaxed) {
            return;
        }
        if leave(&request) {
            streams.graceful_shutdown();
        }
        tokio::spawn(script(Asked { request, respond, connection }));
    }
}

impl Asked {
    /// Answers 200 with this body.
    pub(crate) fn answer(mut self, body: impl Into<Bytes>) {
        let body = body.into();
        let mut stream = self.respond.send_response(Response::new(()), false).expect("sent");
        stream.send_data(body, true).expect("sent");
    }

    /// Answers 200 and leaves the body to the caller.
    pub(crate) fn begin(&mut self) -> SendStream<Bytes> {
        self.respond.send_response(Response::new(()), false).expect("sent")
    }

    /// Reads the request's body to its end.
    pub(crate) async fn body(&mut self) -> Result<Vec<u8>, h2::Error> {
        let stream = self.request.body_mut();
        let mut whole = Vec::new();
        while let Some(chunk) = stream.data().await {
            let chunk = chunk?;
            stream.flow_control().release_capacity(chunk.len())?;
            whole.extend_from_slice(&chunk);
        }
        Ok(whole)
    }
}

/// Speaks HTTP/2 by prior knowledge.
pub(crate) fn policy() -> Policy {
    Policy { http2: Http2::Always, ..Policy::default() }
}

/// Waits until it is so.
pub(crate) fn waits(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it never came true");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn get(client: &Client, url: &str) -> Reader {
    Reader::open(client, url, BodyKind::None, policy())
}
