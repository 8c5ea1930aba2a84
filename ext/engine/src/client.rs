//! The entry: a runtime, a connector and a pool, from which exchanges are opened.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::runtime::{Builder, Runtime};

use crate::chunks;
use crate::connector::Connector;
use crate::destination::{Destinations, Permission};
use crate::exchange::{Exchange, Task};
use crate::headers::RequestHead;
use crate::policy::Policy;
use crate::pool::{Key, Pool};
use crate::report::Ledger;
use crate::resolver::LOOKUPS;
use crate::signal::Signal;
use crate::stats::{Snapshot, Stats};
use crate::upload::{BodyKind, Upload};
use crate::watch::Watch;

/// Bytes that wait in each direction of an exchange, besides the piece that crossed the limit.
const QUEUE: usize = 256 * 1024;
/// Threads for what blocks: lookups, and reading certificates.
const BLOCKING: usize = LOOKUPS + 1;

/// What all exchanges of a client share.
#[derive(Debug, Default)]
pub(crate) struct Core {
    pub(crate) connector: Connector,
    pub(crate) pool: Arc<Pool>,
    pub(crate) stats: Arc<Stats>,
}

/// One engine: its threads and its connections. Belongs to the process that started it: in a
/// forked child it must be leaked, never dropped or used.
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    core: Arc<Core>,
}

impl Client {
    /// Starts the engine's threads.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(BLOCKING)
            .thread_name("rsp-io")
            .enable_io()
            .enable_time()
            .build()?;
        Ok(Client { runtime, core: Arc::default() })
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
        let signal = Arc::new(signal);
        let origin = head.target.origin();
        let (outbox, inbox) = chunks::channel(QUEUE, signal.clone(), &origin);
        let upload = Upload::new(body, QUEUE, signal, self.core.stats.clone());
        if policy.destinations == Destinations::Asked {
            upload.hold();
        }
        let watch = Arc::new(Watch::new());
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
            counted: self.core.stats.exchange(),
        };
        let task = self.runtime.spawn(task.run()).abort_handle();
        Exchange { inbox, upload, watch, ledger, task, asked: None, over: None }
    }

    /// What the engine holds now.
    pub fn stats(&self) -> Snapshot {
        let stats = &self.core.stats;
        Snapshot {
            exchanges: stats.exchanges.load(Ordering::Relaxed),
            connections: stats.connections.load(Ordering::Relaxed),
            idle_connections: self.core.pool.idle(),
            waiting_requests: self.core.pool.waiting(),
            bytes_up: stats.bytes_up.load(Ordering::Relaxed),
            bytes_down: stats.bytes_down.load(Ordering::Relaxed),
            tasks: self.runtime.metrics().num_alive_tasks(),
        }
    }
}
