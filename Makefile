# Each target is one command that can be typed as well. make help lists them.
SHELL := /bin/bash
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
BUILDINFO := github.com/prometheus/common/version
LDFLAGS := -s -w -X $(BUILDINFO).Version=$(VERSION) -X $(BUILDINFO).Revision=$(REVISION)
FUZZTIME ?= 10s
BENCH ?= .
ROUNDS ?= 2000
WATCHERS ?= 200
TRIALS ?= 21
SIZES ?= 1000,10000,100000,1000000
SMALL := 1000,10000
STEPS ?= 1000000
PACKAGES ?= ./...

.DEFAULT_GOAL := help
.PHONY: help demo build tools test unit e2e lint bench bench-go bench-enc bench-daemon bench-consul bench-puppetdb bench-detect fuzz walk stats stats-rollouts stats-doc bench-stats clean image

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## a bad change and a good one on a simulated fleet; KEEP=1 leaves it running, NODES=20000
	@CGO_ENABLED=0 go build -trimpath -o bin/demo ./tools/demo
	@bin/demo $(if $(KEEP),-keep) $(if $(NODES),-nodes $(NODES))

build: ## static programs into bin/
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

tools: ## install what the tests need: Debian packages (as root), consul, consul-template, the JVMs' class cache
	@tools/setup.sh

test: tools ## vet and all tests with the race detector, the core scenarios on the real stack included (as root)
	go vet $(PACKAGES)
	go test -race -shuffle=on -timeout 40m $(PACKAGES)

unit: ## the tests that need neither root nor a component
	go test -race -shuffle=on $$(go list $(PACKAGES) | grep -v -e /internal/e2e -e /internal/store -e /deploy/puppet)

e2e: tools ## every scenario on the real stack (as root)
	SLUICE_E2E=all go test -count=1 -v -timeout 80m ./internal/e2e

lint: ## gofmt, go vet, staticcheck, shell syntax
	@tools/lint.sh $(PACKAGES)

bench: build ## one table of the figures of docs/scale.md and what they aim at, small fleets (5 minutes); SIZES=…,1000000, SITE=1 with Consul and PuppetDB too, PLOT=file.svg
	@go run ./tools/scalebench -nodes $(if $(filter file,$(origin SIZES)),$(SMALL),$(SIZES)) $(if $(SITE),-site) $(if $(PLOT),-plot $(PLOT))

bench-go: ## the benchmarks of the packages; BENCH=regexp
	go test -run '^$$' -bench '$(BENCH)' -benchmem $(PACKAGES)

bench-enc: ## sluice-enc as a whole process against printing the same bytes; ROUNDS=2000
	go run ./internal/enc/bench -rounds $(ROUNDS)

bench-daemon: build ## sluiced as a whole process over simulated fleets; SIZES=1000,10000,100000,1000000 (about 12 minutes)
	go run ./internal/fleetsim/benchdaemon -nodes $(SIZES)

bench-consul: tools ## a pause and a step to 200 watchers of a real Consul; WATCHERS=200
	go run ./internal/e2e/benchconsul -watchers $(WATCHERS)

bench-puppetdb: tools ## what polling costs a real PuppetDB with 500,000 nodes, against storing (as root, 5 minutes); NODES=500000
	go run ./internal/e2e/benchpuppetdb $(if $(NODES),-nodes $(NODES))

bench-detect: build ## how long changes live that do not compile, on 1,000 simulated nodes; TRIALS=21 (5 minutes)
	go run ./internal/fleetsim/benchdaemon -detect $(TRIALS)

fuzz: ## every fuzz target for FUZZTIME (10s)
	@tools/fuzz.sh $(FUZZTIME) $(PACKAGES)

walk: ## a random walk of a million verbs and events over gate and edges, invariants after each (a minute); STEPS=1000000
	GOGC=400 go test -count=1 -v -run '^TestWalk$$' ./internal/walk -walk.steps $(STEPS)

stats: ## the tables of docs/statistics.md; RUNS=1000 (a few minutes)
	@go run ./tools/statsbench --runs $(or $(RUNS),1000)

stats-rollouts: ## whole rollouts through the judge: the tables of docs/rollouts-measured.md; RUNS=400 NODES=2000 SEED=1 ONLY=good,bad WORLD="1 %" WRITE=docs/rollouts-measured.md
	@go run ./tools/rolloutbench --runs $(or $(RUNS),400) --nodes $(or $(NODES),2000) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY)) $(if $(WORLD),--world "$(WORLD)") $(if $(WRITE),--write $(WRITE))

stats-doc: ## tables and pictures, written into docs/statistics.md; RUNS=10000 (half an hour)
	@go run ./tools/statsbench --runs $(or $(RUNS),10000) --write docs/statistics.md

bench-stats: ## the tests of analyzer/stats against scipy and R, which it installs (as root, 2 minutes)
	@tools/setup.sh --also python3-scipy r-base-core
	@go run ./tools/statsbench/speed

image: ## container image
	docker build --build-arg VERSION=$(VERSION) -t sluice:$(VERSION) .

clean: ## remove bin/
	rm -rf bin
