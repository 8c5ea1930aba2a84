//! Names to addresses, with the system's getaddrinfo.
//!
//! A lookup blocks a thread and cannot be called off, so few run at once, and fewer for one name: a
//! name whose server is silent must not keep others from being resolved. What waits for its turn
//! is a future and goes with its exchange.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

/// Lookups at once.
pub(crate) const LOOKUPS: usize = 4;
/// Lookups of one name at once.
const OF_ONE_NAME: usize = 2;

type Lookup = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// Resolves names; shared by all exchanges of an engine. Keeps no answer: who connects anew follows
/// a changed record.
#[derive(Debug)]
pub(crate) struct Resolver {
    lookup: Lookup,
    all: Arc<Semaphore>,
    names: Mutex<HashMap<String, Weak<Semaphore>>>,
}

impl Default for Resolver {
    fn default() -> Self {
        Resolver::with(|host, port| (host, port).to_socket_addrs().map(Iterator::collect))
    }
}

impl Resolver {
    /// One that asks `lookup`, which may block.
    pub(crate) fn with(lookup: Lookup) -> Self {
        Resolver { lookup, all: Arc::new(Semaphore::new(LOOKUPS)), names: Mutex::default() }
    }

    /// Every address of the host, in the system's order. A literal is not looked up.
    pub(crate) async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(literal) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(literal, port)]);
        }
        let turn = (permit(self.of_name(host)).await?, permit(self.all.clone()).await?);
        let (host, lookup) = (host.to_owned(), self.lookup);
        let looking = move || {
            let _turn = turn;
            lookup(&host, port)
        };
        spawn_blocking(looking).await.map_err(io::Error::other)?
    }

    /// Whether no lookup runs.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.all.available_permits() == LOOKUPS
    }

    fn of_name(&self, host: &str) -> Arc<Semaphore> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(semaphore) = names.get(host).and_then(Weak::upgrade) {
            return semaphore;
        }
        // Permits keep a name's semaphore alive; names without a lookup are forgotten here.
        names.retain(|_, semaphore| semaphore.strong_count() > 0);
        let semaphore = Arc::new(Semaphore::new(OF_ONE_NAME));
        names.insert(host.to_owned(), Arc::downgrade(&semaphore));
        semaphore
    }
}

async fn permit(semaphore: Arc<Semaphore>) -> io::Result<OwnedSemaphorePermit> {
    semaphore.acquire_owned().await.map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_silent_name_keeps_no_other_from_being_resolved() {
        let resolver = Resolver::default();
        let stuck: Vec<_> = (0..OF_ONE_NAME).map(|_| permit(resolver.of_name("silent"))).collect();
        let mut held = Vec::new();
        for turn in stuck {
            held.push((turn.await.expect("a turn"), permit(resolver.all.clone()).await));
        }
        assert!(resolver.of_name("silent").try_acquire().is_err(), "further lookups wait");
        let found = resolver.addresses("localhost", 80).await.expect("localhost");
        assert!(found.iter().all(|address| address.ip().is_loopback()));
        drop(held);
        drop(permit(resolver.of_name("other")).await);
        assert!(resolver.names.lock().expect("names").len() <= 2, "names are forgotten");
    }
}
