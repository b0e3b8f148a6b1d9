# The Rust toolchain, and the static binary.
#
# A Rust of rustup's or the system's that is new enough is used as it is; else Debian's rustc-web is installed. Where rustup
# has the musl target, it builds the agent; else Debian's Rust builds it together with the standard library, linked with
# Debian's musl by image/musl/static-pie-gcc.

# ca-certificates: cargo fetches crates over TLS, and depends on no authorities.
RUST_PACKAGES := rustc-web cargo-web rustfmt-web rust-web-clippy gcc libc6-dev ca-certificates
MUSL_PACKAGES := rustc-web cargo-web rust-web-src musl-tools gcc libc6-dev binutils ca-certificates

# The first cargo of at least the version Cargo.toml names.
RUST_VERSION := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
CARGO := $(shell for cargo in cargo /usr/bin/cargo; do \
	version=$$($$cargo --version 2>/dev/null | cut -d' ' -f2); \
	[ -n "$$version" ] && printf '%s\n' $(RUST_VERSION) "$$version" | sort -CV && echo $$cargo && exit; done; echo /usr/bin/cargo)
NEXTEST = $(if $(shell command -v cargo-nextest),$(CARGO) nextest,PATH="$(CURDIR)/target/tools/bin:$$PATH" $(CARGO) nextest)

# $(call install,PACKAGES): Debian packages, only those that are missing.
install = @bash image/install-packages.sh $(1)

# $(call stage,WHAT): a line before a part of the work that takes a while.
stage = @echo "==> $(1)"

# Fetches Debian packages into the working folder. As root: apt's own user reaches no folder below
# root's, and says so each time.
DOWNLOAD := apt-get -qq -o APT::Sandbox::User=root download

.PHONY: rust nextest agent bloat
rust:
	@$(CARGO) --version >/dev/null 2>&1 || { $(MAKE) --no-print-directory rust-packages; }
	@cc --version >/dev/null 2>&1 || { $(MAKE) --no-print-directory rust-packages; }

.PHONY: rust-packages musl-packages
rust-packages:
	$(call install,$(RUST_PACKAGES))

musl-packages:
	$(call install,$(MUSL_PACKAGES))

# Not optimised: that takes minutes longer to build, and it only waits for tests.
nextest: rust
	@$(NEXTEST) --version >/dev/null 2>&1 || { echo "==> tests: building cargo-nextest, once (about 3 minutes)"; \
		CARGO_PROFILE_DEV_DEBUG=0 $(CARGO) install --debug --quiet --locked --root target/tools cargo-nextest; }

# No panic passes through C: the tables for it would be a tenth of a megabyte that nothing reads.
C_FLAGS := -fno-asynchronous-unwind-tables -fno-unwind-tables

# rustup's musl target where there is one.
RUSTUP_MUSL := $(shell rustup target list --installed 2>/dev/null | grep -x x86_64-unknown-linux-musl)

# The static binary, however it is built; flags of cargo's may follow. The standard library comes without what reads symbols for back
# traces: the binary has none, and that would be two tenths of a megabyte.
ifneq ($(RUSTUP_MUSL),)
AGENT_NEEDS := rust
BUILD_AGENT = CFLAGS_x86_64_unknown_linux_musl="$(C_FLAGS)" $(CARGO) build --release --target x86_64-unknown-linux-musl
else
AGENT_NEEDS := musl-packages target/musl/libunwind.a
BUILD_AGENT = CC_x86_64_unknown_linux_musl=musl-gcc RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc \
	CFLAGS_x86_64_unknown_linux_musl="$(C_FLAGS)" \
	CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER=$(CURDIR)/image/musl/static-pie-gcc \
	CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS="-Clink-self-contained=no -Crelocation-model=pie -Ctarget-feature=+crt-static -Ltarget/musl" \
	/usr/bin/cargo build --release --target x86_64-unknown-linux-musl -Zbuild-std=std,panic_unwind -Zbuild-std-features=panic-unwind
endif

agent: $(AGENT_NEEDS) ## The static binary
	$(call stage,agent: building the static binary (about $(if $(RUSTUP_MUSL),5,7) minutes the first time))
	@$(BUILD_AGENT)

# Symbols are cut off when all is linked: the code is the agent's, byte for byte.
bloat: $(AGENT_NEEDS) ## Whose the bytes of the static binary are: by section, by crate and by room (builds it with symbols, once)
	$(call install,binutils)
	$(call stage,bloat: building the static binary with its symbols (as long as the agent takes))
	@$(BUILD_AGENT) --quiet --config profile.release.strip=false --target-dir target/bloat
	@$(CARGO) run --quiet --example bloat -- target/bloat/x86_64-unknown-linux-musl/release/ferrite

# Debian's own static libunwind, unpacked rather than installed (it would push other packages out), with the one symbol of
# glibc's that it wants.
target/musl/libunwind.a: image/musl/fprintf_chk.c | musl-packages
	@mkdir -p target/musl
	@cd target/musl && $(DOWNLOAD) libunwind-19-dev && dpkg-deb --fsys-tarfile libunwind-19-dev_*.deb | \
		tar -xO ./usr/lib/llvm-19/lib/libunwind.a > libunwind.a.new && rm libunwind-19-dev_*.deb
	@musl-gcc -O2 -c $< -o target/musl/fprintf_chk.o
	@ar r target/musl/libunwind.a.new target/musl/fprintf_chk.o
	@mv target/musl/libunwind.a.new $@
