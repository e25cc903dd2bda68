# SPDX-License-Identifier: GPL-2.0-or-later
"""Does the running kernel's BPF do it? As in kernel_try: the real thing, with programs of a few
instructions and bpf(2) itself. Returns True, or raises the OSError that the kernel gave."""

import ctypes
import errno
import os
import re
import resource
import socket
import struct
import subprocess
from contextlib import contextmanager, suppress

from .cgroups import Cgroup, connect_inside, own_name
from .kernel_try import (AES128_GCM, SOL_TLS, TCP_ULP, TLS12, TLS_TX, keyed_pair, keys,
                         sock_diag_query, tcp_pair)
from .process import ENV

SYS_BPF = 321  # x86-64
MAP_CREATE, MAP_LOOKUP, MAP_UPDATE, PROG_LOAD, PROG_ATTACH = 0, 1, 2, 5, 8
RAW_TRACEPOINT_OPEN, LINK_CREATE = 17, 28
MAP_ARRAY, MAP_SOCKHASH, MAP_RINGBUF = 2, 18, 27
PROG_SOCKET_FILTER, PROG_SOCK_OPS, PROG_SK_MSG, PROG_SOCK_ADDR, PROG_TRACING = 1, 13, 16, 18, 26
ATTACH_SOCK_OPS, ATTACH_SK_MSG, ATTACH_CONNECT4, ATTACH_FEXIT = 3, 7, 10, 25
ATTACH_GETPEERNAME4 = 29
HELPER_LOOKUP, HELPER_NETNS_COOKIE, HELPER_LOOP = 1, 122, 181
TCP_CONNECT_CB = 3
INET_DIAG_CGROUP_ID = 21
SO_NETNS_COOKIE = 71

_libc = ctypes.CDLL(None, use_errno=True)

# Before 5.11 maps and programs count as locked memory, all of a user's together; later kernels do
# not care, whether they allow this or not.
with suppress(ValueError, OSError):
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def bpf(command, attributes):
    """bpf(2): a descriptor or 0."""
    room = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    done = _libc.syscall(SYS_BPF, command, ctypes.byref(room), len(room))
    if done < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return done


@contextmanager
def closing(descriptor):
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def instruction(code, target=0, source=0, offset=0, immediate=0):
    return struct.pack("=BBhi", code, source << 4 | target, offset, immediate)


def returns(value):
    """r0 = value; exit"""
    return instruction(0xb7, immediate=value) + instruction(0x95)


def program_load(kind, code, attach=0, function=0, log=None):
    text = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(b"GPL")
    return closing(bpf(PROG_LOAD, struct.pack(
        "=IIQQIIQII16sIIIIQIIQII", kind, len(code) // 8, ctypes.addressof(text),
        ctypes.addressof(licence), 1 if log else 0, len(log) if log else 0,
        ctypes.addressof(log) if log else 0, 0, 0, b"ksplit_try", 0, attach, 0, 0, 0, 0, 0, 0, 0,
        function)))


def count_connects(counts):
    """if (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB) counts[0]++; return 1;"""
    return (instruction(0x61, target=6, source=1) +                         # r6 = ctx->op
            instruction(0x62, target=10, offset=-4) +                       # key = 0
            instruction(0xbf, target=2, source=10) +
            instruction(0x07, target=2, immediate=-4) +                     # r2 = &key
            instruction(0x18, target=1, source=1, immediate=counts) + instruction(0) +
            instruction(0x85, immediate=HELPER_LOOKUP) +
            instruction(0x15, offset=3) +                                   # none
            instruction(0x55, target=6, offset=2, immediate=TCP_CONNECT_CB) +
            instruction(0xb7, target=1, immediate=1) +
            instruction(0xdb, target=0, source=1) +                         # atomic add
            returns(1))


def map_read(descriptor):
    key, value = ctypes.c_uint32(0), ctypes.c_uint64(0)
    bpf(MAP_LOOKUP, struct.pack("=IIQQQ", descriptor, 0, ctypes.addressof(key),
                                ctypes.addressof(value), 0))
    return value.value


def map_create(kind, key, value, entries):
    return closing(bpf(MAP_CREATE, struct.pack("=IIIII", kind, key, value, entries, 0)))


def link_create(program, target, attach):
    return closing(bpf(LINK_CREATE, struct.pack("=IIII", program, target, attach, 0)))


def ring_buffer():
    with map_create(MAP_RINGBUF, 0, 0, 4096):
        return os.path.exists("/sys/kernel/btf/vmlinux")


def sock_ops_link():
    """A program sees the connections of its cgroup: it counts a call for each one that connects."""
    with Cgroup(own_name("try")) as group, map_create(MAP_ARRAY, 4, 8, 1) as counts, \
            program_load(PROG_SOCK_OPS, count_connects(counts)) as program:
        with closing(os.open(group.path, os.O_RDONLY)) as cgroup, \
                link_create(program, cgroup, ATTACH_SOCK_OPS), \
                socket.create_server(("127.0.0.1", 0)) as server:
            connected = connect_inside(group, server.getsockname()[1]) == 0
            return connected and map_read(counts) == 1


def connect_hook():
    """A hook that says no is obeyed by processes in its cgroup, until its link is closed."""
    with Cgroup(own_name("try")) as group, socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with program_load(PROG_SOCK_ADDR, returns(0), ATTACH_CONNECT4) as program:
            with closing(os.open(group.path, os.O_RDONLY)) as cgroup:
                with link_create(program, cgroup, ATTACH_CONNECT4):
                    refused = connect_inside(group, port)
        return refused == errno.EPERM and connect_inside(group, port) == 0


