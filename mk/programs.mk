# SPDX-License-Identifier: GPL-2.0-or-later
# libksplit.a is everything of user/ but main, so that unit tests link what the daemon links.

MAIN_SRC   := user/core/main.c
LIB_SRC    := $(filter-out $(MAIN_SRC),$(wildcard user/*/*.c))
TOOL_LIB   := $(wildcard tools/lib/*.c)
STATUS_SRC := $(wildcard tools/ksplit-status/*.c) $(TOOL_LIB)
DOCTOR_SRC := $(wildcard tools/ksplit-doctor/*.c) $(TOOL_LIB)
CA_SRC     := $(wildcard tools/ksplit-ca/*.c)

obj = $(patsubst %.c,$(BUILD)/%.o,$(1))

LIBKSPLIT := $(BUILD)/libksplit.a
PROGRAMS  := $(BUILD)/ksplitd $(BUILD)/ksplit-status $(BUILD)/ksplit-ca $(BUILD)/ksplit-doctor

# The web page is part of the program.
PAGE_OBJ  := $(BUILD)/user/export/web/page.o

$(PAGE_OBJ): user/export/web/page.S user/export/web/page.html
	@mkdir -p $(@D)
	$(CC) -c -o $@ $<

$(LIBKSPLIT): $(call obj,$(LIB_SRC)) $(PAGE_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/ksplitd: $(call obj,$(MAIN_SRC)) $(LIBKSPLIT)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/ksplit-status: $(call obj,$(STATUS_SRC))
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/ksplit-doctor: $(call obj,$(DOCTOR_SRC))
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

# Tools share what is in tools/lib, and include nothing of the daemon's.
$(sort $(call obj,$(STATUS_SRC) $(DOCTOR_SRC))): CPPFLAGS += -Itools/lib

$(BUILD)/ksplit-ca: $(call obj,$(CA_SRC))
	$(CC) $(LDFLAGS) -o $@ $^ -lcrypto

# Made before anything is compiled: who includes it is known only after the first compilation.
$(call obj,$(LIB_SRC) $(MAIN_SRC)): | $(BPF_SKEL)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
