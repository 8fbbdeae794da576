# The one door. `make help` lists what is behind it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
WASM := target/wasm32-wasip1/release/filter.wasm
WASM_BYTES_MAX := 1050000
MUSL := x86_64-unknown-linux-musl
RUNNER := .tools/bin/wasm-bindgen-test-runner
NODE_MODULES := tests/e2e/node/node_modules/.package-lock.json
FUZZER := .tools/bin/cargo-fuzz
FUZZER_VERSION := 0.13.2
FUZZ_SECONDS ?= 60
PURE := model token sweep detect policy guard
# The crates whose tests run in WebAssembly too, and the wasm-bindgen that Cargo.lock settles on. The
# rules run there in guard's tests; ruleset's own need randomness, which that target has not.
PURE_PACKAGES := $(addprefix -p clampd-,$(PURE))
WASM_BINDGEN = $(shell sed -n '/^name = "wasm-bindgen"$$/{n;s/.*"\(.*\)"/\1/p}' Cargo.lock)

##@ Everyday
.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z][a-z-]*:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/ready $(RUNNER) $(NODE_MODULES) ## Get what the tests need: Envoy, the Python packages, the wasm test runner
	@$(PYTHON) envoy/fetch.py

.PHONY: build
build: filter control-plane cli ## Build the filter, the control plane and the CLI

.PHONY: demo
demo: filter control-plane ## Show it at work: a real Envoy, real calls, a table of what came of them
	@$(PYTHON) examples/demo.py

.PHONY: up
up: filter control-plane ## Start a stack that stays, and write its ports, keys and agents to .run/stack.json
	@$(PYTHON) envoy/stack.py up

.PHONY: down
down: ## Stop the stack that `up` started
	@$(PYTHON) envoy/stack.py down

.PHONY: status
status: ## Say whether the stack is up
	@$(PYTHON) envoy/stack.py status

##@ Parts
.PHONY: filter
filter: ## Build the Envoy filter (WebAssembly)
	@cargo build --release --target wasm32-wasip1 -p clampd-filter $(FILTER_BUILD)
	@filter/optimise/optimise.sh $(WASM)

.PHONY: control-plane cli
control-plane: ## Build the control plane, and `clampd` with it: what they share is built once
cli: ## Build the command line tool `clampd`, and the control plane with it
control-plane cli:
	@cargo build --profile service -p clampd-control-plane -p clampd-cli

##@ Quality
.PHONY: check
check: lint test ## All that CI asks for

.PHONY: test
test: wasm-size test-native test-postgres test-wasm validate test-e2e ## Run every test

.PHONY: test-native
test-native: ## Unit and integration tests on this machine
	@if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --workspace --no-fail-fast && cargo test --doc $(PURE_PACKAGES); \
	 else cargo test --workspace --no-fail-fast; fi

.PHONY: test-postgres
test-postgres: ## The control plane's contract over a real PostgreSQL, which the tests start and stop
# Of the whole workspace, so that what test-native built is not built again with other features.
	@CLAMPD_TEST_DATABASE=postgres cargo test --workspace --test it

.PHONY: test-single-use
test-single-use: ## 64 parallel introspections of one token over two replicas, 10,000 times
	@CLAMPD_TEST_ROUNDS=10000 cargo test --profile service -p clampd-control-plane --test it replicas::of_64

.PHONY: test-wasm
test-wasm: $(RUNNER) ## The pure crates' tests in WebAssembly, under Node
	@CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER="$(abspath $(RUNNER))" \
	  cargo test --target wasm32-unknown-unknown --tests $(PURE_PACKAGES)

.PHONY: test-e2e
test-e2e: filter control-plane cli .venv/ready $(NODE_MODULES) ## The promises of the whole, on a real Envoy
	@$(PYTHON) envoy/fetch.py >/dev/null
	@.venv/bin/python -m pytest tests/e2e -c tests/e2e/pytest.ini

.PHONY: istio-e2e
istio-e2e: filter control-plane .venv/ready ## Two Envoys as Istio's sidecars, with mutual TLS: what is allowed, blocked, and why
	@$(PYTHON) envoy/fetch.py >/dev/null
	@.venv/bin/python tests/e2e/mesh/show.py

.PHONY: fuzz
fuzz: $(FUZZER) ## Feed every reader with made-up input, a minute each: make fuzz [FUZZ="scan json"] [FUZZ_SECONDS=60]
	@$(PYTHON) tests/fuzz/fuzz.py --seconds $(FUZZ_SECONDS) $(FUZZ)

.PHONY: validate
validate: filter ## Let Envoy load envoy.yaml and configure the filter in it
	@$(PYTHON) envoy/stack.py validate

.PHONY: wasm-size
wasm-size: filter ## Print the size of filter.wasm; start-up costs about 1.3 CPU-seconds a megabyte
	@bytes=$$(wc -c < $(WASM)); echo "filter.wasm: $$bytes bytes of at most $(WASM_BYTES_MAX)"; test $$bytes -lt $(WASM_BYTES_MAX)

.PHONY: lint
lint: ## Formatting and clippy
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets -- -D warnings

