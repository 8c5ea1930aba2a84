//! TLS to upstreams: rustls with ring, verified against the system's roots or a CA file.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;

use crate::policy::{Http2, TlsSettings};

/// One TLS configuration, and so one session cache, for each identity.
#[derive(Default)]
pub(crate) struct TlsConfigs {
    configs: Mutex<HashMap<(TlsSettings, Http2), Arc<ClientConfig>>>,
}

impl fmt::Debug for TlsConfigs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfigs").finish_non_exhaustive()
    }
}

impl TlsConfigs {
    /// The connector for these settings; what is wrong with them, if they cannot be used.
    pub(crate) async fn connector(
        &self,
        settings: &TlsSettings,
        http2: Http2,
    ) -> Result<TlsConnector, String> {
        let key = (settings.clone(), http2);
        let known = self.lock().get(&key).cloned();
        if let Some(config) = known {
            return Ok(TlsConnector::from(config));
        }
        // Reading hundreds of roots would hold up every other exchange.
        let wanted = settings.clone();
        let built = spawn_blocking(move || build(&wanted, http2))
            .await
            .map_err(|err| err.to_string())??;
        // Of two exchanges that came here together, the second uses the first's session cache.
        let config = self.lock().entry(key).or_insert(Arc::new(built)).clone();
        Ok(TlsConnector::from(config))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(TlsSettings, Http2), Arc<ClientConfig>>> {
        self.configs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn build(settings: &TlsSettings, http2: Http2) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|err| err.to_string())?;
    let mut config = if settings.verify {
        let roots = match &settings.ca_file {
            Some(path) => roots_in(path)?,
            None => system_roots()?,
        };
        builder.with_root_certificates(roots).with_no_client_auth()
    } else {
        let verifier = Arc::new(AcceptAny { provider });
        builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
    };
    config.alpn_protocols = match http2 {
        Http2::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Http2::Always => vec![b"h2".to_vec()],
        Http2::Never => vec![b"http/1.1".to_vec()],
    };
    Ok(config)
}

fn roots_in(path: &Path) -> Result<RootCertStore, String> {
    let refuse = |err: &dyn fmt::Display| format!("ca_file {}: {err}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|err| refuse(&err))? {
        let certificate = certificate.map_err(|err| refuse(&err))?;
        roots.add(certificate).map_err(|err| refuse(&err))?;
    }
    if roots.is_empty() { Err(refuse(&"it holds no certificate")) } else { Ok(roots) }
}

fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err("the system has no root certificates: install them or set ca_file".to_owned());
    }
    Ok(roots)
}

/// `verify_ssl: false`: any certificate will do, but the handshake must still be sound.
#[derive(Debug)]
struct AcceptAny {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
