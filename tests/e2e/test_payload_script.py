"""The documentation's payload script, word for word, counts right."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from attacks import HARMLESS, TEXTS
from gateway import Gateway

SCRIPT = Path(__file__).with_name("spec_payload_script.sh")


@pytest.mark.parametrize(
    ("payloads", "results", "exit_code"),
    [
        pytest.param(
            TEXTS, f"{len(TEXTS)} tested, {len(TEXTS)} blocked, 0 missed", 0, id="attacks"
        ),
        pytest.param(
            HARMLESS, f"{len(HARMLESS)} tested, 0 blocked, {len(HARMLESS)} missed", 1, id="harmless"
        ),
    ],
)
def test_the_payload_script_counts(
    gateway: Gateway, tmp_path: Path, payloads: list[str], results: str, exit_code: int
):
    assert shutil.which("curl") and shutil.which("jq"), "the script calls curl and jq"
    file = tmp_path / "payloads.txt"
    file.write_text("\n".join(payloads) + "\n")
    env = {"PATH": os.environ["PATH"], "CLAMPD_JWT": gateway.state["clampd_jwt"]}
    command = ["bash", str(SCRIPT), gateway.url, str(file)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert f"Results: {results}" in done.stdout, done.stdout + done.stderr
    assert done.returncode == exit_code
