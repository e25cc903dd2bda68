# SPDX-License-Identifier: GPL-2.0-or-later
# `make test` is what CI runs; the other targets run one part of it.

UNIT_SRC  := $(wildcard tests/unit/test_*.c)
UNIT_BIN  := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_SRC))

$(BUILD)/tests/%: tests/unit/%.c $(LIBKSPLIT)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests/unit $(CFLAGS) -MMD -MP -MF $(BUILD)/tests/$*.d $(LDFLAGS) -o $@ $< $(LIBKSPLIT) $(LIBS) -lcmocka

.PHONY: test unit unit-build asan vm-shell

## unit-build: build the unit tests
unit-build: $(UNIT_BIN)

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
