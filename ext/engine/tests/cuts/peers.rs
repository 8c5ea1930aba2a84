//! The reader's end, awaited; and what must be left of everything.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use streaming_engine::{
    BodyEvent, BodyKind, Client, ClientFacts, Exchange, Failure, HeadEvent, Policy, PoolSettings,
    RequestHead, Signal, Snapshot, Target, Timeouts,
};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::time::timeout;

/// How long anything may take that is not to take for ever.
const PATIENCE: Duration = Duration::from_secs(20);

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// An engine, and a runtime for its peers.
pub(crate) struct Stage {
    /// Leaked by a test that fails: an engine that hangs would never be dropped.
    pub(crate) client: ManuallyDrop<Arc<Client>>,
    runtime: Runtime,
    descriptors: usize,
    _alone: MutexGuard<'static, ()>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let descriptors = descriptors();
        let client = ManuallyDrop::new(Arc::new(Client::start(Arc::default()).expect("threads")));
        Stage { client, runtime, descriptors, _alone: alone }
    }

    pub(crate) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Ends the stage: nothing may be held by it then.
    pub(crate) fn leaves_nothing(self) {
        let held = |stats: Snapshot| (stats.exchanges, stats.connections, stats.tasks);
        eventually("exchanges, connections, tasks", (0, 0, 0), || held(self.client.stats()));
        drop(ManuallyDrop::into_inner(self.client));
        drop(self.runtime);
        eventually("descriptors", self.descriptors - RUNTIMES_OWN, descriptors);
    }
}

/// Descriptors of the peers' runtime, which are counted at first and gone in the end.
const RUNTIMES_OWN: usize = 3;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("the list of descriptors").count()
}

fn eventually<T: PartialEq + std::fmt::Debug>(what: &str, wanted: T, mut now: impl FnMut() -> T) {
    let started = Instant::now();
    while now() != wanted {
        assert!(started.elapsed() < PATIENCE, "{what} left: {:?}, not {wanted:?}", now());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Settings under which nothing outlives its use for long.
pub(crate) fn policy(limit: Option<Duration>) -> Arc<Policy> {
    let timeouts = Timeouts { head: limit, idle: limit, ..Timeouts::default() };
    let pool = PoolSettings { idle_timeout: Duration::from_millis(500), ..PoolSettings::default() };
    Arc::new(Policy { timeouts, pool, ..Policy::default() })
}

/// An exchange, and what its signal wakes.
pub(crate) struct Reader {
    pub(crate) exchange: Exchange,
    rung: Arc<Notify>,
}

/// What a reader got: the status, the body and how it ended.
pub(crate) type Outcome = Result<(u16, Vec<u8>, Result<(), Failure>), Failure>;

impl Reader {
    pub(crate) fn open(
        client: &Client,
        (method, url): (&str, &str),
        body: BodyKind,
        policy: &Arc<Policy>,
    ) -> Self {
        let target = Target::parse(url.as_bytes()).expect("a URL");
        let facts = ClientFacts { version: "1.1".to_owned(), ..ClientFacts::default() };
        let head = RequestHead::new(method.as_bytes(), target, std::iter::empty(), facts);
        let rung = Arc::new(Notify::new());
        let ringing = rung.clone();
        let signal = Signal::new(move || ringing.notify_one());
        let head = head.expect("a head");
        let exchange = client.open(head, body, false, policy.clone(), signal);
        Reader { exchange, rung }
    }

    pub(crate) async fn rung(&self) {
        timeout(PATIENCE, self.rung.notified()).await.expect("the signal rings");
    }

    /// Reads to the end, of whatever kind.
    pub(crate) async fn outcome(&mut self) -> Outcome {
        let head = loop {
            match self.exchange.head()? {
                HeadEvent::Head(head) => break head,
                HeadEvent::Rewind => panic!("nothing was to be sent again"),
                HeadEvent::Again => self.rung().await,
                other => panic!("nobody asked for {other:?}"),
            }
        };
        let mut body = Vec::new();
        loop {
            match self.exchange.read(64 * 1024) {
                Ok(BodyEvent::Chunks(parts)) => body.extend(parts.concat()),
                Ok(BodyEvent::End) => return Ok((head.status, body, Ok(()))),
                Ok(BodyEvent::Again) => self.rung().await,
                Err(failure) => return Ok((head.status, body, Err(failure))),
            }
        }
    }
}

/// An exchange that nothing disturbs: it must get its own answer, whatever went before.
pub(crate) async fn clean_exchange(client: &Client, url: &str, after: &str) {
    let mut reader = Reader::open(client, ("GET", url), BodyKind::None, &policy(None));
    let outcome = reader.outcome().await;
    let token = url.rsplit('/').next().expect("a token").as_bytes();
    match outcome {
        Ok((200, body, Ok(()))) if body == token => {}
        other => panic!("after {after}: {other:?}"),
    }
}
