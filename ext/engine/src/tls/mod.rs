//! TLS to upstreams, by rustls with ring.
//!
//! One configuration, and so one session cache, for each identity: no session is resumed under
//! other roots, another client certificate or laxer checks. A forked child starts with none. Files
//! that have been replaced are read again, and nothing learnt under the old ones is kept.

mod config;
mod failure;
mod files;
mod stream;
mod verifier;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;

pub(crate) use self::failure::of_handshake;
use self::files::Stamps;
pub(crate) use self::stream::{Broken, Stream};
use crate::policy::{Http2, Sni, TlsSettings};

/// What makes two configurations the same.
type Identity = (TlsSettings, Http2);

/// A configuration, and the state in which its files were read.
#[derive(Clone)]
struct Loaded {
    config: Arc<ClientConfig>,
    stamps: Stamps,
}

/// The configurations of an engine.
#[derive(Default)]
pub(crate) struct TlsConfigs {
    loaded: Mutex<HashMap<Identity, Loaded>>,
}

impl fmt::Debug for TlsConfigs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfigs").finish_non_exhaustive()
    }
}

impl TlsConfigs {
    /// The connector for these settings; which of them cannot be used, and why.
    pub(crate) async fn connector(
        &self,
        settings: &TlsSettings,
        http2: Http2,
    ) -> Result<TlsConnector, String> {
        let identity = (without_name(settings), http2);
        let known = self.lock().get(&identity).cloned();
        let loaded = match known {
            Some(known) if known.stamps.is_empty() => known,
            known => self.refresh(identity, known).await?,
        };
        Ok(TlsConnector::from(loaded.config))
    }

    async fn refresh(&self, identity: Identity, known: Option<Loaded>) -> Result<Loaded, String> {
        let wanted = identity.clone();
        // Files are looked at, and hundreds of roots read, where they hold up no other exchange.
        let found = spawn_blocking(move || current(&wanted, known))
            .await
            .map_err(|err| format!("could not read its TLS settings: {err}"))??;
        // Of two exchanges that came here together, the second uses the first's session cache.
        let mut loaded = self.lock();
        let kept = loaded.entry(identity).or_insert_with(|| found.clone());
        if kept.stamps != found.stamps {
            *kept = found;
        }
        Ok(kept.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Identity, Loaded>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known while its files are as they were, else a new configuration.
fn current((settings, http2): &Identity, known: Option<Loaded>) -> Result<Loaded, String> {
    // Looked at before they are read: a change in between is noticed the next time.
    let stamps = Stamps::of(settings);
    match known {
        Some(known) if known.stamps == stamps || stamps.is_incomplete() => Ok(known),
        _ => Ok(Loaded { config: Arc::new(config::build(settings, *http2)?), stamps }),
    }
}

/// A configuration holds no server name, and sessions are kept by theirs: names that differ for
/// each request need no configurations of their own.
fn without_name(settings: &TlsSettings) -> TlsSettings {
    let sni = if settings.sni == Sni::Off { Sni::Off } else { Sni::Url };
    TlsSettings { sni, ..settings.clone() }
}

/// The name that the certificate must have, and that is sent unless it is an address (RFC 6066
/// section 3) or sending is off.
pub(crate) fn server_name(host: &str, sni: &Sni) -> Result<ServerName<'static>, String> {
    let name = match sni {
        Sni::Url | Sni::Off => host,
        Sni::Name(name) => name,
    };
    ServerName::try_from(name.to_owned())
        .map_err(|_| format!("has no certificate for {name:?}: no certificate can (see tls_sni)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cn4_identities_differ_in_all_but_the_name_that_is_sent() {
        let sni = |sni| without_name(&TlsSettings { sni, ..TlsSettings::default() });
        let names = ["a.test", "b.test"].map(|name| sni(Sni::Name(name.to_owned())));
        assert_eq!(names, [sni(Sni::Url), sni(Sni::Url)]);
        assert_ne!(sni(Sni::Off), sni(Sni::Url));
        let unverified = TlsSettings { verify: false, ..TlsSettings::default() };
        assert_ne!(without_name(&unverified), sni(Sni::Url));
    }

    #[test]
    fn cn7_the_name_is_the_hosts_or_the_settings() {
        let name = |host, sni| server_name(host, &sni).map(|name| name.to_str().into_owned());
        assert_eq!(name("a.test", Sni::Url), Ok("a.test".to_owned()));
        assert_eq!(name("a.test", Sni::Off), Ok("a.test".to_owned()));
        assert_eq!(name("::1", Sni::Url), Ok("::1".to_owned()));
        assert_eq!(name("a.test", Sni::Name("b.test".to_owned())), Ok("b.test".to_owned()));
        assert!(name(&"a".repeat(64), Sni::Url).is_err());
    }
}
