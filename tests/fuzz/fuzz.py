"""Runs every fuzz target for a while and says what came of it: `make fuzz`.

A target that finds something stops the run with an exit code of 1; libFuzzer leaves the input in
`tests/fuzz/artifacts/` and `tests/fuzz/corpus/` keeps what was learnt. What must hold of every
input stands in `src/`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# A text is judged in milliseconds; with assertions and without much optimisation in some more.
INPUT_SECONDS_MAX = 10
MEMORY_MEBIBYTES_MAX = 2048

# Which seeds a target begins with, whether the rules' words help it, and how long inputs get.
TARGETS = {
    "fold": ("text", True, 4096),
    "decode": ("text", True, 4096),
    "sql": ("text", True, 2048),
    "address": ("text", True, 2048),
    "scan": ("text", True, 4096),
    "json": ("json", False, 4096),
    "sse": ("sse", False, 4096),
    "jwt": ("jwt", False, 2048),
    "exchange": ("exchange", True, 4096),
}


def dictionary() -> Path:
    """Writes the rules' words in libFuzzer's form and gives the file."""
    words: set[str] = set()
    for file in sorted((ROOT / "rules").glob("*.toml")):
        for rule in tomllib.loads(file.read_text())["rule"]:
            words.update(rule.get("literals", []))
            for group in rule.get("near", []):
                words.update(group if isinstance(group, list) else [])
    path = HERE / "target" / "words.dict"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f'"{escaped(word)}"\n' for word in sorted(words)))
    return path


def escaped(word: str) -> str:
    """The word as libFuzzer reads it: printable ASCII, the rest as bytes."""
    plain = lambda byte: 0x20 <= byte < 0x7F and byte not in b'"\\'
    return "".join(chr(b) if plain(b) else f"\\x{b:02x}" for b in word.encode())


def run(target: str, seconds: int, sanitizer: str, words: Path) -> bool:
    """Runs one target and says what came of it; false when it found something."""
    seeds, with_words, bytes_max = TARGETS[target]
    learnt = HERE / "corpus" / target
    learnt.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={bytes_max}",
        f"-timeout={INPUT_SECONDS_MAX}",
        f"-rss_limit_mb={MEMORY_MEBIBYTES_MAX}",
        "-print_final_stats=1",
        *([f"-dict={words}"] if with_words else []),
    ]
    command = [str(ROOT / ".tools/bin/cargo-fuzz"), "run", "--fuzz-dir", str(HERE)]
    command += ["--sanitizer", sanitizer, target, str(learnt), str(HERE / "seeds" / seeds), "--", *options]
    # Sanitizers are switched on by a flag that the pinned, stable compiler keeps to itself.
    env = os.environ | ({} if sanitizer == "none" else {"RUSTC_BOOTSTRAP": "1"})
    done = subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    runs = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    covered = re.findall(r" cov: (\d+)", done.stderr)
    if done.returncode == 0 and runs and covered:
        print(f"{target:8} {int(runs[1]):>10,} inputs  {int(covered[-1]):>7,} edges  clean", flush=True)
        return True
    print(f"{target:8} FAILED", flush=True)
    sys.stderr.write(done.stderr[-6000:])
    return False


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=int, default=60, help="how long each target runs")
    arguments.add_argument("--sanitizer", default="none", choices=["none", "address"])
    arguments.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    arguments = arguments.parse_args()
    if unknown := set(arguments.targets) - set(TARGETS):
        sys.exit(f"no target {', '.join(sorted(unknown))}: there are {', '.join(TARGETS)}")
    words = dictionary()
    clean = [
        run(target, arguments.seconds, arguments.sanitizer, words)
        for target in arguments.targets or TARGETS
    ]
    return 0 if all(clean) else 1


if __name__ == "__main__":
    sys.exit(main())
