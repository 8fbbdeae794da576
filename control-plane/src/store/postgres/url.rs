//! `DATABASE_URL` as written, and as used.

use std::{fs, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use postgres::config::{Host, SslMode};
use rustls::{ClientConfig, RootCertStore, pki_types::pem::PemObject as _};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Postgres;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the server's machine may not acknowledge what was sent.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(15);

impl Postgres {
    /// Reads a connection URL (or `key=value` pairs, as libpq takes them).
    ///
    /// A server that is not on this machine is spoken to by TLS unless `sslmode` says otherwise, and
    /// its certificate is always verified: by the roots in `ca_file`, or else the public ones.
    ///
    /// # Errors
    /// When the URL or the file cannot be read. The error does not repeat the URL.
    pub(crate) fn parse(url: &str, ca_file: Option<&Path>) -> anyhow::Result<Self> {
        let Ok(mut config) = url.parse::<postgres::Config>() else {
            bail!(
                "DATABASE_URL is not a PostgreSQL URL; wanted \
                 `postgres://user:password@host:port/database`"
            );
        };
        if !url.contains("sslmode") {
            let is_here = config.get_hosts().iter().all(is_this_machine);
            config.ssl_mode(if is_here {
                SslMode::Disable
            } else {
                SslMode::Require
            });
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        config.tcp_user_timeout(UNACKNOWLEDGED_MAX);
        config.keepalives_idle(UNACKNOWLEDGED_MAX);
        if config.get_application_name().is_none() {
            config.application_name("clampd-control-plane");
        }
        Ok(Self {
            config,
            tls: tls(ca_file)?,
        })
    }
}

fn is_this_machine(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
    }
}

fn tls(ca_file: Option<&Path>) -> anyhow::Result<MakeRustlsConnect> {
    let roots = match ca_file {
        None => RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let shown = path.display();
            let pem = fs::read(path).with_context(|| format!("reading `{shown}`"))?;
            let mut roots = RootCertStore::empty();
            for certificate in rustls::pki_types::CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.with_context(|| format!("reading `{shown}`"))?;
                roots.add(certificate)?;
            }
            if roots.is_empty() {
                bail!("`{shown}` holds no certificate in PEM");
            }
            roots
        }
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use postgres::config::SslMode;

    use super::Postgres;

    #[test]
    fn another_machine_is_spoken_to_by_tls_unless_the_url_says_otherwise() {
        for (url, wanted) in [
            ("postgres://u:p@db.example/clampd", SslMode::Require),
            ("postgres://u:p@localhost,db.example/c", SslMode::Require),
            (
                "postgres://u:p@10.0.0.1/c?sslmode=disable",
                SslMode::Disable,
            ),
            (
                "postgres://u:p@localhost/c?sslmode=require",
                SslMode::Require,
            ),
            ("postgres://u:p@127.0.0.1:5433/clampd", SslMode::Disable),
            ("host=/run/postgresql user=u dbname=c", SslMode::Disable),
        ] {
            let server = Postgres::parse(url, None).unwrap();
            assert_eq!(server.config.get_ssl_mode(), wanted, "{url}");
        }
    }

    #[test]
    fn an_error_about_the_url_does_not_repeat_its_password() {
        let error = Postgres::parse("postgres://u:hunter2@h:x/y", None).unwrap_err();
        assert!(!format!("{error:#}").contains("hunter2"));
        let server = Postgres::parse("postgres://u:hunter2@h/y", None).unwrap();
        assert!(!format!("{server:?}").contains("hunter2"));
    }
}
