# SPDX-License-Identifier: GPL-2.0-or-later
# ksplit: see `make help`. Helpers live in mk/, everything built goes to build/.

BUILD  ?= build
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc

.DEFAULT_GOAL := all

include mk/flags.mk
include mk/bpf.mk
include mk/programs.mk
include mk/tests.mk
include mk/install.mk

.PHONY: all demo bench clean help

## all: build ksplitd, ksplit-status, ksplit-ca and ksplit-doctor
all: $(PROGRAMS)

## demo: watch real calls pass through ksplit with kernel TLS (installs packages, needs root)
demo:
	@tools/setup build test vm
	@$(MAKE) --no-print-directory -s all
	@tools/demo/demo

## bench: the proxy's CPU time and memory beside sslsplit and nginx (installs packages, needs root)
bench:
	@tools/setup build test vm bench
	@$(MAKE) --no-print-directory -s all
	@tests/bench/bench

## clean: remove everything built
clean:
	rm -rf build

## help: this list
help:
	@sed -n 's/^## //p' Makefile mk/*.mk | awk -F': ' '{printf "  make %-22s %s\n", $$1, $$2}'
