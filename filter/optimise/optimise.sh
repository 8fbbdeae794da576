#!/usr/bin/env bash
# Makes filter.wasm a tenth smaller with wasm-opt, in place. What was done once for the same module
# is kept in target/. Without Node the module stays as cargo made it: larger, and as good.
set -euo pipefail
wasm=$1
here=$(cd "$(dirname "$0")" && pwd)
tools=$here/../../.tools/wasm-opt
kept=$here/../../target/filter.optimised.wasm
hash_of() { sha256sum <"$1" | cut -d' ' -f1; }

if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
  echo "Node is not here: filter.wasm is not optimised" >&2
  exit 0
fi
raw=$(hash_of "$wasm")
if [ ! -f "$kept" ] || { [ "$raw" != "$(cat "$kept.of" 2>/dev/null)" ] && [ "$raw" != "$(hash_of "$kept")" ]; }; then
  if ! cmp -s "$here/package-lock.json" "$tools/package-lock.json"; then
    mkdir -p "$tools"
    cp "$here/package.json" "$here/package-lock.json" "$tools/"
    (cd "$tools" && npm ci --silent --ignore-scripts --no-audit --no-fund) || { rm -rf "$tools"; exit 1; }
  fi
  # Nothing of Rust's lies in the first kilobyte of memory but the stack's last, so `low-memory-unused`
  # holds. `flatten` and `rereloop` write the control flow anew, which `-Oz` then folds better.
  "$tools/node_modules/.bin/wasm-opt" --low-memory-unused -Oz --flatten --rereloop -Oz -Oz \
    --strip-debug --strip-producers --enable-bulk-memory \
    --enable-sign-ext --enable-nontrapping-float-to-int --enable-mutable-globals \
    --enable-multivalue --enable-reference-types --enable-simd "$wasm" -o "$kept"
  echo "$raw" >"$kept.of"
fi
cp "$kept" "$wasm.new"
mv "$wasm.new" "$wasm"
