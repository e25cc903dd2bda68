# SPDX-License-Identifier: GPL-2.0-or-later
# Compiler, flags and libraries. SANITIZE=address,undefined makes the sanitizer build.

CC       ?= cc
PKGS     := libssl libcrypto libmnl libcjson libbpf libnghttp2 libmicrohttpd libcurl libnftables \
            libseccomp libcap-ng
# The service manager is told what happens, where its library is.
ifneq ($(shell pkg-config --exists libsystemd 2>/dev/null && echo y),)
PKGS     += libsystemd
CPPFLAGS += -DKSPLIT_SYSTEMD
endif
# Debian 12's libcjson has its header in a folder of its own and pkg-config names it.
LIB_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS       := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lhttp_parser -lm -lpthread

CPPFLAGS += -D_GNU_SOURCE -Iinclude -Iuser -I$(BUILD)/bpf $(LIB_CFLAGS)
CFLAGS   ?= -O2 -g
CFLAGS   += -std=c11 -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wpointer-arith -Wwrite-strings -Wformat=2 -fno-strict-aliasing -fno-common \
            -fstack-protector-strong -fPIE
LDFLAGS  += -pie -Wl,-z,relro,-z,now

ifneq ($(SANITIZE),)
CFLAGS  += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS += -fsanitize=$(SANITIZE)
else
CPPFLAGS += -D_FORTIFY_SOURCE=2
endif
