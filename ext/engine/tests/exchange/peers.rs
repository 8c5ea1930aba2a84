//! Both ends of an exchange: a scripted upstream, and the reader.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use streaming_engine::{
    BodyEvent, BodyKind, Client, ClientFacts, Exchange, Failure, HeadEvent, HeaderValue, Policy,
    RequestHead, ResponseHead, Signal, Target,
};

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The reader's side: an exchange and what its signal rings.
pub(crate) struct Reader {
    pub(crate) exchange: Exchange,
    pub(crate) rung: Receiver<()>,
}

impl Reader {
    pub(crate) fn open(client: &Client, url: &str, body: BodyKind, policy: Policy) -> Self {
        let method = if body == BodyKind::None { "GET" } else { "PUT" };
        Self::open_as(client, method, url, body, policy)
    }

    pub(crate) fn open_as(
        client: &Client,
        method: &str,
        url: &str,
        body: BodyKind,
        policy: Policy,
    ) -> Self {
        Self::with_fields(client, method, url, &[], body, policy)
    }

    /// A request whose client waits to be asked for its body.
    pub(crate) fn expecting(client: &Client, url: &str, body: BodyKind, policy: Policy) -> Self {
        Self::with_fields(client, "PUT", url, &[(b"expect", b"100-continue")], body, policy)
    }

    /// A request whose client can be told of early hints.
    pub(crate) fn hinted(client: &Client, url: &str, policy: Policy) -> Self {
        let facts = ClientFacts { early_hints: true, ..facts() };
        Self::with_facts(client, "GET", url, &[], facts, BodyKind::None, policy)
    }

    /// A request whose client wants to change to another protocol.
    pub(crate) fn upgrading(client: &Client, url: &str, to: &'static str, policy: Policy) -> Self {
        let facts = ClientFacts { upgrade: Some(HeaderValue::from_static(to)), ..facts() };
        Self::with_facts(client, "GET", url, &[], facts, BodyKind::None, policy)
    }

    fn with_fields(
        client: &Client,
        method: &str,
        url: &str,
        fields: &[(&[u8], &[u8])],
        body: BodyKind,
        policy: Policy,
    ) -> Self {
        Self::with_facts(client, method, url, fields, facts(), body, policy)
    }

    fn with_facts(
        client: &Client,
        method: &str,
        url: &str,
        fields: &[(&[u8], &[u8])],
        facts: ClientFacts,
        body: BodyKind,
        policy: Policy,
    ) -> Self {
        let target = Target::parse(url.as_bytes()).expect("a URL");
        let head = RequestHead::new(method.as_bytes(), target, fields.iter().copied(), facts);
        let (sender, rung) = channel();
        let signal = Signal::new(move || {
            let _ = sender.send(());
        });
        let head = head.expect("a head");
        let exchange = client.open(head, body, true, Arc::new(policy), signal);
        Reader { exchange, rung }
    }

    pub(crate) fn wait(&self) {
        self.rung.recv_timeout(PATIENCE).expect("the signal rings");
    }

    pub(crate) fn head(&mut self) -> Result<ResponseHead, Failure> {
        loop {
            match self.exchange.head()? {
                HeadEvent::Head(head) => return Ok(*head),
                HeadEvent::Rewind => panic!("nothing was to be sent again"),
                HeadEvent::Permit(..) => panic!("nothing was to be asked"),
                HeadEvent::Again => self.wait(),
                other => panic!("nobody asked for {other:?}"),
            }
        }
    }

    pub(crate) fn body(&mut self) -> (Vec<u8>, Result<(), Failure>) {
        let mut whole = Vec::new();
        loop {
            match self.exchange.read(64 * 1024) {
                Ok(BodyEvent::Chunks(parts)) => whole.extend(parts.concat()),
                Ok(BodyEvent::End) => return (whole, Ok(())),
                Ok(BodyEvent::Again) => self.wait(),
                Err(failure) => return (whole, Err(failure)),
            }
        }
    }
}

/// A client's end of a connection, and the server's.
pub(crate) fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    (client, listener.accept().expect("a connection").0)
}

fn facts() -> ClientFacts {
    ClientFacts { version: "1.1".to_owned(), ..ClientFacts::default() }
}

/// Serves connections one after another with `script`; counts them when joined.
pub(crate) fn upstream(
    connections: usize,
    script: impl Fn(usize, &mut TcpStream) + Send + 'static,
) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let thread = thread::spawn(move || {
        for number in 0..connections {
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            script(number, &mut stream);
        }
    });
    (url, thread)
}

pub(crate) fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("text")
}

pub(crate) fn client() -> Client {
    Client::start(Arc::default()).expect("threads")
}
