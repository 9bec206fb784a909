//! Certificates, good ones and bad ones, from an authority of this process.

use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// What a registry shows of itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Certificate {
    /// For 127.0.0.1, localhost and these names, by the authority of [`authority_pem`].
    Good(Vec<String>),
    /// Over since 2020.
    Expired,
    /// From 2090 on.
    NotYetValid,
    /// For other.example.
    WrongHost,
    /// By an authority that nobody trusts.
    Untrusted,
    /// By an authority that nobody trusts, under the name of the trusted one.
    Forged,
    /// By itself, as an authority, as `openssl req -x509` does it.
    SelfSigned,
}

const TRUSTED_NAME: &str = "Fake authority";

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are fine names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn trusted() -> &'static Self {
        static TRUSTED: OnceLock<Authority> = OnceLock::new();
        TRUSTED.get_or_init(|| Self::new(TRUSTED_NAME))
    }
}

/// The certificate of the authority behind the good ones.
pub fn authority_pem() -> String {
    Authority::trusted().pem.clone()
}

impl Certificate {
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let mut names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        match self {
            Self::Good(more) => names.extend(more.iter().cloned()),
            Self::WrongHost => names = vec!["other.example".to_owned()],
            Self::Expired | Self::NotYetValid | Self::Untrusted | Self::Forged | Self::SelfSigned => {}
        }
        let mut params = CertificateParams::new(names).expect("names");
        let key = KeyPair::generate().expect("a key");
        match self {
            Self::Expired => params.not_after = date_time_ymd(2020, 1, 1),
            Self::NotYetValid => params.not_before = date_time_ymd(2090, 1, 1),
            Self::SelfSigned => params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
            Self::Good(_) | Self::WrongHost | Self::Untrusted | Self::Forged => {}
        }
        let certificate = match self {
            Self::SelfSigned => params.self_signed(&key),
            Self::Untrusted => params.signed_by(&key, &Authority::new("Nobody").issuer),
            Self::Forged => params.signed_by(&key, &Authority::new(TRUSTED_NAME).issuer),
            Self::Good(_) | Self::Expired | Self::NotYetValid | Self::WrongHost => {
                params.signed_by(&key, &Authority::trusted().issuer)
            }
        };
        let chain: Vec<CertificateDer<'static>> = vec![certificate.expect("a certificate").der().clone()];
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a chain with its key");
        TlsAcceptor::from(Arc::new(config))
    }
}
