//! Asking the policy of one exchange.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep};

use super::{Destinations, Reading};
use crate::chunks::Announcer;
use crate::error::{Failure, Kind, Phase};
use crate::policy::Policy;
use crate::target::Target;

/// What the reader is asked: which of these addresses may be connected to.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) host: String,
    pub(crate) addresses: Vec<IpAddr>,
    /// Takes an answer for each address. Dropped, it refuses them all.
    pub(crate) answer: oneshot::Sender<Vec<bool>>,
}

/// What may be connected to for one exchange.
#[derive(Debug)]
pub(crate) struct Permission {
    policy: Arc<Policy>,
    host: String,
    origin: String,
    announcer: Announcer,
    asking: watch::Sender<bool>,
}

impl Permission {
    pub(crate) fn new(policy: Arc<Policy>, target: &Target, announcer: Announcer) -> Self {
        let (host, origin) = (target.host().to_owned(), target.origin());
        Permission { policy, host, origin, announcer, asking: watch::Sender::new(false) }
    }

    /// Those of the resolved addresses that may be connected to, in their order.
    pub(crate) async fn resolved(
        &self,
        mut found: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let permitted = self.of(found.iter().map(SocketAddr::ip).collect()).await;
        found.retain(|address| permitted.contains(&address.ip()));
        if found.is_empty() { Err(self.refusal()) } else { Ok(found) }
    }

    /// Those of the addresses that may be connected to.
    pub(crate) async fn of(&self, mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
        match &self.policy.destinations {
            Destinations::Rules(rules) => addresses.retain(|address| {
                let reading = Reading::new(*address);
                rules.iter().any(|rule| rule.permits(&self.host, &reading))
            }),
            Destinations::Asked => {
                let allowed = self.ask(&addresses).await;
                addresses.retain(|address| {
                    Reading::new(*address).all().all(|one| allowed.contains(&one))
                });
            }
        }
        addresses
    }

    /// What the reader allows of these and of what they carry.
    async fn ask(&self, addresses: &[IpAddr]) -> Vec<IpAddr> {
        let mut all = Vec::new();
        for address in
            addresses.iter().flat_map(|address| Reading::new(*address).all().collect::<Vec<_>>())
        {
            if !all.contains(&address) {
                all.push(address);
            }
        }
        if all.is_empty() {
            return all;
        }
        let (answer, answered) = oneshot::channel();
        let question = Question { host: self.host.clone(), addresses: all.clone(), answer };
        self.asking.send_replace(true);
        self.announcer.ask(question);
        let answers = answered.await.unwrap_or_default();
        self.asking.send_replace(false);
        all.into_iter().zip(answers).filter_map(|(address, yes)| yes.then_some(address)).collect()
    }

    /// Which address it was is nobody's business.
    fn refusal(&self) -> Failure {
        let rule = &self.policy.destinations;
        let detail = format!("is at an address that allow_destinations ({rule}) refuses");
        Failure::new(Kind::Destination, Phase::Connect, &self.origin, detail)
    }

    /// The work's result, or `None` if it takes longer. While the reader is asked the clock stands
    /// still: its time is not the upstream's.
    pub(crate) async fn timeout<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.pass(limit) => None,
        }
    }

    async fn pass(&self, mut left: Duration) {
        let mut asking = self.asking.subscribe();
        loop {
            // The sender lives as long as self.
            let _ = asking.wait_for(|asking| !asking).await;
            let started = Instant::now();
            tokio::select! {
                () = sleep(left) => return,
                _ = asking.wait_for(|asking| *asking) => {}
            }
            left = left.saturating_sub(started.elapsed());
        }
    }
}