def port_changer(attach, old, new):
    """if (ctx->user_port == old) ctx->user_port = new; return 1;"""
    return program_load(PROG_SOCK_ADDR, (
        instruction(0x61, target=2, source=1, offset=24) +              # r2 = ctx->user_port
        instruction(0x55, target=2, offset=2, immediate=socket.htons(old)) +
        instruction(0xb7, target=3, immediate=socket.htons(new)) +
        instruction(0x63, target=1, source=3, offset=24) +
        returns(1)), attach)


def steering():
    """A call is led to another port, and its caller is told the one that it meant."""
    with Cgroup(own_name("try")) as group, socket.create_server(("127.0.0.1", 0)) as server:
        there = server.getsockname()[1]
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))  # and does not listen
            meant = sock.getsockname()[1]
            with port_changer(ATTACH_CONNECT4, meant, there) as connect, \
                    port_changer(ATTACH_GETPEERNAME4, there, meant) as getpeer, \
                    closing(os.open(group.path, os.O_RDONLY)) as cgroup, \
                    link_create(connect, cgroup, ATTACH_CONNECT4), \
                    link_create(getpeer, cgroup, ATTACH_GETPEERNAME4):
                steered = connect_inside(group, meant) == 0
            return steered and connect_inside(group, meant) == errno.ECONNREFUSED


def function_id(name):
    """The number of a kernel function in the kernel's own BTF."""
    dump = subprocess.run(["bpftool", "btf", "dump", "file", "/sys/kernel/btf/vmlinux"], env=ENV,
                          capture_output=True, text=True, timeout=120, check=False)
    found = re.search(rf"^\[(\d+)\] FUNC '{name}'", dump.stdout, re.M)
    if not found:
        raise OSError(errno.ENOENT, f"no BTF of {name}: {dump.stderr}")
    return int(found.group(1))


def function_exit():
    """A tracing program at the exit of inet_sendmsg, attached while bytes are sent."""
    with program_load(PROG_TRACING, returns(0), ATTACH_FEXIT, function_id("inet_sendmsg")) as fd:
        with closing(bpf(RAW_TRACEPOINT_OPEN, struct.pack("=QII", 0, fd, 0))):
            with tcp_pair(ulp=False) as (sender, receiver):
                sender.sendall(b"traced")
                return receiver.recv(100) == b"traced"


def helper_loop():
    """Called with nothing that it takes: the verifier complains of that, or of the helper."""
    log = ctypes.create_string_buffer(65536)
    code = instruction(0x85, immediate=HELPER_LOOP) + returns(0)
    try:
        with program_load(PROG_SOCKET_FILTER, code, log=log):
            return False
    except OSError as error:
        if b"invalid func" in log.value or b"unknown func" in log.value:
            raise OSError(errno.EINVAL, log.value.decode()) from error
        return b"R1" in log.value


def sock_ops_netns():
    """sock_ops may ask for the network namespace's cookie, and a socket tells it too."""
    code = instruction(0x85, immediate=HELPER_NETNS_COOKIE) + returns(1)
    with program_load(PROG_SOCK_OPS, code), socket.socket() as sock:
        return sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8) != bytes(8)


def sk_msg_verdict():
    """A program that drops is obeyed on a socket in a sockhash, and on no other."""
    with map_create(MAP_SOCKHASH, 4, 4, 16) as sockets:
        with program_load(PROG_SK_MSG, returns(0)) as program:
            bpf(PROG_ATTACH, struct.pack("=IIII", sockets, program, ATTACH_SK_MSG, 0))
            with tcp_pair(ulp=False) as (sender, receiver):
                key = ctypes.c_uint32(1)
                value = ctypes.c_uint32(sender.fileno())
                bpf(MAP_UPDATE, struct.pack("=IIQQQ", sockets, 0, ctypes.addressof(key),
                                            ctypes.addressof(value), 0))
                receiver.sendall(b"passes")
                if sender.recv(100) != b"passes":
                    return False
                try:
                    sender.sendall(b"dropped")
                except PermissionError:
                    return True
    return False


def sk_msg_beside_ktls():
    """Does a socket that is in a sockhash take the keys of kernel TLS? False: this kernel keeps the
    two apart (EINVAL), though it takes the same keys from a socket that is not."""
    with keyed_pair():
        pass
    with map_create(MAP_SOCKHASH, 4, 4, 16) as sockets, tcp_pair(ulp=False) as (sock, _):
        key, value = ctypes.c_uint32(1), ctypes.c_uint32(sock.fileno())
        bpf(MAP_UPDATE, struct.pack("=IIQQQ", sockets, 0, ctypes.addressof(key),
                                    ctypes.addressof(value), 0))
        try:
            sock.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
            sock.setsockopt(SOL_TLS, TLS_TX, keys(TLS12, AES128_GCM))
            return True
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return False


def diag_cgroup():
    """sock_diag tells the cgroup that a socket was made in."""
    with tcp_pair(ulp=False) as (sock, _):
        told = sock_diag_query(sock).get(INET_DIAG_CGROUP_ID, b"")
    return len(told) == 8 and told != bytes(8)


def bpffs():
    done = subprocess.run(["unshare", "-m", "mount", "-t", "bpf", "bpf", "/sys/fs/bpf"], env=ENV,
                          capture_output=True, check=False)
    return done.returncode == 0
