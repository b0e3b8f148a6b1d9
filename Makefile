# Ferrite's targets. Each installs what it needs (Debian packages, crates, PyPI); `make help` lists them.
# Fresh Debian 12, root: `make demo` or `make test` is all there is to type.

SHELL := /bin/sh
.DEFAULT_GOAL := help

AGENT := target/x86_64-unknown-linux-musl/release/ferrite

include image/musl/musl.mk
include image/image.mk
include tests/support/lab.mk

.PHONY: help demo test test-matrix test-efi-store mutants check lint unit docs bench agent image iso clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | sort | while IFS="$$(printf '\t')" read -r target text; do \
		printf '  make %-18s %s\n' "$$target" "$$text"; done

demo: demo-plan image lab-demo ## Deploy a virtual machine with the real Ironic through Ferrite, and watch
	$(call stage,demo: building its program (about 5 minutes the first time))
	@$(CARGO) build --example demo
	$(call stage,demo: a deployment (about 2 minutes; 1 with KVM))
	@$(CARGO) run --quiet --example demo

.PHONY: demo-plan
demo-plan:
	@echo "==> demo: Debian packages, Rust, the agent, its ramdisk, Ironic; then a deployment."
	@echo "    About 20 minutes the first time (two cores, 600 MB to fetch), later 3. All but the packages stays in target/."

test: lint agent image iso lab nextest check-packages ## Everything: lints, unit and protocol tests, the binary, the real Ironic with virtual machines
	@rm -f $(LAB)/runs/*/restarts
	@$(NEXTEST) run --profile full; status=$$?; cat $(LAB)/runs/*/restarts 2>/dev/null; \
		echo "Machines that had to be started again because their kernel stalled: $$(cat $(LAB)/runs/*/restarts 2>/dev/null | wc -l)"; \
		exit $$status

test-matrix: agent lab lab-generations nextest ## Eight generations of Ironic, each deploying through the agent; prints a table
	$(NEXTEST) run --profile full --test matrix --run-ignored only --no-capture

.PHONY: test-fresh test-fresh-plain test-fresh-backports
test-fresh: test-fresh-plain test-fresh-backports ## Before a release: `make demo` on a Debian 12 that has nothing (twice half an hour; log in target/fresh)

test-fresh-plain test-fresh-backports: test-fresh-%:
	$(call install,debootstrap git)
	@bash tests/support/test-fresh.sh $*

.PHONY: test-policy-oracle
test-policy-oracle: rust nextest $(LAB)/venv/oslo.policy-6.0.1/.done ## Ten million questions to the real oslo.policy and to ours; prints a table (SEED=n for others)
	$(NEXTEST) run --profile full --test oslo_policy --run-ignored only --no-capture

.PHONY: test-timing
test-timing: rust nextest ## Whether the time of a token's comparison, or of a refusal, tells anything of the token: Welch's t, with tables
	$(NEXTEST) run --cargo-profile bench --lib --test timing --run-ignored only --no-capture

test-efi-store: rust nextest $(IMAGE)/modules.cpio.zst ## A full store of EFI variables, in virtual machines with OVMF (a minute)
	$(call install,ovmf qemu-system-x86)
	@$(CARGO) build --quiet --example efi-store
	$(NEXTEST) run --profile full --test efi_store --run-ignored only --no-capture

# cargo-mutants by area; AREA="secret gpt" for some of them, all without.
mutants: rust nextest check-packages ## Change the code in small ways, area by area, and look whether a test fails (hours; goes on where it was)
	@$(CARGO) mutants --version >/dev/null 2>&1 || [ -x target/tools/bin/cargo-mutants ] || { \
		echo "==> mutants: building cargo-mutants, once (about 5 minutes)"; \
		$(CARGO) install --quiet --locked --root target/tools cargo-mutants; }
	@PATH="$(CURDIR)/target/tools/bin:$$PATH" CARGO_PROGRAM="$(CARGO)" bash tests/support/mutants.sh $(AREA)

