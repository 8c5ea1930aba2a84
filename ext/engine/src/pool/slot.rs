//! The right to one connection to an upstream.

use std::sync::{Arc, Weak};

use super::{Key, Pool};

/// Counted against `max_connections` for as long as it lives. Belongs to a connection, or to an
/// exchange that is making one.
#[derive(Debug)]
pub(crate) struct Slot {
    pool: Weak<Pool>,
    key: Key,
    /// Whether the connection is still being made.
    dialing: bool,
}

impl Slot {
    pub(super) fn new(pool: &Arc<Pool>, key: &Key) -> Self {
        Slot { pool: Arc::downgrade(pool), key: key.clone(), dialing: true }
    }

    /// Whose connection it is.
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// Says that the connection has been made, and whether it is one that exchanges share.
    pub(crate) fn connected(&mut self, shared: bool) {
        self.dialing = false;
        if let Some(pool) = self.pool.upgrade() {
            pool.connected(&self.key, shared);
        }
    }

    /// Says that the connection has room for another stream.
    pub(crate) fn has_room(&self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.serve(&self.key);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.release(&self.key, self.dialing);
        }
    }
}
