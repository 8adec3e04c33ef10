# `make help` lists the targets. Everything they need beside Rust they fetch or build themselves.

# make demo SERVERS=real|embedded|auto KEEP=1
SERVERS ?= auto
KEEP ?=
# Not `cargo run`: it would build one package alone, which has other features and is another build.
programs = $(shell cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release
# Seeds of `make sim`
SEEDS ?= 100000
# Trials of each kind, the first seed and a kind (all without one) of `make soak`
TRIALS ?= 100
SEED ?= 1
KIND ?=
# Sequences of `make fakes`, for each version of each server
SEQUENCES ?= 1000
# make bench SIZE=small|normal|large, BENCH='--stages cold' for a part
SIZE ?= normal
BENCH ?=
# Extra arguments of `cargo test`, as in: make test ARGS='-p consul-sync-core'
ARGS ?=
# Which guards, as in: make guards GUARDS=core
GUARDS ?=

.DEFAULT_GOAL := help
.PHONY: bench fakes sim soak help demo test guards reliability servers lint clean-servers

help: ## Show this list
	@echo 'usage: make TARGET'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## See it work: SERVERS=real builds and uses real servers, KEEP=1 leaves it running
ifeq ($(SERVERS),real)
	@dev/servers/build etcd kube-apiserver consul-1.22 coredns
endif
	cargo build --release -p consul-sync-bin -p consul-sync-demo
	@$(programs)/consul-sync-demo --servers $(SERVERS) $(if $(filter-out 0 no false,$(KEEP)),--keep)

test: ## Run all tests, against real servers, which are built once where Go is installed
	@dev/test $(ARGS)

bench: ## Measure on real servers beside a bare loader: figures, limits, goals (SIZE=large takes far longer)
	@dev/servers/build
	cargo build --release -p consul-sync-bin -p consul-sync-benches
	@$(programs)/consul-sync-bench --size $(SIZE) --json $(programs)/../bench.json $(BENCH)

guards: ## Take each safety guard out of a copy, one at a time: tests must notice (GUARDS=a crate, as in dev/guards.d, or a name)
	@dev/guards $(GUARDS)

reliability: ## Write docs/reliability.md: every fault, and the tests that cover it
	@dev/reliability

servers: ## Build the real servers into a cache outside the tree (etcd, kube-apiserver, Consul, CoreDNS)
	@dev/servers/build

sim: ## Run 100,000 seeds of the simulation (SEEDS=n for another number)
	SIM_SEEDS=$(SEEDS) cargo test --release -p consul-sync-core --all-features --test sim -- --nocapture

soak: ## Real servers, real faults: 100 trials of each kind (TRIALS=n KIND=consul_killed SEED=n)
	@SOAK_TRIALS=$(TRIALS) SOAK_SEED=$(SEED) dev/test --workspace --all-features --test soak -- --nocapture $(KIND)

fakes: ## Hold the servers in memory against the real ones over 1,000 random sequences (SEQUENCES=n for another number)
	@dev/servers/build
	CONSUL_FAKE_SEQUENCES=$(SEQUENCES) KUBE_FAKE_SEQUENCES=$(SEQUENCES) cargo test -p consul-sync-testbed \
	  --test consul_fake --test kube_fake -- --nocapture random

lint: ## Check formatting, lints and documentation
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --all-features --no-deps

clean-servers: ## Delete the built servers
	@cache=$$(dev/servers/build --cache) && rm -rf "$$cache" && echo "deleted $$cache"
