"""Certificates of a mesh: an authority and workloads with SPIFFE ids, as Istio's CA makes them."""

from __future__ import annotations

import datetime
import json
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

TRUST_DOMAIN = "cluster.local"
LIFETIME = datetime.timedelta(hours=1)


def spiffe_id(namespace: str, account: str) -> str:
    """The id of a service account."""
    return f"spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{account}"


class Authority:
    """A certificate authority that lives as long as this value."""

    def __init__(self, name: str = "mesh root") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        builder = self._builder(self._name, self._key).add_extension(constraints, critical=True)
        self.certificate = pem(builder.sign(self._key, hashes.SHA256()))

    def issue(self, uri: str, directory: Path) -> Credentials:
        """Makes a key and a certificate with the URI, and the files that Envoy reads them from."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(x509.Name([]), key)
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
        usages = [x509.ExtendedKeyUsageOID.SERVER_AUTH, x509.ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(names, critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        directory.mkdir(parents=True)
        (directory / "cert.pem").write_text(pem(builder.sign(self._key, hashes.SHA256())))
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (directory / "key.pem").touch(0o600)
        (directory / "key.pem").write_bytes(private)
        (directory / "root.pem").write_text(self.certificate)
        return Credentials(directory)

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey):
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=1))
            .not_valid_after(now + LIFETIME)
        )


class Credentials:
    """A workload's key and certificate in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        file = {name: {"filename": str(directory / f"{name}.pem")} for name in ("cert", "key")}
        tls = {"certificate_chain": file["cert"], "private_key": file["key"]}
        self._write("default", {"tls_certificate": tls})
        root = {"filename": str(directory / "root.pem")}
        self._write("ROOTCA", {"validation_context": {"trusted_ca": root}})

    def client_context(self) -> ssl.SSLContext:
        """For calling a sidecar directly. Names are not checked: in a mesh ids are, by sidecars."""
        context = ssl.create_default_context(cafile=str(self.directory / "root.pem"))
        context.check_hostname = False
        context.load_cert_chain(self.directory / "cert.pem", self.directory / "key.pem")
        return context

    def _write(self, name: str, secret: dict) -> None:
        kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
        resource = {"@type": kind, "name": name, **secret}
        (self.directory / f"{name}.json").write_text(json.dumps({"resources": [resource]}))


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
