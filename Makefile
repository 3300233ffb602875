# Entraflow. `make` lists what can be made; `make run` and `make test` do their own set-up.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

MODULES := proto pkg services
PACKAGES := ./proto/... ./pkg/... ./services/...
# Packages whose point is concurrency; `make race` tests them under the race detector. What bounds
# memory or time is left out, and what compiles for minutes: the detector multiplies all three.
RACE_PACKAGES := ./pkg/bus/... ./pkg/lease/... ./pkg/lifecycle/... ./pkg/app/... ./pkg/clock/... \
	./pkg/grpcserver/... ./services/streamer/internal/... ./services/simulator ./services/simulator/eventhubs/... \
	./services/simulator/internal/... ./services/simulator/entra ./services/simulator/entra/throttle \
	./services/simulator/entra/directory ./pkg/session/... ./pkg/shift/... ./pkg/runs/... ./services/directorysync/internal/... \
	./services/gateway/internal/rest
RACE_SKIP := ^(TestNothingFallsOffUnread|TestBlobsAreKeptForTheUnread)$$
# Real records to test against; not part of the project.
ENTRAFLOW_CORPUS ?= $(abspath ../shared/corpora)
export ENTRAFLOW_CORPUS
FUZZTIME ?= 20s
TOOL := cd tools && GOWORK=off go build -o ../build/bin/

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-22s %s\n", $$1, $$2}'

.PHONY: setup
setup: build/.libchdb
build/.libchdb: scripts/fetch-libchdb.sh
	@mkdir -p build
	@scripts/fetch-libchdb.sh
	@touch $@

.PHONY: build
build: ## build all programs into build/bin
	@mkdir -p build/bin
	@go build -trimpath -o build/bin/ ./services/.../cmd/... ./pkg/clickhouse/cmd/... ./pkg/bus/natsserver/cmd/...

.PHONY: run
run: setup ## build and run the product with its simulator; ARGS="…" passes flags (see entraflow up --help)
	@mkdir -p build/bin
	@go build -trimpath -o build/bin/ ./services/entraflow/cmd/entraflow
	@build/bin/entraflow up --simulator $(ARGS)

.PHONY: test
test: setup ## run all tests
	@go test $(PACKAGES)

.PHONY: race
race: setup ## run the tests of the concurrent packages under the race detector
	@go test -race -skip '$(RACE_SKIP)' $(RACE_PACKAGES)

.PHONY: e2e
e2e: setup ## run the crash and fault tests at full size: every part a process, killed and frozen at random
	@go test -count=1 -timeout 60m -v -tags e2e ./services/entraflow/e2e/

.PHONY: bench
bench: setup build ## print the benchmark tables; ARGS="--only …" selects: streamer/* product/* latency subscribe/* collector/* tenants directory/* search/*
	@build/bin/entraflow-bench $(ARGS)

.PHONY: fuzz
fuzz: ## fuzz every decoder of foreign bytes, FUZZTIME each
	@scripts/fuzz.sh $(FUZZTIME)

.PHONY: lint
lint: build/bin/golangci-lint ## run the linters
	@set -e; for m in $(MODULES); do (cd $$m && ../build/bin/golangci-lint run --allow-parallel-runners ./...); done
	@scripts/proto.sh lint

build/bin/golangci-lint: tools/go.mod
	@mkdir -p build/bin
	@$(TOOL) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: fmt
fmt: build/bin/golangci-lint ## format the code
	@set -e; for m in $(MODULES); do (cd $$m && ../build/bin/golangci-lint fmt ./...); done

.PHONY: generate
generate: ## regenerate what is generated (protos, subjects, permissions, stream docs)
	@scripts/generate.sh

.PHONY: modules
modules: ## tidy each module and build each without the workspace
	@scripts/modules.sh

.PHONY: deps
deps: ## check who imports whom
	@scripts/deps.sh

.PHONY: vuln
vuln: ## look for known vulnerabilities (needs the vulnerability database's network)
	@mkdir -p build/bin
	@$(TOOL) golang.org/x/vuln/cmd/govulncheck
	@set -e; for m in $(MODULES); do (cd $$m && ../build/bin/govulncheck ./...); done

.PHONY: simulator-acceptance
simulator-acceptance: ## run azeventhubs/v2's own test suite against the simulator
	@acceptance/eventhubs/run.sh

.PHONY: api-acceptance
api-acceptance: setup ## run the README's examples of the API with grpcurl, curl and a generated client
	@acceptance/openapi/run.sh

.PHONY: check
check: ## what CI runs
	@.ci/run
