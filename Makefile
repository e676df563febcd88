# Every target does its own set-up on a fresh Debian machine (as root, or through sudo) and says what it installs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help build demo test test-full test-kickstart test-anaconda bench fuzz lint clean

# In CI the compiled artefacts live outside the checkout, so that the next fresh clone finds them.
ifeq ($(CI),true)
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kickctl/target
endif
as_root := $(if $(filter 0,$(shell id -u)),,sudo -E)
export PATH := $(PATH):$(HOME)/.cargo/bin

help:        ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## */  make \1\t/p' Makefile | expand -t 20

build:       ## the release binary, in target/release
	cargo build --release --locked

demo:        ## watch an empty virtual machine install itself (DEMO_FIRMWARE=uefi, LOCAL_PACKAGES=DIR)
	tests/lab/demo.sh

# A script of the lab, as root, with the binary that the tests made.
lab = $(as_root) env PATH="$$PATH" KICKCTL="$${CARGO_TARGET_DIR:-$$PWD/target}/debug/kickctl" \
    NFS_EXPORT="$${CARGO_TARGET_DIR:-$$PWD/target}/debug/examples/nfs_export" tests/lab/$(1)

test:        ## unit and integration tests; then in QEMU both boot paths up to the installer, NFS, the four kinds of diskless nodes
	tests/lab/setup.sh test
	cargo test --locked
	$(call lab,test-boot.sh)
	$(call lab,test-nfs.sh)
	$(call lab,test-diskless.sh)

test-full: test  ## besides: errata of the real Debian 12, a refused disk, kickstart, installations that virtual BMCs mend, diskless nodes while the head changes, by dracut, a whole installation by BIOS, one whose plug is pulled and that mends itself, and one by UEFI with drift and a reinstallation
	cargo test --locked --test errata_real -- --ignored
	$(call lab,test-gate.sh)
	$(call lab,test-kickstart.sh)
	$(call lab,test-mending.sh)
	$(call lab,test-diskless-life.sh)
	$(call lab,test-diskless-dracut.sh)
	tests/lab/demo.sh
	DEMO_PULL=1 tests/lab/demo.sh
	DEMO_FIRMWARE=uefi DEMO_AGAIN=1 tests/lab/demo.sh

test-kickstart: ## a kickstart installation in QEMU with a stand-in for Anaconda: one succeeds, one fails, one is refused a disk
	tests/lab/setup.sh test
	cargo build --locked
	$(call lab,test-kickstart.sh)

test-anaconda:  ## the real Anaconda, from an installation DVD that you have: ISO=FILE (not run by us, see docs/profiles.md)
	tests/lab/setup.sh test
	$(as_root) env PATH="$$PATH" ISO="$(ISO)" ANACONDA_PROFILE="$(ANACONDA_PROFILE)" ANACONDA_FIRMWARE="$(ANACONDA_FIRMWARE)" tests/lab/test-anaconda.sh

bench:       ## kickctl against aptly, createrepo_c, apt-ftparchive, reprepro, nfs-ganesha; writes target/bench.json (BENCH_ROWS="deb_*")
	tests/lab/bench.sh

# cargo-fuzz wants a nightly compiler for its sanitizer flags; RUSTC_BOOTSTRAP lets the stable one take them.
FUZZ_SECONDS ?= 600
FUZZ_TARGETS ?= header repomd listings updateinfo comps modules treeinfo metalink nfs iso9660 lzma2
fuzz:        ## every parser of the RPM formats, of media, of short xz streams and of NFS calls against noise, FUZZ_SECONDS=600 each
	cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz
	for target in $(FUZZ_TARGETS); do \
	    mkdir -p fuzz/corpus/$$target; \
	    RUSTC_BOOTSTRAP=1 cargo fuzz run $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
	        -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=2048 -max_len=32000 -print_final_stats=1; \
	done

lint:        ## format, clippy, rustdoc, shellcheck, licences
	tests/lab/setup.sh test
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
	shellcheck -x -P . tests/lab/*.sh tests/lab/standin-anaconda/*.sh tests/lab/bench/*.sh .ci/run
	shellcheck -x -P . -e SC1091 src/image/guest/boot/*.sh src/image/guest/dracut/*.sh src/image/guest/agent/agent src/image/guest/agent/log src/image/guest/initramfs/hook src/image/guest/initramfs/kickctl
	if cargo deny --version >/dev/null 2>&1; then cargo deny check licenses; else echo "lint: cargo-deny is not installed; licences not checked"; fi

clean:       ## what was compiled and what the demo left
	cargo clean
	rm -rf target
