# Two commands do everything on a machine that has python3 >= 3.11, make and a package index:
#   make local   the main job, end to end, on the embedded stack
#   make test    the tests
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
VENV := .venv
EMULATOR := .venv-emulator
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EMULATOR_READY := $(EMULATOR)/.ready
PARLIAMENT := .venv-parliament
POLICY := .venv-policy
FUZZ := .venv-fuzz
PARLIAMENT_READY := $(PARLIAMENT)/.ready
POLICY_READY := $(POLICY)/.ready
FUZZ_READY := $(FUZZ)/.ready
FUZZ_SECONDS ?= 60
PYTEST_ARGS ?=

.PHONY: help dev local test e2e-tools e2e e2e-node e2e-pulumi e2e-examples chaos fuzz lint fmt golden proto lock image check clean bench benchdiff benchpreview benchscale

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

$(READY): requirements-dev.txt pyproject.toml .ci/make-venv
	@.ci/make-venv "$(PYTHON)" $(VENV) requirements-dev.txt --editable
	@touch $@

$(EMULATOR_READY): requirements-emulator.txt .ci/make-venv
	@.ci/make-venv "$(PYTHON)" $(EMULATOR) requirements-emulator.txt
	@touch $@

$(PARLIAMENT_READY): requirements-parliament.txt .ci/make-venv
	@.ci/make-venv "$(PYTHON)" $(PARLIAMENT) requirements-parliament.txt
	@touch $@

$(POLICY_READY): requirements-policy.txt .ci/make-venv
	@.ci/make-venv "$(PYTHON)" $(POLICY) requirements-policy.txt
	@touch $@

$(FUZZ_READY): requirements-fuzz.txt .ci/make-venv
	@.ci/make-venv "$(PYTHON)" $(FUZZ) requirements-fuzz.txt
	@touch $@

dev: $(READY) $(EMULATOR_READY) $(PARLIAMENT_READY) $(POLICY_READY) ## build the environments (.venv, and those of emulator, parliament, policy pack)

local: dev ## the main job on the embedded stack: emulated AWS, the real program, the real provider, real mounts (ARGS=--keep)
	@$(BIN)/python -m local $(ARGS)

test: dev ## every test (PYTEST_ARGS='-k rotation' for some)
	@$(BIN)/python -m pytest -n 2 --dist loadfile --ignore=tests/e2e --ignore=tests/e2e_node --ignore=tests/e2e_examples --ignore=tests/pulumi_cli $(PYTEST_ARGS)

e2e-tools: dev ## build the real parts (CSI driver, API server, etcd) from Go modules into .e2e; says what is missing
	@$(BIN)/python -m tests.e2e.toolbox

e2e: e2e-tools ## the product on the real driver and API server (needs Go and root; skipped with the reason without)
	@$(BIN)/python -m pytest tests/e2e $(PYTEST_ARGS)

e2e-pulumi: dev ## the local stack on the real Pulumi CLI and Kubernetes provider, beside the embedded engine (PATH, or built with Go)
	@$(BIN)/python -m tests.e2e.toolbox --pulumi
	@$(BIN)/python -m pytest tests/pulumi_cli $(PYTEST_ARGS)

e2e-examples: dev ## the TypeScript example against the SDK that Pulumi generates of the package (needs Go, node and npm)
	@$(BIN)/python -m tests.e2e.toolbox --sdk
	@$(BIN)/python -m pytest tests/e2e_examples $(PYTEST_ARGS)

chaos: e2e-tools ## random faults against random mounts on the real parts, 10 minutes (ARGS='--seed N --operations M', ARGS=--planted)
	@$(BIN)/python -m tests.chaos $(ARGS)

e2e-node: dev ## a whole node: kubelet, containerd, the DaemonSets as rendered (needs Go, root, Debian or its packages)
	@$(BIN)/python -m tests.e2e.toolbox --node
	@$(BIN)/python -m tests.e2e_node $(PYTEST_ARGS)

fuzz: $(FUZZ_READY) ## fuzz the provider's parsers, coverage-guided and bounded (FUZZ_SECONDS=60 in all)
	@$(FUZZ)/bin/python -m tests.fuzz.session --seconds $(FUZZ_SECONDS)

benchdiff: dev ## measure the access diff: 1,000 apps, 50 changes (ARGS='--apps 200')
	@$(BIN)/python -m benchmarks.access_diff $(ARGS)

benchscale: dev ## measure check, derive and render of 1,000 apps with 20 objects each, and --help (ARGS='--apps 200')
	@$(BIN)/python -m benchmarks.fleet_scale $(ARGS)

benchpreview: dev ## measure the embedded engine: a preview of 100 apps (ARGS='--apps 10')
	@$(BIN)/python -m benchmarks.preview $(ARGS)

bench: dev ## measure the provider; ASCP_BINARY=<path> puts AWS's own beside it (ARGS='--only first --latency-ms 5')
	@$(BIN)/python -m benchmarks $(ARGS)

lint: dev ## lint, format check, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: dev ## format and mend what is mechanical
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

golden: dev ## write the golden files again; the review reads their diff
	$(BIN)/python -m pytest -q tests/golden --rewrite-golden
	$(BIN)/python -m pytest -q tests/diff/test_corpus.py --rewrite-golden
	$(BIN)/python -m pytest -q tests/cli --rewrite-golden

proto: dev ## generate the gRPC stubs from the driver's proto again
	$(BIN)/python -m grpc_tools.protoc -I . --python_out=. --pyi_out=. --grpc_python_out=. provider_runtime/csi_v1alpha1/service.proto

lock: dev ## resolve requirements*.in again into locks with hashes and without addresses
	.ci/lock $(BIN)/python

image: ## build and push the provider's image, print its digest (PUSH=<repository> BUILD_DIGEST= RUNTIME_DIGEST=)
	@.ci/push-image "$(PUSH)"

check: test lint ## what CI runs first; then it runs .ci/real-parts, which is `make e2e` where that can run

clean: ## remove what make built
	rm -rf $(VENV) $(EMULATOR) $(PARLIAMENT) $(POLICY) $(FUZZ) .fuzz .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .local build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
