# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the measuring ends; tests/bench/bench calls it from the top of the tree.

BUILD ?= build
.DEFAULT_GOAL := bench-load

include mk/flags.mk

LOAD_SRC := $(wildcard tests/bench/load/*.c)
LOAD_BIN := $(BUILD)/bench/load

.PHONY: bench-load
bench-load: $(LOAD_BIN)

$(LOAD_BIN): $(LOAD_SRC) tests/bench/load/load.h tests/bench/load/api.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $(LOAD_SRC) -lssl -lcrypto
