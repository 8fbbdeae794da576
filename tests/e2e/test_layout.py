"""The rooms of the repository: who may use whom, and that what the documents name is there."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A crate -> the crates of ours that it may use. What is not here must not be.
MAY_USE = {
    "clampd-model": set(),
    "clampd-token": {"clampd-model"},
    "clampd-sweep": set(),
    "clampd-detect": {"clampd-model", "clampd-sweep"},
    "clampd-policy": {"clampd-model"},
    "clampd-policy-compiler": {"clampd-model", "clampd-policy"},
    "clampd-rule-compiler": {"clampd-model", "clampd-detect"},
    "clampd-ruleset": {"clampd-model", "clampd-detect", "clampd-rule-compiler"},
    "clampd-sigma": {"clampd-model", "clampd-detect", "clampd-rule-compiler"},
    "clampd-guard": {
        "clampd-model",
        "clampd-token",
        "clampd-detect",
        "clampd-policy",
        "clampd-ruleset",
    },
    "clampd-filter": {
        "clampd-model",
        "clampd-token",
        "clampd-detect",
        "clampd-ruleset",
        "clampd-guard",
    },
    "clampd-control-plane": {
        "clampd-model",
        "clampd-token",
        "clampd-policy",
        "clampd-policy-compiler",
        "clampd-rule-compiler",
        "clampd-ruleset",
    },
    "clampd-cli": {
        "clampd-model",
        "clampd-token",
        "clampd-detect",
        "clampd-ruleset",
        "clampd-rule-compiler",
        "clampd-sigma",
        "clampd-guard",
        "clampd-policy-compiler",
        "clampd-control-plane",
    },
}

# What must never be compiled into the filter.
NOT_IN_THE_FILTER = {
    "regex",
    "regex-automata",
    "cedar-policy",
    "cedar-policy-core",
    "clampd-policy-compiler",
    "sqlparser",
    "tokio",
}


@pytest.fixture(scope="module")
def packages() -> dict[str, dict]:
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--offline"]
    out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return {package["name"]: package for package in json.loads(out)["packages"]}


def test_every_crate_uses_only_what_lies_below_it(packages: dict[str, dict]) -> None:
    assert set(packages) == set(MAY_USE)
    for name, package in packages.items():
        ours = {d["name"] for d in package["dependencies"] if d["name"].startswith("clampd-")}
        assert ours <= MAY_USE[name], f"{name} uses {sorted(ours - MAY_USE[name])}"


def test_the_filter_carries_nothing_heavy() -> None:
    command = ["cargo", "tree", "-p", "clampd-filter", "--target", "wasm32-wasip1"]
    command += ["--edges", "normal", "--prefix", "none", "--format", "{p}", "--offline"]
    out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    names = {line.split()[0] for line in out.splitlines() if line.strip()}
    assert names & NOT_IN_THE_FILTER == set()


@pytest.mark.parametrize("crate", ["model", "token", "detect", "policy", "guard"])
def test_the_core_reads_no_clock_and_no_environment(crate: str) -> None:
    asks = re.compile(r"SystemTime|Instant::now|std::env|getrandom|std::fs|std::net::Tcp|thread::")
    for source in (ROOT / "crates" / crate / "src").rglob("*.rs"):
        code = source.read_text().split("#[cfg(test)]")[0]
        assert not asks.search(code), source


@pytest.mark.parametrize(
    "document", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"]
)
def test_what_a_document_names_is_there(document: str) -> None:
    text = (ROOT / document).read_text()
    linked = re.findall(r"\]\(([^)#:]+)\)", text)
    named = re.findall(
        r"`((?:crates|filter|control-plane|cli|envoy|examples|tests|docs|rules|istio)/[^`*…<>]*)`",
        text,
    )
    missing = [path for path in linked + named if not (ROOT / path.split()[0].rstrip("/")).exists()]
    assert missing == []
