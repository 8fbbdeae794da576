//! The service over TLS: with its certificate, with clients' certificates, with new ones.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    sync::Arc,
};

use clampd_control_plane::{config::Settings, tls::TlsFiles};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _},
};
use tempfile::TempDir;

use crate::{
    process::{Served, initialise, run, until},
    scene::Scene,
};

/// Who signs certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    /// A certificate for `localhost` and its key.
    fn certificate(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// The files of a service whose certificate `authority` signed.
fn files(directory: &Path, authority: &Authority, client_ca: Option<&Authority>) -> TlsFiles {
    let (certificate, key) = authority.certificate();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    TlsFiles {
        certificate: file("service.pem", &certificate),
        key: file("service.key", &key),
        client_ca: client_ca.map(|authority| file("clients.pem", &authority.pem)),
    }
}

/// Asks `/health` over TLS; none where the two do not agree.
fn health(address: &str, trusted: &Authority, own: Option<&(String, String)>) -> Option<String> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(trusted.pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match own {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            let key = PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes()).unwrap();
            config
                .with_client_auth_cert(chain, PrivateKeyDer::Pkcs8(key))
                .unwrap()
        }
    };
    let name = "localhost".try_into().unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
    let request = b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).ok()?;
    let mut answer = Vec::new();
    // Whoever closes without a word of TLS has still said all of the answer.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    answer.starts_with("HTTP/1.1 200 ").then_some(answer)
}

fn served(tls: TlsFiles) -> (Scene, String) {
    let scene = Scene::with(Settings {
        tls: Some(tls),
        ..Settings::default()
    });
    let address = scene.url.trim_start_matches("http://").to_owned();
    (scene, address)
}

#[test]
fn with_a_certificate_tls_is_spoken_and_nothing_else() {
    let (directory, authority) = (TempDir::new().unwrap(), Authority::new());
    let (_scene, address) = served(files(directory.path(), &authority, None));
    assert!(health(&address, &authority, None).is_some());
    assert!(health(&address, &Authority::new(), None).is_none());
    let mut plain = TcpStream::connect(&address).unwrap();
    plain
        .write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[test]
fn where_clients_must_have_certificates_those_without_a_good_one_are_not_heard() {
    let (directory, authority, clients) =
        (TempDir::new().unwrap(), Authority::new(), Authority::new());
    let (_scene, address) = served(files(directory.path(), &authority, Some(&clients)));
    let good = clients.certificate();
    assert!(health(&address, &authority, Some(&good)).is_some());
    assert!(health(&address, &authority, None).is_none());
    let of_another = authority.certificate();
    assert!(health(&address, &authority, Some(&of_another)).is_none());
}

#[test]
fn new_certificates_are_taken_while_it_runs_and_bad_ones_leave_the_old_in_force() {
    let (directory, old, new) = (TempDir::new().unwrap(), Authority::new(), Authority::new());
    let tls = files(directory.path(), &old, None);
    let (scene, address) = served(tls.clone());
    std::fs::write(&tls.certificate, "no certificate").unwrap();
    assert!(scene.running().reload_tls().is_err());
    assert!(health(&address, &old, None).is_some());
    files(directory.path(), &new, None);
    assert!(health(&address, &old, None).is_some());
    scene.running().reload_tls().unwrap();
    assert!(health(&address, &new, None).is_some());
    assert!(health(&address, &old, None).is_none());
}

#[test]
fn sighup_has_a_process_that_runs_read_its_certificates_again() {
    let (directory, old, new) = (TempDir::new().unwrap(), Authority::new(), Authority::new());
    let data = directory.path().join("data");
    initialise(&data);
    let tls = files(directory.path(), &old, None);
    let certificate = tls.certificate.to_str().unwrap();
    let key = tls.key.to_str().unwrap();
    let served = Served::start_with(&data, &["--tls-cert", certificate, "--tls-key", key]);
    let address = served.url.trim_start_matches("http://");
    assert!(health(address, &old, None).is_some());
    files(directory.path(), &new, None);
    served.signal("-HUP");
    until(|| health(address, &new, None).is_some());
    assert!(health(address, &old, None).is_none());
}

#[test]
fn a_key_that_is_not_the_certificates_is_told_at_the_door() {
    let (directory, authority) = (TempDir::new().unwrap(), Authority::new());
    let data = directory.path().join("data");
    initialise(&data);
    let tls = files(directory.path(), &authority, None);
    let check = |tls: &TlsFiles| {
        run(&[
            "serve",
            "--check",
            "--data",
            data.to_str().unwrap(),
            "--tls-cert",
            tls.certificate.to_str().unwrap(),
            "--tls-key",
            tls.key.to_str().unwrap(),
        ])
    };
    assert!(check(&tls).status.success());
    let (_, other_key) = authority.certificate();
    std::fs::write(&tls.key, other_key).unwrap();
    let refused = check(&tls);
    assert!(!refused.status.success());
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("is not the key of the certificate"), "{said}");
}

#[test]
fn a_check_says_whether_the_service_could_start_and_disturbs_none() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let check = || run(&["serve", "--check", "--data", data.to_str().unwrap()]);
    assert!(!check().status.success(), "there is no database yet");
    initialise(&data);
    assert!(check().status.success());
    let lock = data.join("serve.lock");
    assert!(!lock.exists(), "a check takes no lock");
    std::fs::write(
        data.join("master.key"),
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    )
    .unwrap();
    assert!(!check().status.success(), "the master key is another one");
}
