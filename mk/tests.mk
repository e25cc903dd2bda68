# SPDX-License-Identifier: GPL-2.0-or-later
# `make test` is what CI runs; the other targets run one part of it.

UNIT_SRC  := $(wildcard tests/unit/test_*.c)
UNIT_BIN  := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_SRC))

$(BUILD)/tests/%: tests/unit/%.c $(LIBKSPLIT)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests/unit $(CFLAGS) -MMD -MP -MF $(BUILD)/tests/$*.d $(LDFLAGS) -o $@ $< $(LIBKSPLIT) $(LIBS) -lcmocka

# Programs that system tests drive.
TOOL_BIN  := $(patsubst tests/tools/%.c,$(BUILD)/tests/tools/%,$(wildcard tests/tools/*.c))

$(BUILD)/tests/tools/%: tests/tools/%.c $(LIBKSPLIT)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -MF $(BUILD)/tests/tools/$*.d $(LDFLAGS) -o $@ $< $(LIBKSPLIT) $(LIBS)

# Clients in other languages, where their compilers are: without one its tests are skipped.
TOOL_BIN  += $(if $(shell command -v go),$(BUILD)/tests/tools/interop_client)
TOOL_BIN  += $(if $(shell command -v javac),$(BUILD)/tests/tools/InteropClient.class)

$(BUILD)/tests/tools/interop_client: tests/tools/interop_client.go
	@mkdir -p $(@D)
	GO111MODULE=off GOCACHE=$(abspath $(BUILD))/go-cache go build -o $@ $<

$(BUILD)/tests/tools/InteropClient.class: tests/tools/InteropClient.java
	@mkdir -p $(@D)
	javac -Xlint:all -Werror -d $(@D) $<

.PHONY: test unit unit-build test-tools asan vm-shell

## test-tools: build the programs that system tests drive
test-tools: $(TOOL_BIN)

## unit-build: build the unit tests
unit-build: $(UNIT_BIN) test-tools

## unit: run the unit tests
unit: unit-build
	@tests/run unit

## asan: build with AddressSanitizer and UndefinedBehaviorSanitizer into build/asan
asan:
	@$(MAKE) --no-print-directory BUILD=build/asan SANITIZE=address,undefined all unit-build

## test: every test: unit, system, test VMs, sanitizers (installs packages, needs root)
test:
	@tools/setup build test vm
	@tests/run all

## vm-shell KERNEL=6.12: a prompt in the test VM
vm-shell:
	@tests/vm/shell $(or $(KERNEL),6.12)
