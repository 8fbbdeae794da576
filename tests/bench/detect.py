#!/usr/bin/env python3
"""Measures how fast texts are judged, natively and in WebAssembly, side by side.

Runs `crates/ruleset/examples/speed.rs` on this machine and under Node's V8. Time is what the process
has had of a processor, the best of several rounds. With a folder of corpora, in the form that
`tests/corpus/eval.py` reads, its clean rows are judged too.

    detect.py [--corpus DIR] [--write] NATIVE WASM
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "target/bench-detect.json"
DOCUMENT = ROOT / "docs/performance.md"
MARKS = ("<!-- bench-detect -->", "<!-- /bench-detect -->")


def measure(command: list[str], stdin: str = "") -> list[dict[str, Any]]:
    """The lines that the program prints."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def rows_of(directory: Path) -> str:
    """The clean rows of a folder, a line for each place where one is judged."""
    spec = importlib.util.spec_from_file_location("corpus_eval", ROOT / "tests/corpus/eval.py")
    assert spec and spec.loader
    corpus = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = corpus
    spec.loader.exec_module(corpus)
    rows = corpus.read_rows(directory)
    lines = [row.line(nth, place) for nth, row in enumerate(rows) for place in row.surfaces()]
    return "".join(line + "\n" for line in lines)


def table_of(results: dict[str, list[dict[str, Any]]], corpus: str) -> list[str]:
    """The tables, as Markdown."""
    native, wasm = results["native"], results["wasm"]
    lines = [
        "| text | KiB | native µs | native MB/s | native scans/s | wasm µs | wasm MB/s | wasm scans/s | wasm ÷ native |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for ours, theirs in zip(native, wasm, strict=True):
        if "kind" not in ours:
            continue
        cells = [ours["kind"], str(ours["kib"])]
        for side in (ours, theirs):
            seconds = side["seconds"]
            speed = side["kib"] * 1024 / seconds / 1e6
            cells += [f"{seconds * 1e6:.1f}", f"{speed:.0f}", f"{1 / seconds:,.0f}"]
        cells.append(f"{ours['seconds'] / theirs['seconds']:.2f}")
        lines.append("| " + " | ".join(cells) + " |")
    ready = [side[0]["ready_ms"] for side in (native, wasm)]
    lines += ["", f"Made ready in {ready[0]:.1f} ms natively, {ready[1]:.1f} ms in WebAssembly."]
    if corpus:
        rates = [side[-1]["rows"] / side[-1]["seconds"] for side in (native, wasm)]
        lines.append(
            f"Over the {native[-1]['rows']:,} scans of {corpus}: {rates[0]:,.0f} scans a CPU-second "
            f"natively, {rates[1]:,.0f} in WebAssembly ({rates[1] / rates[0]:.2f})."
        )
    return lines


def write(lines: list[str]) -> None:
    """Puts the tables between the document's marks."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, rest = text.split(MARKS[0])
    _, after = rest.split(MARKS[1])
    machine = f"Machine: {platform.machine()}, {platform.system()}."
    inside = "\n".join([MARKS[0], machine, "", *lines, MARKS[1]])
    DOCUMENT.write_text(before + inside + after, encoding="utf-8")


def main() -> int:
    """Measures and prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("native", type=Path, help="the program as built for this machine")
    parser.add_argument("wasm", type=Path, help="the program as built for wasm32-wasip1")
    parser.add_argument("--corpus", type=Path, help="a folder of JSON Lines")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    options = parser.parse_args()
    runner = ["node", "--no-warnings", "--no-liftoff", str(Path(__file__).with_name("wasi.mjs"))]
    commands = {"native": [str(options.native)], "wasm": [*runner, str(options.wasm)]}
    results = {side: measure(command) for side, command in commands.items()}
    if options.corpus:
        rows = rows_of(options.corpus)
        for side, command in commands.items():
            results[side] += measure([*command, "rows"], rows)
    RESULT.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    lines = table_of(results, options.corpus.name if options.corpus else "")
    print("\n".join(lines))
    if options.write:
        write(lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
