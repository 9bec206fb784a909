//! TLS 1.2 and 1.3 as dockerd speaks them: always verified, `http/1.1` and nothing else.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, CipherSuite, ClientConfig};
use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::SetupError;
use super::wrong::{Try, Wrong};
use crate::reason::FailureKind;
use crate::timestamp::Timestamp;

/// One verifier and one configuration for every connection: the authorities are most of the memory that a
/// prober has.
pub(super) struct Tls {
    /// `None`: this host trusts nobody, so no certificate can be good.
    connector: Option<TlsConnector>,
}

impl Tls {
    /// Reads the authorities that the host trusts, and those of `ca_file`.
    ///
    /// # Errors
    ///
    /// `ca_file` cannot be read or holds no certificate. A host without any authorities is no error: plain
    /// http mirrors still work there, and https ones fail as they fail in dockerd.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, SetupError> {
        let extra = ca_file.map(read_authorities).transpose()?.unwrap_or_default();
        let provider = Arc::new(provider());
        let connector = match Verifier::new_with_extra_roots(extra, Arc::clone(&provider)) {
            Ok(verifier) => Some(TlsConnector::from(Arc::new(config(verifier, provider)?))),
            Err(rustls::Error::General(_)) => None,
            Err(error) => {
                let path = ca_file.unwrap_or(Path::new("")).to_owned();
                return Err(SetupError::CaFile { path, why: error.to_string() });
            }
        };
        Ok(Self { connector })
    }

    /// Shakes hands over `stream` with `host`, whose certificate is checked.
    ///
    /// # Errors
    ///
    /// One of the four kinds of TLS failure. Silence and a reset in the handshake are `tls_error` too:
    /// TCP was fine, so the name in the ClientHello, or what speaks TLS there, is the trouble.
    pub(super) async fn handshake<S>(&self, stream: S, host: &str, until: Instant) -> Try<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(connector) = &self.connector else {
            let detail = "this host trusts no certificate authority; the package ca-certificates has them";
            return Err(Wrong::new(FailureKind::TlsUntrusted, detail));
        };
        let Ok(name) = ServerName::try_from(host.to_owned()) else {
            return Err(Wrong::new(FailureKind::TlsError, "a certificate cannot have this host's name"));
        };
        match timeout_at(until, connector.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(why(&error)),
            Err(_) => Err(Wrong::new(FailureKind::TlsError, "no answer in the TLS handshake")),
        }
    }
}

/// All ciphers of rustls, but first the one that Go's TLS, and so dockerd, has first where the processor knows AES: many
/// servers take the first.
fn provider() -> CryptoProvider {
    let mut provider = ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    provider
}

fn config(verifier: Verifier, provider: Arc<CryptoProvider>) -> Result<ClientConfig, SetupError> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SetupError::Tls { why: error.to_string() })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Every connection is as cold as dockerd's.
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn read_authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let bad = |why: String| SetupError::CaFile { path: path.to_owned(), why };
    let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| bad(error.to_string()))?;
    if certificates.is_empty() { Err(bad("no certificate in it".to_owned())) } else { Ok(certificates) }
}

/// Which kind of TLS failure an error of a handshake is.
fn why(error: &io::Error) -> Wrong {
    let detail = match inside(error) {
        Some(rustls::Error::InvalidCertificate(certificate)) => return of_certificate(certificate),
        Some(rustls::Error::InvalidMessage(_)) => "what answers does not speak TLS".to_owned(),
        Some(other) => other.to_string(),
        None if error.kind() == io::ErrorKind::ConnectionReset => {
            "the connection was reset in the TLS handshake".to_owned()
        }
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the connection ended in the TLS handshake".to_owned()
        }
        None => error.to_string(),
    };
    Wrong::new(FailureKind::TlsError, detail)
}

/// The error of rustls inside one of I/O. `source()` would skip it: an `io::Error` gives the source of what it
/// wraps and not what it wraps.
pub(super) fn inside(error: &io::Error) -> Option<&rustls::Error> {
    let inner = error.get_ref()?;
    match inner.downcast_ref::<rustls::Error>() {
        Some(tls) => Some(tls),
        None => inside(inner.downcast_ref::<io::Error>()?),
    }
}

fn of_certificate(error: &CertificateError) -> Wrong {
    let day =
        |time: &rustls::pki_types::UnixTime| Timestamp::from_millis(time.as_secs().saturating_mul(1000));
    if let CertificateError::ExpiredContext { not_after, .. } = error {
        return Wrong::new(FailureKind::TlsExpired, format!("the certificate expired {}", day(not_after)));
    }
    if let CertificateError::NotValidYetContext { not_before, .. } = error {
        let detail = format!("the certificate is not valid before {}", day(not_before));
        return Wrong::new(FailureKind::TlsExpired, detail);
    }
    if let CertificateError::NotValidForNameContext { presented, .. } = error {
        let detail = format!("the certificate is for {}", presented.join(", "));
        return Wrong::new(FailureKind::TlsWrongHost, detail);
    }
    if matches!(error, CertificateError::Expired | CertificateError::NotValidYet) {
        return Wrong::new(FailureKind::TlsExpired, error.to_string());
    }
    if matches!(error, CertificateError::NotValidForName) {
        return Wrong::new(FailureKind::TlsWrongHost, error.to_string());
    }
    // A self-signed certificate of `openssl req -x509` is an authority used as a server; rustls has no word
    // of its own for it, and Go says "signed by unknown authority".
    let self_signed = format!("{error:?}").contains("CaUsedAsEndEntity");
    // A bad signature is an authority's name without its key.
    let unsigned = matches!(error, CertificateError::UnknownIssuer | CertificateError::BadSignature);
    if self_signed || unsigned || matches!(error, CertificateError::Revoked) {
        let detail = "no authority that this host trusts signed the certificate";
        return Wrong::new(FailureKind::TlsUntrusted, detail);
    }
    Wrong::new(FailureKind::TlsError, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockerds_first_cipher_is_ours_and_none_is_lost() {
        let names = |provider: CryptoProvider| -> Vec<CipherSuite> {
            provider.cipher_suites.iter().map(rustls::SupportedCipherSuite::suite).collect()
        };
        let (ours, mut usual) = (names(provider()), names(ring::default_provider()));
        assert_eq!(ours[0], CipherSuite::TLS13_AES_128_GCM_SHA256);
        assert_ne!(usual[0], ours[0], "or there is nothing left to do");
        usual.retain(|suite| *suite != ours[0]);
        assert_eq!(ours[1..], usual);
    }
}
