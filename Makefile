# `make` lists what there is. Every target can be run again at no cost: what is
# in place already is left alone without a word.

# Arguments for the program or tool behind a target: make train ARGS="--steps 100"
ARGS ?=
# Python for the targets that need one; none of the others does.
PYTHON ?= python3
VENV := target/venv

# rustup puts cargo here without touching the PATH of shells that do not log in.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

.DEFAULT_GOAL := help
# The phases of `test` go from cheap to dear, and cargo locks its folder anyway.
.NOTPARALLEL:

# $(call phase,name,command): runs the command between two lines that say what
# runs and how long it took, and keeps the second for the end.
TIMES := target/times
define phase
@printf '== %s\n' '$(1)'; start=$$(date +%s); $(2) && mkdir -p target && printf '== %s: %d s\n' '$(1)' $$(($$(date +%s) - start)) | tee -a $(TIMES)
endef

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install a Vulkan driver if the machine has none; check Rust and the linker
	@./.ci/setup

.PHONY: train
train: setup ## train a GAN; options in ARGS="..."
	@cargo run --release -- train $(ARGS)

.PHONY: test
test: no-times setup-lint data fmt clippy doc build full-sets unit plain device tiles numbers program ## everything that CI checks
	@printf '== where the time went: '; sed 's/^== //' $(TIMES) | paste -s -d ',' | sed 's/,/, /g'

.PHONY: test-long
# Each is an `#[ignore]`d test beside the short form of itself.
test-long: setup ## the tests that take minutes: whole trainings
	@./.ci/fetch-data --long
	@cargo test --release $(ARGS) -- --ignored --nocapture --skip memory_that_there_is_not

# Chromium's SwiftShader: subgroups of four, no f16, other rounding, its own compiler.
# The ignored test needs a driver that keeps account of its memory, as Mesa's does not.
.PHONY: test-second
test-second: setup data ## all tests on a second driver, SwiftShader
	@./.ci/fetch-data --driver
	@export VK_DRIVER_FILES=$(CURDIR)/target/data/swiftshader/vk_swiftshader_icd.json; \
	cargo test --release $(ARGS) && cargo test --release --test device -- --ignored memory_that_there_is_not

# `make test` replays the corpus without any of this.
FUZZ_SECONDS ?= 60
.PHONY: fuzz
fuzz: ## fuzz the readers of files, FUZZ_SECONDS=60 each; needs cargo-fuzz and a nightly Rust
	@cargo fuzz --version >/dev/null 2>&1 || { echo 'fuzz: cargo-fuzz is missing; type: cargo install cargo-fuzz' >&2; exit 1; }; \
	rustup run nightly rustc --version >/dev/null 2>&1 || { echo 'fuzz: a nightly Rust is missing; type: rustup toolchain install nightly' >&2; exit 1; }; \
	for target in $(notdir $(basename $(wildcard fuzz/fuzz_targets/*.rs))); do \
		echo "== fuzz $$target, $(FUZZ_SECONDS) s"; \
		cargo +nightly fuzz run "$$target" -- -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=1024 -max_len=65536 $(ARGS) || exit 1; \
	done

.PHONY: lint
lint: setup-lint fmt clippy doc ## format, clippy and documentation, without running tests

.PHONY: bench
bench: setup ## run the benchmarks; options in ARGS="..."
	@cargo bench --bench kernels -- $(ARGS)

.PHONY: data
data: ## fetch full MNIST and Fashion-MNIST for the tests into target/data
	@./.ci/fetch-data

# PyTorch is the truth of the golden tests, not a part of the project: a Python
# that has it is used as it is, else it goes into a folder that git ignores.
.PHONY: fixtures
fixtures: ## make the golden test files again with PyTorch; PYTHON=... to choose which
	@python='$(PYTHON)'; \
	if ! "$$python" -c 'import torch, numpy, safetensors' 2>/dev/null; then \
		python='$(VENV)/bin/python'; \
		if ! "$$python" -c 'import torch, numpy, safetensors' 2>/dev/null; then \
			echo 'fixtures: installing PyTorch into $(VENV)'; \
			'$(PYTHON)' -m venv '$(VENV)' && "$$python" -m pip install --quiet torch numpy safetensors || exit 1; \
		fi; \
	fi; \
	"$$python" tests/torch/second_order.py >/dev/null && "$$python" tests/torch/networks.py >/dev/null \
	&& "$$python" tests/torch/regenerate.py $(ARGS) \
	&& "$$python" tests/torch/replay_rbm.py && "$$python" tests/torch/replay_likelihood.py \
	&& "$$python" tests/torch/replay_images.py && "$$python" tests/torch/replay_features.py \
	&& "$$python" tests/torch/apply.py >/dev/null && "$$python" tests/torch/inception.py >/dev/null

# --- The phases of `test` ----------------------------------------------------

.PHONY: no-times setup-lint fmt clippy doc build full-sets unit plain device tiles numbers program
no-times:
	@rm -f $(TIMES)

setup-lint:
	@./.ci/setup --lint

fmt:
	$(call phase,fmt,cargo fmt --check)

clippy:
	$(call phase,clippy,cargo clippy --quiet --all-targets -- -D warnings)

doc:
	$(call phase,doc,RUSTDOCFLAGS='-D warnings' cargo doc --quiet --no-deps)

build:
	$(call phase,build,cargo test --quiet --no-run)

# Without `make data`, as on systems it does not know, plain `cargo test` leaves
# these out and says so.
full-sets:
	$(call phase,full sets,cargo test --test plain idx:: -- --ignored)

unit:
	$(call phase,unit,cargo test --lib --bins && cargo test --doc)

plain:
	$(call phase,plain,cargo test --test plain)

# Tests that compute more than they compile.
COMPUTING := digits:: generated:: golden:: optima:: penalised:: images::
device:
	$(call phase,device,cargo test --test device -- $(COMPUTING))

# Every tile, at the vector length that users have; the optimiser would take half
# of the time.
tiles:
	$(call phase,tiles,GALLIVM_PERF=nopt cargo test --test device -- contract::)

# The others spend their time on compiling. Mesa's software driver takes a third
# of it without its optimiser and for vectors of four; its cache does not tell
# vectors of other lengths apart, so these kernels have a folder of their own.
# Other drivers do not listen. `cargo test` alone runs all as users do.
NARROW := GALLIVM_PERF=nopt LP_NATIVE_VECTOR_WIDTH=128 MESA_SHADER_CACHE_DIR=$(CURDIR)/target/tmp
numbers:
	$(call phase,numbers,$(NARROW) cargo test --test device -- --skip contract:: $(COMPUTING:%=--skip %))

program:
	$(call phase,program,cargo test --test program)
