//! TLS in front of the service: its certificate, whose client certificates it asks for, and how both
//! are replaced while it runs.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use anyhow::{Context as _, bail};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

/// The files that TLS is made of, in PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The service's certificate, and those up to a root that clients know.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Who must have signed the certificates that clients have to present, if they have to.
    pub client_ca: Option<PathBuf>,
}

/// TLS as it is spoken at the moment.
#[derive(Debug)]
pub(crate) struct Tls {
    files: TlsFiles,
    config: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read, or the key is not the certificate's.
    pub(crate) fn load(files: TlsFiles) -> anyhow::Result<Self> {
        let config = RwLock::new(Arc::new(read(&files)?));
        Ok(Self { files, config })
    }

    /// Reads the files again; what cannot be used leaves the old ones in force.
    pub(crate) fn reload(&self) -> anyhow::Result<()> {
        let config = Arc::new(read(&self.files)?);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// What the next connection is greeted with.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&config))
    }
}

fn read(files: &TlsFiles) -> anyhow::Result<ServerConfig> {
    let chain = certificates(&files.certificate)?;
    let shown = files.key.display();
    let pem = fs::read(&files.key).with_context(|| format!("reading `{shown}`"))?;
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .with_context(|| format!("`{shown}` holds no private key in PEM"))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate)?;
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .with_context(|| format!("`{shown}` is not the key of the certificate"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let shown = path.display();
    let pem = fs::read(path).with_context(|| format!("reading `{shown}`"))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let read = read.with_context(|| format!("reading `{shown}`"))?;
    if read.is_empty() {
        bail!("`{shown}` holds no certificate in PEM");
    }
    Ok(read)
}