.PHONY: fmt
fmt: ## Format the sources
	@cargo fmt --all

.PHONY: rules-doc
rules-doc: ## Write docs/rules.md from the rules
	@cargo run --quiet -p clampd-cli -- rules doc rules > target/rules.md && mv target/rules.md docs/rules.md

.PHONY: openapi-doc
openapi-doc: ## Write docs/openapi.json from the control plane's routes
	@cargo run --quiet -p clampd-control-plane -- openapi > target/openapi.json && mv target/openapi.json docs/openapi.json

##@ Shipping
.PHONY: release
release: export CC_x86_64_unknown_linux_musl = musl-gcc
# Where it was built does not stand in what is shipped.
release: UNPLACED = rustflags=["--remap-path-prefix=$(CURDIR)=/clampd","--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo"]
release: FILTER_BUILD = --config 'target.wasm32-wasip1.$(UNPLACED)'
release: filter ## Static binaries, images, manifests, SBOMs and checksums in dist/ [REGISTRY=host/path]
	@rustup target add $(MUSL)
	@cargo build --profile service --config profile.service.strip=true --config 'target.$(MUSL).$(UNPLACED)' --target $(MUSL) -p clampd-cli -p clampd-control-plane
	@$(PYTHON) packaging/release.py --binaries target/$(MUSL)/service --module $(WASM) $(if $(REGISTRY),--registry $(REGISTRY))

##@ Measuring
.PHONY: policy-diff
policy-diff: ## A million random requests through our policies and Cedar's own authorizer [CASES=1000000]
	@POLICY_DIFF_CASES=$${CASES:-1000000} cargo test --release -p clampd-policy-compiler --test it differential -- --nocapture

.PHONY: bench
bench: filter control-plane ## What the filter costs: a table and target/bench.json [BENCH=--write]
	@cargo build --quiet --release --manifest-path tests/bench/Cargo.toml --target-dir target/bench-tool
	@$(PYTHON) tests/bench/bench.py $(BENCH)

.PHONY: soak
soak: filter control-plane ## Whether memory grows under long load and changing bundles [REQUESTS=100000] [CHANGES=100] [SOAK=--write]
	@cargo build --quiet --release --manifest-path tests/bench/Cargo.toml --target-dir target/bench-tool
	@$(PYTHON) tests/bench/soak.py --requests $(or $(REQUESTS),100000) --changes $(or $(CHANGES),100) $(SOAK)

.PHONY: bench-control
bench-control: control-plane ## What the control plane does a second: target/bench-control.json [BENCH=--write]
	@cargo build --quiet --release --manifest-path tests/bench/Cargo.toml --target-dir target/bench-tool
	@$(PYTHON) tests/bench/control.py $(BENCH)

.PHONY: bench-policy
bench-policy: ## What one evaluation of policies costs
	@cargo run --quiet --release -p clampd-policy-compiler --example cost

.PHONY: bench-detect
bench-detect: ## How fast texts are judged, native and wasm: a table, target/bench-detect.json [CORPUS=dir] [BENCH=--write]
	@cargo build --quiet --release -p clampd-ruleset --example speed
	@cargo build --quiet --release -p clampd-ruleset --example speed --target wasm32-wasip1
	@$(PYTHON) tests/bench/detect.py $(BENCH) $(if $(CORPUS),--corpus "$(CORPUS)") \
	  target/release/examples/speed target/wasm32-wasip1/release/examples/speed.wasm

.PHONY: bench-hostile
bench-hostile: ## How long texts made to be slow take to judge, beside honest texts of the same size
	@cargo bench --quiet --manifest-path tests/hostile/Cargo.toml --target-dir target/bench-hostile

.PHONY: eval
eval: cli ## Recall and false positives over a corpus: make eval CORPUS=dir [EVAL=--update]
	@$(PYTHON) tests/corpus/eval.py $(EVAL) "$(CORPUS)"

# Kept out of the listing: what the above need.
.venv/ready: tests/e2e/requirements.txt
	@$(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: -r $<
	@touch $@

$(NODE_MODULES): tests/e2e/node/package-lock.json
	@npm ci --prefix tests/e2e/node --silent --ignore-scripts --no-audit --no-fund && touch $@

# Little optimised, since it is built once and runs for seconds. The lock file of the release may
# name a version that a registry's mirror does not have yet.
$(RUNNER): export CARGO_PROFILE_RELEASE_OPT_LEVEL = 1
$(RUNNER): export CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS = fallback
$(RUNNER): INSTALL = cargo install wasm-bindgen-cli --version $(WASM_BINDGEN) --bin wasm-bindgen-test-runner --root .tools
$(RUNNER): Cargo.lock
	@$(RUNNER) --version 2>/dev/null | grep -qF "$(WASM_BINDGEN)" || $(INSTALL) --locked || $(INSTALL)
	@touch $@

$(FUZZER): export CARGO_PROFILE_RELEASE_OPT_LEVEL = 1
$(FUZZER):
	@cargo install cargo-fuzz --version $(FUZZER_VERSION) --locked --root .tools
