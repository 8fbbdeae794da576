"""Lists what went into a binary: CycloneDX 1.5, from the lock file and cargo's own resolution.

Only what is compiled in for the target is listed; build scripts' and tests' crates are not.
"""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any


def sbom(root: Path, package: str, target: str) -> bytes:
    """The bill of materials of one package for a target."""
    packages, nodes = _resolved(root, target)
    checksums = _checksums(root)
    (start,) = (key for key, one in packages.items() if one["name"] == package)
    reached, waiting = set(), [start]
    while waiting:
        key = waiting.pop()
        if key not in reached:
            reached.add(key)
            waiting += _compiled_in(nodes[key])
    listed = sorted(reached - {start}, key=lambda key: _purl(packages[key]))
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": _component(packages[start], checksums, "application")},
        "components": [_component(packages[key], checksums, "library") for key in listed],
        "dependencies": [
            {
                "ref": _purl(packages[key]),
                "dependsOn": sorted(_purl(packages[one]) for one in set(_compiled_in(nodes[key]))),
            }
            for key in [start, *listed]
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def _resolved(root: Path, target: str) -> tuple[dict[str, Any], dict[str, Any]]:
    command = [
        "cargo",
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--filter-platform",
        target,
    ]
    out = subprocess.run(command, cwd=root, check=True, capture_output=True).stdout
    metadata = json.loads(out)
    packages = {one["id"]: one for one in metadata["packages"]}
    return packages, {one["id"]: one for one in metadata["resolve"]["nodes"]}


def _compiled_in(node: dict[str, Any]) -> list[str]:
    normal = (one for one in node["deps"] if any(kind["kind"] is None for kind in one["dep_kinds"]))
    return [one["pkg"] for one in normal]


def _checksums(root: Path) -> dict[tuple[str, str], str]:
    lock = tomllib.loads((root / "Cargo.lock").read_text())
    found = {(one["name"], one["version"]): one.get("checksum") for one in lock["package"]}
    return {key: checksum for key, checksum in found.items() if checksum}


def _component(package: dict[str, Any], checksums: dict, kind: str) -> dict[str, Any]:
    component = {
        "type": kind,
        "bom-ref": _purl(package),
        "name": package["name"],
        "version": package["version"],
        "purl": _purl(package),
    }
    if license_ := package.get("license"):
        component["licenses"] = [{"expression": license_.replace("/", " OR ")}]
    if checksum := checksums.get((package["name"], package["version"])):
        component["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return component


def _purl(package: dict[str, Any]) -> str:
    return f"pkg:cargo/{package['name']}@{package['version']}"
