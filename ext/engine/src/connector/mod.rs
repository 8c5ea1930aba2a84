//! A new connection to an upstream: resolve, check the destination policy, connect, TLS, HTTP.
//!
//! The whole of it runs under `connect_timeout`. Every address is tried, see [`addresses`]. What is
//! spoken in the end, HTTP/1 or HTTP/2, is the upstream's choice where it has one (ALPN).

mod addresses;
mod dial;

use std::net::SocketAddr;
use std::sync::Arc;

use dial::{Dial, Step};

use crate::connection::Http1;
use crate::destination::Permission;
use crate::error::{Failure, Kind, Phase};
use crate::http2::Shared;
use crate::policy::Policy;
use crate::pool::Slot;
use crate::resolver::Resolver;
use crate::stats::Stats;
use crate::target::Target;
use crate::tls::TlsConfigs;

/// A new connection.
#[derive(Debug)]
pub(crate) enum Dialed {
    Http1(Box<Http1>),
    Http2(Arc<Shared>),
}

/// Makes connections; shared by all exchanges of an engine.
#[derive(Debug, Default)]
pub(crate) struct Connector {
    resolver: Resolver,
    tls: TlsConfigs,
}

impl Connector {
    /// Connects within `connect_timeout`. Takes the slot only if that succeeds.
    pub(crate) async fn connect(
        &self,
        target: &Target,
        policy: &Policy,
        permission: &Permission,
        stats: &Arc<Stats>,
        slot: &mut Option<Slot>,
    ) -> Result<Dialed, Failure> {
        let connector = self;
        let step = Step::Resolve;
        let mut dial = Dial { connector, target, policy, permission, stats, slot, step };
        let Some(limit) = policy.timeouts.connect else { return dial.run().await };
        match permission.timeout(limit, dial.run()).await {
            Some(result) => result,
            None => Err(dial.step.late(target, limit.as_secs_f64())),
        }
    }

    /// Whether no name is being looked up.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.resolver.is_at_rest()
    }

    /// The host's addresses.
    async fn resolved(&self, target: &Target) -> Result<Vec<SocketAddr>, Failure> {
        self.resolver.addresses(target.host(), target.port()).await.map_err(|err| {
            let origin = target.origin();
            Failure::io(Kind::Resolve, Phase::Connect, &origin, "could not be resolved", &err)
        })
    }
}

#[cfg(test)]
mod tests;
