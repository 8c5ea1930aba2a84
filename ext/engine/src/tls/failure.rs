//! What a failure of TLS means, and what to change: predicates of sentences whose subject is the
//! upstream.

use std::fmt;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};
use rustls_pki_types::UnixTime;

use super::verifier::SelfSigned;

/// Names of a certificate that are told; there may be hundreds.
const NAMES: usize = 3;
const OLD_VERSION: &str = "speaks no version of TLS that min_tls_version allows";

/// Settings with which no handshake can begin.
pub(super) fn unusable(what: &dyn fmt::Display) -> String {
    format!("was offered no TLS handshake: {what}")
}

/// A handshake that failed.
pub(crate) fn of_handshake(err: &Error) -> String {
    match err {
        Error::InvalidCertificate(err) => certificate(err),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) => format!("does not speak TLS: check the URL's scheme and port ({err})"),
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => format!("{OLD_VERSION} ({err})"),
        Error::AlertReceived(alert) => refusal(*alert),
        other => format!("failed the TLS handshake ({other})"),
    }
}

/// A connection that failed later. In TLS 1.3 the upstream looks at our certificate when we have
/// done with the handshake (RFC 8446 section 4.4.2.4).
pub(super) fn after_handshake(err: &Error) -> String {
    match err {
        Error::AlertReceived(alert) => refusal(*alert),
        other => format!("broke TLS ({other})"),
    }
}

/// What the upstream had against us.
fn refusal(alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    let what = match alert {
        Alert::CertificateRequired => "demands a client certificate: set client_cert",
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied
        | Alert::NoCertificate => "does not accept the client certificate: check client_cert",
        Alert::HandshakeFailure => {
            "refused the TLS handshake: it may demand a client certificate (client_cert), or there \
             is no cipher that both sides speak"
        }
        Alert::ProtocolVersion | Alert::InsufficientSecurity => OLD_VERSION,
        Alert::UnrecognisedName => "does not know the server name: check tls_sni",
        Alert::NoApplicationProtocol => "speaks no version of HTTP that http2 allows",
        _ => "broke TLS off",
    };
    format!("{what} (its alert: {alert:?})")
}

/// Why its certificate is not accepted.
fn certificate(err: &CertificateError) -> String {
    match err {
        CertificateError::ExpiredContext { time, not_after } => {
            let ago = span(*not_after, *time);
            format!("has a certificate that expired {ago} ago: it must be renewed there")
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let span = span(*time, *not_before);
            format!("has a certificate that is not valid yet, but in {span}: check the clocks")
        }
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "has a certificate that is not for {:?} but for {}: check the URL's host, or set \
             tls_sni to a name that it has",
            expected.to_str(),
            names(presented)
        ),
        CertificateError::UnknownIssuer => "has a certificate from an authority that is not \
            trusted: give the authority's as ca_file, unless the upstream leaves one in between out"
            .to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "has a certificate that is not one for servers (its extended key usage)".to_owned()
        }
        CertificateError::Other(other) if other.0.is::<SelfSigned>() => {
            "has a self-signed certificate: give it as ca_file, or set verify_ssl: false".to_owned()
        }
        other => format!("has a certificate that is not accepted ({other})"),
    }
}

fn names(presented: &[String]) -> String {
    let shown = presented.iter().take(NAMES).map(|name| plain(name)).collect::<Vec<_>>().join(", ");
    match presented.len() {
        0 => "no name at all (subjectAltName)".to_owned(),
        len if len > NAMES => format!("{shown} and {} more", len - NAMES),
        _ => shown,
    }
}

/// A name without what webpki writes around it, as in `DnsName("a.test")`.
fn plain(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

/// In the unit in which people would say it.
fn span(from: UnixTime, to: UnixTime) -> String {
    let seconds = to.as_secs().saturating_sub(from.as_secs());
    match (seconds / 86_400, seconds / 3600) {
        (days @ 2.., _) => format!("{days} days"),
        (_, hours @ 2..) => format!("{hours} hours"),
        _ => format!("{seconds} seconds"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn cn7_spans_are_told_in_the_unit_that_fits() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        assert_eq!(span(at(100), at(160)), "60 seconds");
        assert_eq!(span(at(0), at(3 * 3600 + 5)), "3 hours");
        assert_eq!(span(at(0), at(12 * 86_400)), "12 days");
        assert_eq!(span(at(9), at(3)), "0 seconds");
    }

    #[test]
    fn cn7_of_many_names_a_few_are_told() {
        let many: Vec<_> = (1..=5).map(|n| format!("n{n}")).collect();
        assert_eq!(names(&many), "n1, n2, n3 and 2 more");
        assert_eq!(names(&many[..1]), "n1");
        let told = [r#"DnsName("a.test")"#, "IpAddress(127.0.0.2)"].map(str::to_owned);
        assert_eq!(names(&told), "a.test, 127.0.0.2");
        assert_eq!(names(&[]), "no name at all (subjectAltName)");
    }

    #[test]
    fn cn7_each_alert_says_what_to_change() {
        let hint = |alert| after_handshake(&Error::AlertReceived(alert));
        for (alert, setting) in [
            (AlertDescription::CertificateRequired, "set client_cert"),
            (AlertDescription::UnknownCA, "check client_cert"),
            (AlertDescription::HandshakeFailure, "client_cert"),
            (AlertDescription::ProtocolVersion, "min_tls_version"),
            (AlertDescription::UnrecognisedName, "tls_sni"),
            (AlertDescription::NoApplicationProtocol, "http2"),
            (AlertDescription::InternalError, "its alert: InternalError"),
        ] {
            assert!(hint(alert).contains(setting), "{alert:?}");
        }
    }
}
