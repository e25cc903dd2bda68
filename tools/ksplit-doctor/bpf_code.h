/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_DOCTOR_BPF_CODE_H
#define KSPLIT_DOCTOR_BPF_CODE_H

#include <linux/bpf.h>
#include <stddef.h>

/* Instructions of the small programs that attempts load (Documentation/bpf/instruction-set). */
#define BPF_INSN(op, dst, src, offset, value) \
	((struct bpf_insn){ \
		.code = (op), .dst_reg = (dst), .src_reg = (src), .off = (offset), .imm = (value)})

#define BPF_SET(dst, value)  BPF_INSN(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, value)
#define BPF_COPY(dst, src)   BPF_INSN(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define BPF_PLUS(dst, value) BPF_INSN(BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, value)
#define BPF_LOAD(dst, src, offset) \
	BPF_INSN(BPF_LDX | BPF_MEM | BPF_W, dst, src, offset, 0)
#define BPF_STORE(dst, src, offset) \
	BPF_INSN(BPF_STX | BPF_MEM | BPF_W, dst, src, offset, 0)
#define BPF_ZERO(dst, offset) BPF_INSN(BPF_ST | BPF_MEM | BPF_W, dst, 0, offset, 0)
#define BPF_COUNT(dst, src)   BPF_INSN(BPF_STX | BPF_XADD | BPF_DW, dst, src, 0, 0)
#define BPF_UNLESS(dst, value, offset) \
	BPF_INSN(BPF_JMP | BPF_JNE | BPF_K, dst, 0, offset, value)
#define BPF_IF(dst, value, offset) BPF_INSN(BPF_JMP | BPF_JEQ | BPF_K, dst, 0, offset, value)
#define BPF_CALL_HELPER(number)	   BPF_INSN(BPF_JMP | BPF_CALL, 0, 0, 0, number)
#define BPF_LEAVE()		   BPF_INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
/* Two instructions: a map's descriptor. */
#define BPF_MAP(dst, fd) \
	BPF_INSN(BPF_LD | BPF_IMM | BPF_DW, dst, BPF_PSEUDO_MAP_FD, 0, fd), BPF_INSN(0, 0, 0, 0, 0)

#define BPF_LENGTH(code) (sizeof(code) / sizeof((code)[0]))

/*
 * Load a program (licence GPL). `attach` is its expected attach type or 0, `btf_id` the function
 * that a tracing program is for or 0. A descriptor or -errno.
 */
int bpf_code_load(enum bpf_prog_type type, enum bpf_attach_type attach, unsigned int btf_id,
		  const struct bpf_insn *code, size_t len);

/* An array of one 64-bit counter. A descriptor or -errno. */
int bpf_counter_make(void);

/* Its value, 0 when it cannot be read. */
unsigned long long bpf_counter_read(int fd);

/* Hang a program into a cgroup until the process ends. 0 or -errno. */
int bpf_link_hang(int program, int cgroup, enum bpf_attach_type attach);

#endif
