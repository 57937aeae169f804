.DEFAULT_GOAL := help
.PHONY: help setup run demo test clients check format lock migrate migration bench fuzz soak

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

setup: ## install everything into .venv
	@./gateway setup

run: ## the gateway
	@./gateway serve

demo: ## the gateway on a simulated exchange
	@./gateway demo

test: ## the tests
	@./gateway test

clients: setup ## the official SDK and CCXT against the gateway, in an environment of their own
	@.venv/bin/python -m tests.clients.environment
	./gateway test -n2 tests/clients

fuzz: setup ## requests made up from the API's description, for some minutes
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-200} ./gateway test -n2 tests/fuzzing

check: ## format, lint and types, as CI checks them
	@./gateway check

format: ## mend format and lint where that can be done
	@./gateway format

lock: ## resolve the dependencies anew; needs uv
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--group dev --output-file requirements.lock pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--group clients --output-file tests/clients/requirements.lock

migrate: ## the database's schema to its newest version
	@./gateway migrate

migration: setup ## a new migration: make migration m="index trades by time"
	@test -n '$(m)' || { echo 'say what it does: make migration m="index trades by time"'; exit 2; }
	@number=$$(ls migrations/versions/[0-9]*.py | wc -l) && .venv/bin/python -m alembic revision \
		--rev-id "$$(printf %04d $$((number + 1)))" --message '$(m)'

bench: setup ## the benchmarks
	@for file in $(filter-out benchmarks/soak.py,$(shell grep -l __main__ benchmarks/*.py)); do \
		.venv/bin/python "$$file" || exit 1; done

soak: setup ## ten minutes at a steady load with random outages: make soak minutes=2
	.venv/bin/python benchmarks/soak.py $(or $(minutes),10)
