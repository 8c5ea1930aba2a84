//! Roots, certificates and keys in PEM files, and whether a file is still the one that was read.
//!
//! No error repeats a file's content: what is no sound PEM may be a key all the same.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::failure::unusable;
use crate::policy::{ClientIdentity, TlsSettings};

/// Device, inode, length and the time of the last change, which no copy brings along.
type Stamp = (u64, u64, u64, i64, i64);

/// The states of the files that settings name; `None` for one that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamps(Vec<Option<Stamp>>);

impl Stamps {
    /// May block.
    pub(super) fn of(settings: &TlsSettings) -> Self {
        let identity = settings.identity.iter().flat_map(|one| [&one.certificate, &one.key]);
        let roots = settings.ca_file.iter().filter(|_| settings.verify);
        Stamps(roots.chain(identity).map(|path| stamp(path)).collect())
    }

    /// Whether there is no file to look at.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a file is not there: it is about to be replaced, or out of reach by now.
    pub(super) fn is_incomplete(&self) -> bool {
        self.0.contains(&None)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.size(), found.ctime(), found.ctime_nsec()))
}

/// The certificates of `ca_file`, or else the system's.
pub(super) fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca_file else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return match roots.is_empty() {
            true => {
                Err(unusable(&"the system has no root certificates: install them or set ca_file"))
            }
            false => Ok(roots),
        };
    };
    for certificate in certificates("ca_file", path)? {
        roots
            .add(certificate)
            .map_err(|_| refuse("ca_file", path, "holds a damaged certificate"))?;
    }
    Ok(roots)
}

/// The certificate that we show with those that lead to its root, and its key.
pub(super) fn identity(
    identity: &ClientIdentity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let chain = certificates("client_cert", &identity.certificate)?;
    Ok((chain, key(identity)?))
}

fn certificates(setting: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(setting, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(refuse(setting, path, "holds no certificate in PEM")),
        Err(_) => Err(refuse(setting, path, "is no sound PEM file")),
    }
}

fn key(identity: &ClientIdentity) -> Result<PrivateKeyDer<'static>, String> {
    let path = &identity.key;
    let pem = read("client_key", path)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        let what = if is_encrypted(&pem) {
            "is encrypted: take its passphrase away (openssl pkey -in FILE -out NEW)"
        } else if *path == identity.certificate {
            "holds no private key, as client_cert: give the key's file as client_key"
        } else {
            "holds no private key in PEM (PKCS#8, RSA or SEC1)"
        };
        refuse("client_key", path, what)
    })
}

/// Of PKCS#8, or in the way of RFC 1421 section 4.6.1.1.
fn is_encrypted(pem: &[u8]) -> bool {
    [&b"-----BEGIN ENCRYPTED "[..], b"Proc-Type: 4,ENCRYPTED"]
        .iter()
        .any(|mark| pem.windows(mark.len()).any(|part| part == *mark))
}

fn read(setting: &str, path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|err| refuse(setting, path, &format!("cannot be read ({err})")))
}

fn refuse(setting: &str, path: &Path, what: &str) -> String {
    unusable(&format!("{setting} {} {what}", path.display()))
}
