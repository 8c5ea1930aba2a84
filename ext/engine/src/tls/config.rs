//! Settings in the form of rustls.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ALL_VERSIONS, ClientConfig, Error, SupportedProtocolVersion, version};

use super::failure::unusable;
use super::files;
use super::verifier::{AcceptAny, Verifier};
use crate::policy::{ClientIdentity, Http2, Sni, TlsSettings, TlsVersion};

const TLS13_ONLY: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// Reads files, and so may block. The error continues the sentence "upstream X ...".
pub(super) fn build(settings: &TlsSettings, http2: Http2) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions(settings.min_version))
        .map_err(|err| unusable(&err))?
        .dangerous()
        .with_custom_certificate_verifier(verifier(settings, provider)?);
    let mut config = match &settings.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = files::identity(identity)?;
            let refuse = |err| unfit(identity, &err);
            builder.with_client_auth_cert(chain, key).map_err(refuse)?
        }
    };
    config.enable_sni = settings.sni != Sni::Off;
    config.alpn_protocols = alpn(http2).iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

fn versions(oldest: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match oldest {
        TlsVersion::V12 => ALL_VERSIONS,
        TlsVersion::V13 => TLS13_ONLY,
    }
}

/// What is offered, best first (RFC 7301).
fn alpn(http2: Http2) -> &'static [&'static [u8]] {
    match http2 {
        Http2::Auto => &[b"h2", b"http/1.1"],
        Http2::Always => &[b"h2"],
        Http2::Never => &[b"http/1.1"],
    }
}

fn verifier(
    settings: &TlsSettings,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    if !settings.verify {
        return Ok(Arc::new(AcceptAny { provider }));
    }
    let roots = Arc::new(files::roots(settings.ca_file.as_deref())?);
    let webpki = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider)
        .build()
        .map_err(|err| unusable(&err))?;
    Ok(Arc::new(Verifier { webpki, roots }))
}

/// What rustls says of a certificate and a key; it names the files, and nothing in them.
fn unfit(identity: &ClientIdentity, err: &Error) -> String {
    let (certificate, key) = (identity.certificate.display(), identity.key.display());
    match err {
        Error::InconsistentKeys(_) => {
            unusable(&format!("client_key {key} is not the key of client_cert {certificate}"))
        }
        Error::InvalidCertificate(_) => {
            unusable(&format!("client_cert {certificate} holds a damaged certificate"))
        }
        _ => unusable(&format!(
            "client_key {key} holds a key of a kind that cannot be used; it takes RSA from 2048 \
             bits, ECDSA on P-256 or P-384, and Ed25519"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(http2: Http2) -> Vec<Vec<u8>> {
        let settings = TlsSettings { verify: false, ..TlsSettings::default() };
        build(&settings, http2).expect("a configuration").alpn_protocols
    }

    #[test]
    fn cn7_alpn_offers_what_is_spoken() {
        assert_eq!(offered(Http2::Auto), [b"h2".to_vec(), b"http/1.1".to_vec()]);
        assert_eq!(offered(Http2::Always), [b"h2".to_vec()]);
        assert_eq!(offered(Http2::Never), [b"http/1.1".to_vec()]);
    }
}
