//! Contexts behind `https`.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring};

use crate::scene::Scene;

/// The most connections that a test makes.
const CONNECTIONS_MAX: usize = 4;

/// A TLS front before the service at `behind`, with a certificate that it signed itself: its URL,
/// and the certificate in PEM.
fn front(behind: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let behind = behind.trim_start_matches("http://").to_owned();
    thread::spawn(move || {
        for incoming in listener.incoming().take(CONNECTIONS_MAX) {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let stream = StreamOwned::new(connection, incoming.unwrap());
            // A client that does not trust the certificate ends the handshake; that is its right.
            let _ = relay(stream, &behind);
        }
    });
    (format!("https://localhost:{port}"), made.cert.pem())
}

/// Hands on one request without a body, and its answer.
fn relay(mut outer: StreamOwned<ServerConnection, TcpStream>, behind: &str) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        outer.read_exact(&mut byte)?;
        head.extend(byte);
    }
    head.truncate(head.len() - 2);
    head.extend(b"connection: close\r\n\r\n");
    let mut inner = TcpStream::connect(behind)?;
    inner.write_all(&head)?;
    let mut answer = Vec::new();
    inner.read_to_end(&mut answer)?;
    outer.write_all(&answer)?;
    outer.conn.send_close_notify();
    outer.flush()
}

#[test]
fn a_context_behind_https_is_reached_when_its_authority_is_trusted() {
    let scene = Scene::new();
    let (url, certificate) = front(&scene.url);
    let clampd = scene.admin();
    let file = clampd.file("ca.pem", certificate);
    clampd.ok(&["context", "add", "front", "--endpoint", &url]);
    let clampd = clampd.with("CLAMPD_DASHBOARD_URL", &url);
    let said = clampd.run(&["agent", "list"]).refused(1);
    assert!(
        said.contains("no answer from the control plane") && said.contains("certificate"),
        "{said}"
    );
    let listed = clampd.ok(&["agent", "list", "--ca-file", file.to_str().unwrap()]);
    assert!(listed.contains("│ ID │"), "{listed}");
    let empty = clampd.file("empty.pem", "");
    let said = clampd
        .run(&["agent", "list", "--ca-file", empty.to_str().unwrap()])
        .refused(2);
    assert!(said.contains("holds no certificate"), "{said}");
}
