#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the VM self-test looks at inside the guest: one line "ok NAME" or "bad NAME: why" each.

usage: guest_check.py KERNEL CWD
"""

import errno
import os
import re
import socket
import struct
import subprocess
import sys
import time

TCP_ULP = 31
SOL_TLS = 282
TLS_TX, TLS_RX = 1, 2
TLS_1_2_VERSION = 0x0303
TLS_CIPHER_AES_GCM_128 = 51
SOCK_DIAG_BY_FAMILY = 20
NETLINK_SOCK_DIAG = 4


def tcp_pair(family=socket.AF_INET, address="127.0.0.1"):
    """A connected pair of TCP sockets."""
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        listener.listen(1)
        client = socket.create_connection(listener.getsockname()[:2])
        return client, listener.accept()[0]


def ulp_error(sock):
    """The errno of attaching kernel TLS, 0 for success."""
    try:
        sock.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
        return 0
    except OSError as error:
        return error.errno


def check_command_line(_kernel, cwd):
    assert os.getcwd() == cwd, f"cwd is {os.getcwd()}"
    assert os.environ["KSPLIT_OUT"] == "/out", "KSPLIT_OUT"
    assert os.environ["CHECK"] == "a b'c", f"CHECK is {os.environ['CHECK']!r}"


def check_release(kernel, _cwd):
    release = os.uname().release
    assert release.startswith(kernel + "."), f"running {release}"


def check_out_folder(kernel, _cwd):
    with open("/out/made-in-guest", "w", encoding="utf-8") as out:
        out.write(kernel)


def check_root_scratch(_kernel, cwd):
    path = os.path.join(cwd, "made-in-guest")
    with open(path, "w", encoding="utf-8") as out:
        out.write("not for the host")
    result = subprocess.run(["mount", "-o", "remount,rw", "/run/ksplit/host"], check=False)
    with open("/proc/mounts", encoding="utf-8") as mounts:
        assert any(line.startswith("overlay / ") for line in mounts), "no overlay"
    if result.returncode == 0:
        try:
            os.unlink("/run/ksplit/host/" + os.path.join(cwd, "run"))
            raise AssertionError("host file removed")
        except OSError as error:
            assert error.errno == errno.EROFS, str(error)


def check_loopback(_kernel, _cwd):
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        client, server = tcp_pair(family, address)
        client.sendall(b"x")
        assert server.recv(1) == b"x", address


def check_system(_kernel, _cwd):
    for path in ("/dev/pts", "/dev/shm", "/sys/fs/bpf", "/run", "/tmp", "/out"):
        assert os.path.ismount(path), f"{path} is no mount"
    assert os.path.exists("/sys/fs/cgroup/cgroup.controllers"), "no cgroup v2"
    assert socket.gethostname() == "ksplit-vm", socket.gethostname()
    assert len(os.getrandom(16, os.GRND_NONBLOCK)) == 16, "no entropy"
    assert os.system(": >/dev/stderr") == 0, "/dev/stderr"


def check_clock(_kernel, _cwd):
    start, mono = time.time(), time.monotonic()
    assert abs(start - float(os.environ["HOST_TIME"])) < 300, f"time is {start}"
    time.sleep(0.5)
    assert abs((time.time() - start) - (time.monotonic() - mono)) < 0.05, "clocks disagree"


def check_namespaces(_kernel, _cwd):
    script = ("ip link add ka type veth peer name kb && ip link add kd type dummy && "
              "nft add table inet k && "
              "nft 'add chain inet k c { type nat hook output priority 0; }' && "
              "nft add rule inet k c tcp dport 1 redirect to :2 && "
              "nft 'add chain inet k p { type filter hook prerouting priority -150; }' && "
              "nft add rule inet k p tcp dport 1 tproxy ip to 127.0.0.1:2 && "
              "nft add rule inet k p ct state established accept && "
              "nft add rule inet k p socket transparent 1 accept")
    result = subprocess.run(["unshare", "--net", "sh", "-c", script], check=False,
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stderr.strip()


def check_ulp(kernel, _cwd):
    client, _server = tcp_pair()
    wanted = errno.ENOENT if kernel == "5.10" else 0
    got = ulp_error(client)
    assert got == wanted, f"TCP_ULP gives {errno.errorcode.get(got, got)}"


def check_kernel_tls(kernel, _cwd):
    if kernel == "5.10":
        return
    info = struct.pack("=HH8s16s4s8s", TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128, os.urandom(8),
                       os.urandom(16), os.urandom(4), bytes(8))
    client, server = tcp_pair()
    assert ulp_error(client) == 0 and ulp_error(server) == 0
    client.setsockopt(SOL_TLS, TLS_TX, info)
    server.setsockopt(SOL_TLS, TLS_RX, info)
    data = os.urandom(100000)
    client.sendall(data)
    got = b""
    while len(got) < len(data):
        got += server.recv(65536)
    assert got == data, "bytes differ"
    with open("/proc/crypto", encoding="utf-8") as crypto:
        drivers = re.findall(r"^driver\s*: (\S*gcm\S*aes\S*|\S*aes-gcm\S*)", crypto.read(), re.M)
    assert any("aesni" in name or "vaes" in name for name in drivers), f"slow AES: {drivers}"
    with open("/proc/net/tls_stat", encoding="utf-8") as stat:
        assert "TlsCurrTxSw" in stat.read(), "no tls_stat"


def check_tcp_diag(_kernel, _cwd):
    _client, server = tcp_pair()
    port = server.getsockname()[1]
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as diag:
        diag.settimeout(5)
        request = struct.pack("=BBBxI48x", socket.AF_INET, socket.IPPROTO_TCP, 0xff, 0xffffffff)
        diag.send(struct.pack("=IHHII", 16 + len(request), SOCK_DIAG_BY_FAMILY, 0x301, 1, 0)
                  + request)
        answer = diag.recv(1 << 16)
    kind = struct.unpack_from("=H", answer, 4)[0]
    assert kind == SOCK_DIAG_BY_FAMILY, f"answer type {kind}"
    assert struct.pack(">H", port) in answer, "socket not listed"


def check_kernel_log(_kernel, _cwd):
    log = subprocess.run(["dmesg"], check=True, capture_output=True, text=True).stdout
    bad = [line for line in log.splitlines() if re.search(
        r"WARNING:|BUG:|Oops|Call Trace|general protection|refcount_t|hung task|rcu.*stall", line)]
    assert not bad, bad[0]


def main():
    kernel, cwd = sys.argv[1:]
    for name, function in list(globals().items()):
        if not name.startswith("check_"):
            continue
        title = name.removeprefix("check_").replace("_", " ")
        try:
            function(kernel, cwd)
            print("ok", title)
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            print(f"bad {title}: {type(error).__name__} {error}")


if __name__ == "__main__":
    main()
