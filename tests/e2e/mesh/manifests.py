"""Renders the manifests in `istio/` as an operator's `kubectl` does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
ISTIO = ROOT / "istio"
KUBECTL = Path(sys.executable).parent / "kubectl"
OVERLAYS = ("strict", "gateway", "demo")

Manifest = dict[str, Any]


def rendered(directory: str) -> list[Manifest]:
    """The manifests that `kubectl kustomize istio/<directory>` gives."""
    command = [str(KUBECTL), "kustomize", str(ISTIO / directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    """Those of one kind."""
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def envoy_filter(context: str) -> Manifest:
    """The EnvoyFilter of `istio/filter/<context>`."""
    (manifest,) = rendered(f"filter/{context}")
    return manifest
