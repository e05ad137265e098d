# kemi-routes: `make run` starts the phone server, `make test` proves it, `make help` lists the rest.
SHELL := /bin/bash
PYTHON := /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
DESTDIR ?=
PREFIX ?= /etc/kamailio
export RUN_DIR ?= $(CURDIR)/var

VENV_PACKAGES := python3-venv python3-setuptools python3-wheel python3-attr python3-psycopg
RUN_PACKAGES := kamailio kamailio-python3-modules kamailio-sqlite-modules kamailio-postgres-modules \
	kamailio-tls-modules kamailio-websocket-modules openssl
TEST_PACKAGES := sip-tester baresip-core rtpengine-daemon postgresql sqlite3 nftables iproute2 conntrack tshark procps systemd

STACK_PACKAGES := debootstrap git iproute2 nftables openssl procps

.PHONY: help run test stack-test lock coverage bench attacks unit unit-routes unit-others lint fuzz fuzz-stub soak check reload install deps test-deps stack-deps venv venv-deps clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

run: deps $(BIN)/kemi-routes ## start the phone server in the foreground (LISTEN, SIP_DOMAIN, DBURL, ADVERTISE, RUN_DIR)
	@mkdir -p "$(RUN_DIR)"
	@exec $(BIN)/kemi-routes run

test: test-deps $(VENV)/.test ## everything this machine can run: lint, types, unit and live tests
	$(MAKE) --no-print-directory lint
	$(BIN)/pytest $(PYTEST)

stack-test: stack-deps $(VENV)/.test ## docker-compose.yml on this machine's Docker Engine, from its first start to an upgrade
	$(BIN)/pytest tests/stack $(PYTEST)

lock: ## write down of which packages the images are made now: */packages.lock
	@docker build -q --no-cache -t kemi-routes-kamailio -f kamailio/Dockerfile .
	@docker build -q --no-cache -t kemi-routes-rtpengine rtpengine
	@.ci/lock

unit: $(VENV)/.test ## the offline tests alone: routes on the stub, and the stub; no Kamailio, no network
	@$(MAKE) --no-print-directory --jobs --output-sync unit-routes unit-others

unit-routes: # our routes on the stub
	$(BIN)/pytest tests/stub/test_own_routes*.py $(PYTEST)

unit-others: # the stub itself, settings and commands
	$(BIN)/pytest tests/unit tests/stub --ignore-glob='*/test_own_routes*' $(PYTEST)

coverage: $(VENV)/.test ## does some offline test take every branch of every route?
	$(BIN)/coverage run -m pytest -q tests/unit tests/stub $(PYTEST)
	$(BIN)/coverage report

bench: test-deps $(VENV)/.test ## what routing costs beside native configurations: docs/performance.md (BENCH="--only call")
	$(BIN)/python -m bench $(BENCH)

attacks: test-deps $(VENV)/.test ## attack stock configurations and ours: the scoreboard in docs/hardening.md (ATTACKS="--only ours")
	$(BIN)/python -m tests.attacks $(ATTACKS)

lint: $(VENV)/.test ## ruff, mypy, ksr-lint, and what type checkers say to the stubs of KSR
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=stubs $(BIN)/python -m ksr_stub.lint kemi_routes kamailio
	$(BIN)/pytest -q tests/types

fuzz: test-deps $(VENV)/.test ## 1,000,000 broken requests against a real Kamailio (FUZZ_MESSAGES, FUZZ_SEED)
	FUZZ_MESSAGES=$${FUZZ_MESSAGES:-1000000} $(BIN)/pytest tests/live/test_fuzz.py $(PYTEST)

fuzz-stub: $(VENV)/.test ## coverage-guided fuzzing of the stub with atheris (FUZZ_SECONDS)
	@$(BIN)/pip install --quiet --disable-pip-version-check 'atheris>=2.3'
	FUZZ_SECONDS=$${FUZZ_SECONDS:-600} PYTHONPATH=stubs $(BIN)/python -m tests.fuzz_stub

soak: test-deps $(VENV)/.test ## an hour of calls with reloads and restarts of the database (SOAK_MINUTES)
	SOAK_MINUTES=$${SOAK_MINUTES:-60} $(BIN)/pytest -s tests/live/test_soak.py $(PYTEST)

check: deps $(BIN)/kemi-routes ## are the settings and the routes in order? starts nothing
	@mkdir -p "$(RUN_DIR)"
	@$(BIN)/kemi-routes run --check
	@PYTHONPATH=$(CURDIR) $(PYTHON) kamailio/try_import.py

reload: ## bring changed routes into the running Kamailio, after a test of their import
	@PYTHONPATH=$(CURDIR) $(PYTHON) kamailio/try_import.py
	@kamcmd -s "unixs:$(RUN_DIR)/kamailio_ctl" app_python.reload

install: ## put the routes into $(DESTDIR)$(PREFIX); an existing kamailio-local.cfg stays as it is
	@kamailio/install "$(PREFIX)" "$(DESTDIR)"

deps: # what `make run` needs from Debian
	@$(call apt_install,$(RUN_PACKAGES))

test-deps: deps # what the live tests need from Debian
	@$(call apt_install,$(TEST_PACKAGES))

stack-deps: # what tests/stack needs from Debian beside the engine
	@$(call apt_install,$(STACK_PACKAGES))

venv-deps: # what the virtual environment needs from Debian
	@$(call apt_install,$(VENV_PACKAGES))

venv: $(VENV)/.test ## the virtual environment with the development tools

clean: ## forget the virtual environment and the demo data
	rm -rf $(VENV) var build *.egg-info

$(BIN)/kemi-routes: pyproject.toml | venv-deps
	@$(PYTHON) -m venv --system-site-packages $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.test: pyproject.toml $(BIN)/kemi-routes
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation -e '.[dev]'
	@touch $@

# Debian starts a daemon when it installs it; ours are started by `make run` and the tests.
define apt_install
missing=$$(for package in $(1); do dpkg -s $$package >/dev/null 2>&1 || echo $$package; done); \
if [ -n "$$missing" ]; then \
  echo "Installing:" $$missing; \
  $(SUDO) apt-get update -qq && \
  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null || exit 1; \
  for unit in kamailio rtpengine-daemon ngcp-rtpengine-daemon; do \
    case " $$missing " in *$$unit*) $(SUDO) systemctl disable --now $$unit >/dev/null 2>&1 || true;; esac; \
  done; \
fi
endef
