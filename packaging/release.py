#!/usr/bin/env python3
"""Puts a release together in `dist/`: binaries, images, manifests, lists of parts, checksums.

    release.py --binaries DIR --module filter.wasm [--out dist] [--registry HOST/PATH]

Building the binaries is left to make. Nothing here depends on the machine or the time: the same
binaries give the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import re
import shutil
import sys
import tarfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "envoy"))

from oci import NONROOT, Image, write_layout  # noqa: E402
from render import render  # noqa: E402
from sbom import sbom  # noqa: E402

MUSL = "x86_64-unknown-linux-musl"
WASM = "wasm32-wasip1"
REGISTRY = "registry.example.com/clampd"
BINARIES = {"clampd": "clampd-cli", "clampd-control-plane": "clampd-control-plane"}
UNPINNED = "0" * 64
USER = f"{NONROOT}:{NONROOT}"
# Where the gateway's image has the module, and that it listens to what is published.
IN_A_CONTAINER = {
    "CLAMPD_GATEWAY_HOST": "0.0.0.0",
    "CLAMPD_FILTER_WASM": "/etc/clampd/filter.wasm",
}
PT_INTERP = 3


class ReleaseError(Exception):
    """The release cannot be made; the text says why."""


def release(binaries: Path, module: Path, out: Path, registry: str) -> None:
    """Makes `out` anew."""
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for name, package in BINARIES.items():
        content = (binaries / name).read_bytes()
        if is_dynamic(content):
            raise ReleaseError(f"{name} is not static: it names an interpreter")
        write(out / name, content, 0o755)
        write(out / f"{name}.cdx.json", sbom(ROOT, package, MUSL))
    wasm = module.read_bytes()
    write(out / "filter.wasm", wasm)
    write(out / "filter.wasm.cdx.json", sbom(ROOT, "clampd-filter", WASM))
    gateway = render((ROOT / "envoy/envoy.yaml").read_text(), IN_A_CONTAINER)
    write(out / "envoy.yaml", gateway.encode())
    for file in sorted((ROOT / "packaging").iterdir()):
        if file.suffix in (".service", ".yaml", ".Dockerfile"):
            write(out / file.name, file.read_bytes())
    # What the demo of the mesh runs.
    write(out / "server.py", (ROOT / "examples/sql-tool/server.py").read_bytes())
    (out / "data").mkdir()
    write(out / "data/.keep", b"")
    for file in ("dashboard.json", "alerts.yaml"):
        write(out / file, (ROOT / "istio/monitoring" / file).read_bytes())
    digests = write_images(out, version, wasm, registry)
    init = (ROOT / "packaging/init-pod.json").read_text()
    pinned = init.replace(f"{REGISTRY}/control-plane@sha256:{UNPINNED}", digests["control-plane"])
    write(out / "init-pod.json", pinned.encode())
    write(out / "istio.tar.gz", manifests(digests, hashlib.sha256(wasm).hexdigest(), registry))
    write(out / "images.json", json.dumps(digests, indent=1).encode() + b"\n")
    files = sorted(path for path in out.rglob("*") if path.is_file())
    sums = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(out)}"
        for path in files
    ]
    write(out / "checksums.txt", ("\n".join(sums) + "\n").encode())


def write_images(out: Path, version: str, wasm: bytes, registry: str) -> dict[str, str]:
    """The images as OCI layouts; gives their references, pinned by digest."""
    images = {
        # The one layer with the one file that Istio's agent and Envoy Gateway look for.
        "filter": Image("clampd-filter", version, {"plugin.wasm": (wasm, 0o444)}),
        "control-plane": Image(
            "clampd-control-plane",
            version,
            {"clampd-control-plane": ((out / "clampd-control-plane").read_bytes(), 0o555)},
            {
                "User": USER,
                "Entrypoint": ["/clampd-control-plane"],
                "Env": ["CLAMPD_DATA=/data", "CLAMPD_LISTEN=0.0.0.0:3001"],
                "Cmd": ["serve"],
                "ExposedPorts": {"3001/tcp": {}},
                "Volumes": {"/data": {}},
                "WorkingDir": "/",
            },
            ("data", "tmp"),
        ),
        "cli": Image(
            "clampd",
            version,
            {"clampd": ((out / "clampd").read_bytes(), 0o555)},
            {"User": USER, "Entrypoint": ["/clampd"]},
        ),
    }
    layouts = {name: write_layout(one, out / "oci" / name) for name, one in images.items()}
    return {name: f"{registry}/{name}@{digest}" for name, digest in layouts.items()}


def manifests(images: dict[str, str], module_digest: str, registry: str) -> bytes:
    """`istio/` with the registry and the digests of this release filled in, as an archive."""
    filter_image = images["filter"]
    plane_digest = images["control-plane"].rpartition("@")[2]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted((ROOT / "istio").rglob("*")):
            if not path.is_file():
                continue
            text = path.read_text()
            text = re.sub(rf"{re.escape(REGISTRY)}/filter@sha256:{UNPINNED}", filter_image, text)
            text = text.replace(f'sha256: "{UNPINNED}"', f'sha256: "{module_digest}"')
            text = text.replace(f"digest: sha256:{UNPINNED}", f"digest: {plane_digest}")
            text = text.replace(REGISTRY, registry)
            if UNPINNED in text:
                raise ReleaseError(f"{path.relative_to(ROOT)} has a digest that nothing fills in")
            entry = tarfile.TarInfo(str(path.relative_to(ROOT)))
            entry.size, entry.mode = len(text.encode()), 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(buffer.getvalue(), mtime=0)


def is_dynamic(elf: bytes) -> bool:
    """Whether an ELF program asks for an interpreter, as programs do that load libraries."""
    if elf[:5] != b"\x7fELF\x02":
        raise ReleaseError("a binary is no 64-bit ELF program")
    start, size, count = (
        int.from_bytes(elf[at : at + length], "little")
        for at, length in ((32, 8), (54, 2), (56, 2))
    )
    kinds = (int.from_bytes(elf[start + i * size :][:4], "little") for i in range(count))
    return PT_INTERP in kinds


def write(path: Path, content: bytes, mode: int = 0o644) -> None:
    path.write_bytes(content)
    path.chmod(mode)


def main() -> int:
    """Makes a release."""
    parser = argparse.ArgumentParser(description="Puts a release together.")
    parser.add_argument("--binaries", type=Path, required=True, help="static clampd binaries")
    parser.add_argument("--module", type=Path, required=True, help="filter.wasm")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--registry", default=REGISTRY, help="where images will be pushed")
    arguments = parser.parse_args()
    try:
        release(arguments.binaries, arguments.module, arguments.out, arguments.registry)
    except (ReleaseError, OSError) as error:
        print(f"packaging/release.py: {error}", file=sys.stderr)
        return 1
    print((arguments.out / "images.json").read_text(), end="")
    print(f"{arguments.out}: {sum(1 for _ in arguments.out.rglob('*'))} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
