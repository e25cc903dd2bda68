# SPDX-License-Identifier: GPL-2.0-or-later
# Every bpf/*.bpf.c is compiled by clang and linked into one CO-RE object; its skeleton, which holds
# that object, is a header that user/observe includes. The types come from the running kernel's BTF;
# relocations make them fit others (libbpf's "CO-RE").

BPF_CLANG  ?= clang
BPF_DIR    := $(BUILD)/bpf
BPF_SRC    := $(wildcard bpf/*.bpf.c)
BPF_OBJ    := $(patsubst bpf/%.bpf.c,$(BPF_DIR)/%.o,$(BPF_SRC))
BPF_SKEL   := $(BPF_DIR)/ksplit.skel.h
BPF_VMLINUX ?= /sys/kernel/btf/vmlinux
BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Werror -Wno-unused-parameter \
              -Iinclude -Ibpf -I$(BPF_DIR) -D__TARGET_ARCH_x86

$(BPF_DIR)/vmlinux.h:
	@mkdir -p $(@D)
	@test -r $(BPF_VMLINUX) || { echo "$(BPF_VMLINUX): not there; the kernel needs CONFIG_DEBUG_INFO_BTF," \
		"or name another kernel's BTF: make BPF_VMLINUX=FILE" >&2; exit 1; }
	bpftool btf dump file $(BPF_VMLINUX) format c >$@.new
	mv $@.new $@

$(BPF_DIR)/%.o: bpf/%.bpf.c $(BPF_DIR)/vmlinux.h
	$(BPF_CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(BPF_DIR)/$*.d -c -o $@ $<

$(BPF_DIR)/ksplit.o.linked: $(BPF_OBJ)
	bpftool gen object $@ $^

$(BPF_SKEL): $(BPF_DIR)/ksplit.o.linked
	bpftool gen skeleton $< name ksplit_bpf >$@.new
	mv $@.new $@
