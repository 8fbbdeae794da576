"""Writes OCI image layouts by hand, so that the same files give the same digests on any machine.

Source: the OCI Image Specification 1.1, image layout, manifest, config and layer. No engine is
needed; `skopeo copy oci:<layout> docker://…` or `crane push` carries one to a registry.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EPOCH = "1970-01-01T00:00:00Z"
NONROOT = 65532


@dataclass(frozen=True)
class Image:
    """What an image holds: files by path with their mode, and how it is run."""

    name: str
    version: str
    files: dict[str, tuple[bytes, int]]
    run: dict[str, Any] = field(default_factory=dict)
    directories: tuple[str, ...] = ()
    architecture: str = "amd64"


def write_layout(image: Image, directory: Path) -> str:
    """Writes the layout and gives the digest of the image's manifest."""
    blobs = directory / "blobs/sha256"
    blobs.mkdir(parents=True)
    tar = layer_of(image)
    layer = _put(blobs, _gzip(tar), LAYER)
    config = {
        "architecture": image.architecture,
        "os": "linux",
        "created": EPOCH,
        "config": image.run,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"]},
        "history": [{"created": EPOCH, "created_by": "packaging/release.py"}],
    }
    annotations = {
        "org.opencontainers.image.title": image.name,
        "org.opencontainers.image.version": image.version,
        "org.opencontainers.image.licenses": "Apache-2.0",
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _put(blobs, _json(config), CONFIG),
        "layers": [layer],
        "annotations": annotations,
    }
    described = _put(blobs, _json(manifest), MANIFEST)
    tag = {"org.opencontainers.image.ref.name": image.version}
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [{**described, "annotations": tag}],
    }
    (directory / "index.json").write_bytes(_json(index))
    (directory / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    return described["digest"]


def layer_of(image: Image) -> bytes:
    """The image's one layer as a tar archive that does not tell where or when it was made."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(image.directories):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o700
            entry.uid = entry.gid = NONROOT
            archive.addfile(entry)
        for name, (content, mode) in sorted(image.files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, compresslevel=9, mtime=0)


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _put(blobs: Path, content: bytes, media_type: str) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}
