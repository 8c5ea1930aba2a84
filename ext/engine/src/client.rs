//! The entry: a runtime, a connector and a pool, from which exchanges are opened.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::chunks::{self, QUEUE};
use crate::connector::Connector;
use crate::deliver::{self, Delivery, Reply};
use crate::destination::{Destinations, Permission};
use crate::drain::Drain;
use crate::error::Failure;
use crate::exchange::{Exchange, Task};
use crate::headers::RequestHead;
use crate::policy::{Http2, Policy};
use crate::pool::{Key, Pool};
use crate::report::Ledger;
use crate::resolver::LOOKUPS;
use crate::signal::Signal;
use crate::stats::{Snapshot, Stats};
use crate::tunnel::Tunnel;
use crate::upload::{BodyKind, Upload};
use crate::watch::Watch;

/// Threads for what blocks: lookups, and reading certificates.
const BLOCKING: usize = LOOKUPS + 1;
/// How long a thread may take to end that has nothing to do.
const STOP: Duration = Duration::from_secs(1);

/// What all exchanges of a client share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) connector: Connector,
    pub(crate) pool: Arc<Pool>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) drain: Drain,
}

/// One engine: its threads and its connections. Belongs to the process that started it: in a
/// forked child it must be leaked, never dropped or used.
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    core: Arc<Core>,
}

impl Client {
    /// Starts the engine's threads. What they do is counted in `stats`.
    pub fn start(stats: Arc<Stats>) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(BLOCKING)
            .thread_name("rsp-io")
            .enable_io()
            .enable_time()
            .build()?;
        let (connector, pool) = (Connector::default(), Arc::default());
        let core = Core { connector, pool, stats, drain: Drain::default() };
        Ok(Client { runtime, core: Arc::new(core) })
    }

    /// Opens an exchange; returns at once. `signal` rings when a method of the exchange that found
    /// nothing is worth calling again. `rewindable`: the body's writer can begin again.
    pub fn open(
        &self,
        head: RequestHead,
        body: BodyKind,
        rewindable: bool,
        policy: Arc<Policy>,
        signal: Signal,
    ) -> Exchange {
        let policy = match head.client.upgrade {
            // Which there is in HTTP/1.1 alone.
            Some(_) => Arc::new(Policy { http2: Http2::Never, ..(*policy).clone() }),
            None => policy,
        };
        let signal = Arc::new(signal);
        let origin = head.target.origin();
        let (outbox, inbox) = chunks::channel(policy.read_ahead, signal.clone(), &origin);
        let upload = Upload::new(body, QUEUE, signal.clone(), self.core.stats.clone());
        if policy.destinations == Destinations::Asked {
            upload.hold();
        }
        let watch = Arc::new(Watch::new(signal));
        let ledger = Ledger::default();
        let task = Task {
            core: self.core.clone(),
            permission: Permission::new(policy.clone(), &head.target, outbox.announcer()),
            key: Key::new(&head.target, &policy),
            head,
            body,
            rewindable,
            policy,
            origin,
            upload: upload.clone(),
            outbox,
            watch: watch.clone(),
            ledger: ledger.clone(),
            held: None,
            answered: false,
            counted: Some(self.core.stats.exchange()),
        };
        let stats = self.core.stats.clone();
        let task = Some(self.runtime.spawn(task.run()).abort_handle());
        Exchange {
            inbox,
            upload,
            watch,
            ledger,
            task,
            asked: None,
            over: None,
            switched: None,
            to_come: 0,
            place: None,
            stats,
        }
    }

    /// Writes the response of an exchange whose head has been read to its client; `ended` hears how
    /// that ended, in a thread of the engine's, and must not block. The exchange is closed by then.
    pub fn deliver(
        &self,
        exchange: Arc<Mutex<Exchange>>,
        delivery: Delivery,
        ended: impl FnOnce(Result<(), Failure>) + Send + 'static,
    ) {
        let core = self.core.clone();
        deliver::lock(&exchange).hand_over();
        self.runtime.spawn(async move {
            let written = delivery.run(exchange, &core.drain).await;
            deliver::conclude(written, ended).await;
        });
    }

    /// The process is to end: what is written to clients by now or later has its `drain_timeout`
    /// from here on.
    pub fn drain(&self) {
        self.core.drain.begin();
    }

    /// The process ends now: what is written to clients is cut.
    pub fn cut(&self) {
        self.core.drain.end();
    }

    /// Makes a tunnel of an exchange that has changed protocols; `ended` hears of its end as with
    /// [`Client::deliver`].
    pub fn tunnel(
        &self,
        exchange: Arc<Mutex<Exchange>>,
        tunnel: Tunnel,
        ended: impl FnOnce(Result<(), Failure>) + Send + 'static,
    ) {
        let core = self.core.clone();
        deliver::lock(&exchange).hand_over();
        self.runtime.spawn(async move {
            let outcome = tunnel.run(exchange, &core.drain).await;
            ended(outcome);
        });
    }

    /// Writes a response that is wholly here; `ended` as for [`Client::deliver`].
    pub fn reply(&self, reply: Reply, ended: impl FnOnce(Result<(), Failure>) + Send + 'static) {
        let (core, counted) = (self.core.clone(), self.core.stats.stream(usize::MAX));
        self.runtime.spawn(async move {
            let written = reply.run(&core.drain).await;
            drop(counted);
            deliver::conclude(written, ended).await;
        });
    }

    /// What the engine holds now, and what has been counted.
    pub fn stats(&self) -> Snapshot {
        Snapshot {
            idle_connections: self.core.pool.idle(),
            waiting_requests: self.core.pool.waiting(),
            tasks: self.runtime.metrics().num_alive_tasks(),
            ..self.core.stats.snapshot()
        }
    }

    /// Whether nothing is under way: no exchange, no stream, and no lookup that one has left behind.
    pub fn is_at_rest(&self) -> bool {
        let now = self.core.stats.snapshot();
        now.exchanges + now.streams == 0 && self.core.connector.is_at_rest()
    }

    /// Closes the idle connections and ends the threads; at rest that takes a moment only.
    pub fn stop(self) {
        self.runtime.shutdown_timeout(STOP);
    }
}