check: lint unit ## The quick subset: format, clippy, docs, tests that need neither Ironic nor virtual machines

lint: rust
	$(CARGO) fmt --all --check
	$(CARGO) clippy --quiet --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --quiet --workspace --no-deps

docs: rust ## Write the generated documents again: sample, kernel arguments, completions, man pages, parity
	$(CARGO) run --quiet --example documents
	FERRITE_WRITE_DOCS=1 $(CARGO) test --quiet --test parity

# The tests make qcow2 images, loop devices and networks (root), and let Python judge the certificate.
CHECK_PACKAGES := python3 qemu-utils e2fsprogs iproute2

.PHONY: check-packages
check-packages:
	$(call install,$(CHECK_PACKAGES))

unit: rust nextest check-packages
	$(NEXTEST) run

.PHONY: record-wire
record-wire: rust nextest $(LAB)/venv/ironic-python-agent-13.0.0/.done ## Ask IPA 13.0.0 and Ferrite the same and keep both answers
	RECORD_WIRE=1 $(NEXTEST) run --profile full -E 'binary(wire) & test(/^control::/)'

# cargo-fuzz asks for a nightly compiler; what libFuzzer needs of it, the stable one has too.
FUZZ_SECONDS ?= 60
FUZZ_FLAGS := -Cpasses=sancov-module $(addprefix -Cllvm-args=-sanitizer-coverage-,level=4 inline-8bit-counters pc-table trace-compares) --cfg fuzzing
FUZZ_TARGETS := $(notdir $(wildcard fuzz/corpus/*))

.PHONY: fuzz
fuzz: rust ## Random bytes as what strangers send, FUZZ_SECONDS (60) for each target; FUZZ_TARGET="tls_stream …" for some
	$(call install,g++)
	$(call stage,fuzz: building the library for fuzzing (about 7 minutes the first time))
	@cd fuzz && RUSTFLAGS='$(FUZZ_FLAGS)' $(CARGO) build --quiet --locked --release --target x86_64-unknown-linux-gnu --target-dir ../target/fuzz
	@for target in $(or $(FUZZ_TARGET),$(FUZZ_TARGETS)); do \
		echo "==> fuzz: $$target"; corpus=target/fuzz/corpus/$$target; mkdir -p $$corpus && \
		FUZZ_TARGET=$$target FUZZ_CORPUS=$$corpus target/fuzz/x86_64-unknown-linux-gnu/release/ferrite-fuzz \
			-max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 -verbosity=0 -print_final_stats=1 \
			-artifact_prefix=target/fuzz/$$target- $$corpus || exit 1; \
	done

# The same functions on the kept corpora, and on some damage to them: a part of every run of the tests.
.PHONY: fuzz-smoke
fuzz-smoke: rust nextest ## The kept corpora of fuzzing through the same functions, without libFuzzer (seconds)
	$(NEXTEST) run --lib -E 'test(/^fuzzing::/)'

.PHONY: audit
audit: rust ## cargo-deny (licences, bans, sources, advisories) and cargo-machete; builds both once, and fetches the advisory database
	@for tool in cargo-deny cargo-machete; do \
		[ -x target/tools/bin/$$tool ] || { echo "==> audit: building $$tool, once"; \
			$(CARGO) install --quiet --locked --root target/tools $$tool || exit 1; }; \
	done
	PATH="$(CURDIR)/target/tools/bin:$$PATH" $(CARGO) deny --locked check
	PATH="$(CURDIR)/target/tools/bin:$$PATH" $(CARGO) machete

bench: agent image lab-packages $(LAB)/venv/ironic-python-agent-13.0.0/.done ## Sizes, start-up, memory and write rates, beside IPA too, with units and method
	$(CARGO) build --quiet --profile bench --example wiping-child
	$(CARGO) bench --quiet --bench ferrite

clean: ## Remove everything that was built
	rm -rf target
