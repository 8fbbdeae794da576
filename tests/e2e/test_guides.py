"""The guides' commands run: the standalone gateway's for real, a cluster's without one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from fetch import envoy_path
from processes import free_ports
from render import render
from stack import CONTROL_PLANE, FILTER_WASM, ROOT

sys.path.insert(0, str(ROOT / "packaging"))

from release import IN_A_CONTAINER, manifests  # noqa: E402

DOCS = ROOT / "docs"
SECONDS_MAX = 120
BLOCKS = re.compile(r"^```sh\n(.*?)^```$", re.M | re.S)


def commands(guide: str) -> str:
    """The commands of a guide as one script."""
    return "set -euo pipefail\n" + "\n".join(BLOCKS.findall((DOCS / guide).read_text()))


def run(script: str, cwd: Path, programs: Path) -> subprocess.CompletedProcess[str]:
    """Runs a script in a session of its own and ends what it has left behind, by its group."""
    env = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(cwd)}
    out, err = programs.parent / "out", programs.parent / "err"
    with out.open("w") as stdout, err.open("w") as stderr:
        process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            code = process.wait(SECONDS_MAX)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
    return subprocess.CompletedProcess(script, code, out.read_text(), err.read_text())


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_a_gateway_stands_in_two_minutes(tmp_path: Path):
    programs, release = tmp_path / "bin", tmp_path / "release"
    programs.mkdir()
    release.mkdir()
    (programs / "clampd-control-plane").symlink_to(CONTROL_PLANE)
    (programs / "envoy").symlink_to(envoy_path())
    shutil.copy(FILTER_WASM, release / "filter.wasm")
    script = commands("standalone.md")
    gateway = render((ROOT / "envoy/envoy.yaml").read_text(), IN_A_CONTAINER)
    for port, free in zip((3001, 8080, 9901, 9001), free_ports(4), strict=True):
        script = script.replace(str(port), str(free))
        gateway = re.sub(rf"(\b|:){port}\b", rf"\g<1>{free}", gateway)
    script = script.replace("envoy --config", "envoy --disable-hot-restart --config")
    (release / "envoy.yaml").write_text(gateway)
    done = run(script, release, programs)
    logs = "".join(log.read_text()[-2000:] for log in release.glob("*.log"))
    assert done.returncode == 0, done.stderr + logs
    promised = re.findall(r"`(\{\"allowed\".*?\})`", (DOCS / "standalone.md").read_text())
    assert len(promised) == 2
    assert done.stdout.endswith("\n".join(promised) + "\n"), done.stdout
    assert stat.S_IMODE((release / "keys.json").stat().st_mode) == 0o600


# Stands in for a cluster: what can be rendered or made without one is, the rest is written down.
KUBECTL = """#!{python}
import json, subprocess, sys
words = sys.argv[1:]
with open("{log}", "a") as log:
    log.write(json.dumps(words) + "\\n")
kubectl = "{kubectl}"
if "create" in words:
    sys.exit(subprocess.run([kubectl, *words, "--dry-run=client", "-o", "yaml"]).returncode)
if "-k" in words:
    sys.exit(subprocess.run([kubectl, "kustomize", words[words.index("-k") + 1]]).returncode)
if "run" in words:
    overrides = next(w for w in words if w.startswith("--overrides="))
    json.loads(overrides.partition("=")[2])
    print(json.dumps({{"admin_key": "a", "proxy_key": "p", "trust_root": "t"}}))
"""
CURL = """#!/bin/sh
echo '{"key": "k", "secret": "s"}'
"""


def test_the_commands_for_a_cluster_are_good_as_far_as_none_is_needed(tmp_path: Path):
    programs, release = tmp_path / "bin", tmp_path / "release"
    (release / "oci").mkdir(parents=True)
    programs.mkdir()
    log = tmp_path / "kubectl.log"
    kubectl = Path(sys.executable).parent / "kubectl"
    program(
        programs / "kubectl",
        KUBECTL.format(python=sys.executable, log=log, kubectl=kubectl),
    )
    program(programs / "curl", CURL)
    program(programs / "skopeo", "#!/bin/sh\n")
    images = {
        name: f"registry.test/acme/{name}@sha256:{'1' * 64}" for name in ("filter", "control-plane")
    }
    (release / "images.json").write_text(json.dumps(images))
    (release / "istio.tar.gz").write_bytes(manifests(images, "2" * 64, "registry.test/acme"))
    shutil.copy(ROOT / "examples/sql-tool/server.py", release)
    shutil.copy(ROOT / "packaging/init-pod.json", release)
    done = run(commands("istio.md"), release, programs)
    assert done.returncode == 0, done.stderr
    assert f"oci://{images['filter']}" in done.stdout
    ran = [json.loads(line) for line in log.read_text().splitlines()]
    for words in ran:
        for file in (words[i + 1] for i, word in enumerate(words) if word in ("-f", "-k")):
            assert (release / file).exists(), file
    made = {words[words.index("create") + 3] for words in ran if "create" in words}
    # Every Secret that a pod asks for is made by a command of the guide.
    asked = set(re.findall(r"secretKeyRef:\s+key: \S+\s+name: (\S+)", done.stdout))
    assert asked and asked <= made


@pytest.mark.parametrize("guide", ["standalone.md", "istio.md", "operations.md"])
def test_what_a_guide_points_at_is_there(guide: str):
    text = (DOCS / guide).read_text()
    linked = re.findall(r"\]\(([^)#:]+)\)", text)
    assert [path for path in linked if not (DOCS / path).exists()] == []
    named = re.findall(r"`((?:istio|overlays|filter)/[^`*…<> ]*)`", text)
    missing = [p for p in named if not ((ROOT / p).exists() or (ROOT / "istio" / p).exists())]
    assert missing == []
