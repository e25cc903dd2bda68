# SPDX-License-Identifier: GPL-2.0-or-later
"""Does the running kernel do it? Each function does the real thing on throw-away sockets (or in
a network namespace of its own) and returns True, or raises the OSError that the kernel gave."""

import errno
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
from contextlib import contextmanager, suppress

from . import cgroups
from .process import ENV

SOL_TLS, TLS_TX, TLS_RX, TLS_RX_EXPECT_NO_PAD, TLS_TX_MAX_PAYLOAD_LEN = 282, 1, 2, 4, 5
TLS_SET_RECORD_TYPE, TLS_GET_RECORD_TYPE = 1, 2
TCP_ULP = 31
TLS12, TLS13 = 0x0303, 0x0304
AES128_GCM, AES256_GCM, AES128_CCM, CHACHA20 = 51, 52, 53, 54
ALERT, HANDSHAKE, DATA = 21, 22, 23

# After struct tls_crypto_info: iv, key, salt, record sequence number (linux/tls.h).
LENGTHS = {AES128_GCM: (8, 16, 4, 8), AES256_GCM: (8, 32, 4, 8), AES128_CCM: (8, 16, 4, 8),
           CHACHA20: (12, 32, 0, 8)}


def keys(version, cipher, fill=1):
    """struct tls12_crypto_info_*: the same secret for both ends, sequence number 0."""
    iv, key, salt, seq = LENGTHS[cipher]
    return struct.pack("=HH", version, cipher) + bytes([fill]) * (iv + key + salt) + bytes(seq)


@contextmanager
def tcp_pair(ulp=True):
    """Two ends of one connection, with the TLS ULP on both."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client:
            accepted, _ = server.accept()
            with accepted:
                for sock in (client, accepted):
                    sock.settimeout(10)
                    if ulp:
                        sock.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
                yield client, accepted


def ulp():
    with tcp_pair():
        return True


def transmit(version=TLS12, cipher=AES128_GCM):
    """A record goes out encrypted: header and overhead are there, the text is not."""
    with tcp_pair() as (sender, receiver):
        sender.setsockopt(SOL_TLS, TLS_TX, keys(version, cipher))
        sender.sendall(b"plain text")
        record = receiver.recv(100)
        return record[:1] == b"\x17" and len(record) > 10 + 5 and b"plain text" not in record


def receive(version=TLS12, cipher=AES128_GCM):
    with keyed_pair(version, cipher) as (sender, receiver):
        sender.sendall(b"plain text")
        return receiver.recv(100) == b"plain text"


@contextmanager
def keyed_pair(version=TLS13, cipher=AES128_GCM):
    with tcp_pair() as (sender, receiver):
        sender.setsockopt(SOL_TLS, TLS_TX, keys(version, cipher))
        receiver.setsockopt(SOL_TLS, TLS_RX, keys(version, cipher))
        yield sender, receiver


def tls_splice():
    """Decrypted bytes by splice into a pipe and from there, encrypted again, into a socket."""
    with keyed_pair() as (first, middle_in), keyed_pair() as (middle_out, last):
        read_end, write_end = os.pipe()
        try:
            first.sendall(b"through the pipe")
            n = os.splice(middle_in.fileno(), write_end, 16384)
            return n == 16 and os.splice(read_end, middle_out.fileno(), n) == n and \
                last.recv(100) == b"through the pipe"
        finally:
            os.close(read_end)
            os.close(write_end)


def record_send(sock, kind, payload):
    sock.sendmsg([payload], [(SOL_TLS, TLS_SET_RECORD_TYPE, bytes([kind]))])


def record_receive(sock):
    payload, ancillary, _, _ = sock.recvmsg(1000, socket.CMSG_SPACE(1))
    kinds = [data[0] for level, kind, data in ancillary
             if (level, kind) == (SOL_TLS, TLS_GET_RECORD_TYPE)]
    return kinds[0] if kinds else None, payload


def control_records():
    with keyed_pair() as (sender, receiver):
        record_send(sender, ALERT, b"\x01\x00")
        return record_receive(receiver) == (ALERT, b"\x01\x00")


def rekey():
    """A KeyUpdate and new keys on both ends, as RFC 8446 4.6.3 has it."""
    with keyed_pair() as (sender, receiver):
        record_send(sender, HANDSHAKE, b"\x18\0\0\x01\0")
        sender.setsockopt(SOL_TLS, TLS_TX, keys(TLS13, AES128_GCM, fill=2))
        sender.sendall(b"under new keys")
        assert record_receive(receiver) == (HANDSHAKE, b"\x18\0\0\x01\0")
        receiver.setblocking(False)  # poll(2) does not wake up for this error
        try:
            receiver.recv(100)
            raise AssertionError("a read after KeyUpdate did not wait for the new keys")
        except OSError as error:
            assert error.errno == errno.EKEYEXPIRED, error
        receiver.setsockopt(SOL_TLS, TLS_RX, keys(TLS13, AES128_GCM, fill=2))
        receiver.settimeout(10)
        return receiver.recv(100) == b"under new keys"


def limit_records():
    """No record is larger than what is asked for, set before the keys are there."""
    with tcp_pair() as (sender, receiver):
        sender.setsockopt(SOL_TLS, TLS_TX_MAX_PAYLOAD_LEN, struct.pack("=H", 512))
        sender.setsockopt(SOL_TLS, TLS_TX, keys(TLS13, AES128_GCM))
        sender.sendall(bytes(1024))
        # Header, text, its kind, tag (RFC 8446 5.2).
        return receiver.recv(5) == b"\x17\x03\x03" + struct.pack(">H", 512 + 1 + 16)


def expect_no_pad():
    with keyed_pair() as (_, receiver):
        receiver.setsockopt(SOL_TLS, TLS_RX_EXPECT_NO_PAD, struct.pack("=i", 1))
        return True


def stat_read():
    with open("/proc/net/tls_stat", encoding="ascii") as lines:
        return {name: int(value) for name, value in map(str.split, lines)}


def stat_counts():
    """The counter moves with a socket whose keys the kernel takes."""
    with tcp_pair(ulp=False):
        before = stat_read() if os.path.exists("/proc/net/tls_stat") else None
    with keyed_pair():
        if before is None:
            before = dict.fromkeys(stat_read(), 0)
            return stat_read()["TlsRxSw"] >= 1
        return stat_read()["TlsRxSw"] >= before["TlsRxSw"] + 1


NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, NLMSG_ERROR = 4, 20, 1, 2
INET_DIAG_INFO, INET_DIAG_ULP_INFO, INET_ULP_INFO_NAME, INET_ULP_INFO_TLS = 2, 19, 1, 2


def attributes(data):
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            break
        found[kind & 0x3fff] = data[4:length]
        data = data[(length + 3) & ~3:]
    return found


def sock_diag_query(sock):
    """Attributes that the kernel tells of one connected IPv4 socket (sock_diag(7))."""
    (local, local_port), (remote, remote_port) = sock.getsockname(), sock.getpeername()
    ident = struct.pack("!HH", local_port, remote_port) + socket.inet_aton(local).ljust(16, b"\0") + \
        socket.inet_aton(remote).ljust(16, b"\0") + struct.pack("=III", 0, 2**32 - 1, 2**32 - 1)
    request = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP,
                          1 << (INET_DIAG_INFO - 1), 0, 2**32 - 1) + ident
    header = struct.pack("=IHHII", 16 + len(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as netlink:
        netlink.settimeout(10)
        netlink.send(header + request)
        answer = netlink.recv(65536)
    if struct.unpack_from("=H", answer, 4)[0] == NLMSG_ERROR:
        number = -struct.unpack_from("=i", answer, 16)[0]
        raise OSError(number, os.strerror(number))
    return attributes(answer[16 + 72:])


def tcp_diag():
    with tcp_pair(ulp=False) as (sock, _):
        return len(sock_diag_query(sock)[INET_DIAG_INFO]) >= 104


def ulp_info():
    with keyed_pair() as (sender, receiver):
        for sock, conf in ((sender, 3), (receiver, 4)):
            told = attributes(sock_diag_query(sock).get(INET_DIAG_ULP_INFO, b""))
            tls = attributes(told.get(INET_ULP_INFO_TLS, b""))
            if told.get(INET_ULP_INFO_NAME) != b"tls\0" or \
                    tls.get(1) != struct.pack("=H", TLS13) or \
                    tls.get(2) != struct.pack("=H", AES128_GCM) or \
                    tls.get(conf) != struct.pack("=H", 2):
                return False
        return True


def ciphers_fast():
    """Is the AES-GCM that kernel TLS gets one of the CPU's own instructions?"""
    subprocess.run(["modprobe", "--quiet", "aesni_intel"], env=ENV, check=False)
    with open("/proc/crypto", encoding="ascii") as crypto:
        return any(line.startswith("driver") and ("gcm-aesni" in line or "gcm-vaes" in line)
                   for line in crypto)


def epoll():
    with select.epoll(flags=select.EPOLL_CLOEXEC):
        return True


def reuseport():
    with socket.socket() as first, socket.socket() as second:
        for sock in (first, second):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        first.bind(("127.0.0.1", 0))
        second.bind(first.getsockname())
        first.listen()
        second.listen()
        return True


def plain_splice():
    with tcp_pair(ulp=False) as (first, middle_in), tcp_pair(ulp=False) as (middle_out, last):
        read_end, write_end = os.pipe()
        try:
            first.sendall(b"raw")
            n = os.splice(middle_in.fileno(), write_end, 100)
            return os.splice(read_end, middle_out.fileno(), n) == 3 and last.recv(10) == b"raw"
        finally:
            os.close(read_end)
            os.close(write_end)


def pipe_size():
    read_end, write_end = os.pipe()
    try:
        return fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 131072) == 131072
    finally:
        os.close(read_end)
        os.close(write_end)


def ipv6():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        with socket.create_connection(server.getsockname()[:2]):
            return True


def in_namespace(function):
    """Run one of these functions, by name, in a network namespace of its own."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    code = f"import sys; sys.path.insert(0, {here!r})\n" \
           f"from lib import kernel_try\nsys.exit(0 if kernel_try.{function}() else 1)"
    done = subprocess.run(["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh",
                           sys.executable, "-B", "-c", code],
                          env=ENV, capture_output=True, text=True, timeout=60, check=False)
    print(done.stderr)  # shown by pytest when the test fails
    return done.returncode == 0


def nft(text):
    done = subprocess.run(["nft", "-f", "-"], input=text, env=ENV, text=True, check=False,
                          capture_output=True)
    if done.returncode != 0:
        raise OSError(errno.EOPNOTSUPP, done.stderr)


def redirect_inside(family=socket.AF_INET):
    """A REDIRECT rule takes a call elsewhere, and the socket still knows where it was to go."""
    host, level, table = (("127.0.0.1", socket.SOL_IP, "ip") if family == socket.AF_INET
                          else ("::1", 41, "ip6"))
    with socket.create_server((host, 0), family=family) as server:
        port = server.getsockname()[1]
        nft(f"table {table} try {{ chain out {{ type nat hook output priority -100; "
            f"tcp dport 4443 redirect to :{port}; }}; }}")
        with socket.create_connection((host, 4443), timeout=10):
            accepted, _ = server.accept()
            with accepted:
                wanted = accepted.getsockopt(level, 80, 28)  # SO_ORIGINAL_DST
    return struct.unpack_from("!H", wanted, 2)[0] == 4443


def redirect6_inside():
    return redirect_inside(socket.AF_INET6)


def tproxy_inside():
    """The rule is taken, and a listener may bind to an address that is not the machine's."""
    nft("table ip try { chain pre { type filter hook prerouting priority -150; "
        "tcp dport 4443 tproxy to :8443 meta mark set 1; }; }")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_IP, 19, 1)  # IP_TRANSPARENT
        sock.bind(("192.0.2.1", 4443))
    return True


def connects(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def led(match="", target="redirect to ", call=connects, more=""):
    """Is a call that matches led to a listener, by a table of both families (with `more` in it)?"""
    with socket.create_server(("127.0.0.1", 0)) as server:
        nft("flush ruleset; table inet try { " + more +
            "chain out { type nat hook output priority -101; "
            f"{match} tcp dport 4443 {target}:{server.getsockname()[1]}; }}; }}")
        return call(4443)


def inet_inside():
    return led()


def dnat_inside():
    return led(target="dnat ip to 127.0.0.1")


def fib_inside():
    return led("fib daddr type local") and not led("fib daddr type unicast")


def socket_mark_inside():
    """A socket without a mark has 0."""
    return led("socket mark 0") and not led("socket mark 7")


def conntrack_inside():
    return led("ct state new") and not led("ct state established")


def zone_inside():
    return led("ct original zone 27507", more="chain zone { type filter hook output priority -300; "
               "ct original zone set 27507; }; ") and not led("ct original zone 27507")


def cgroup_inside():
    """Calls of one cgroup are led to a listener, those of others are not."""
    with cgroups.Cgroup(cgroups.own_name("try")) as group:
        match = f'socket cgroupv2 level 1 "{os.path.relpath(group.path, "/sys/fs/cgroup")}"'
        return led(match, call=lambda port: cgroups.connect_inside(group, port) == 0) and \
            not led(match)


def gets_through(transparent, seconds):
    """On an open connection, where only those of transparent sockets at an address of their own are
    let through."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_IP, 19, transparent)  # IP_TRANSPARENT
        port = server.getsockname()[1]
        with socket.create_connection(server.getsockname()) as caller, server.accept()[0] as called:
            nft("flush ruleset; table inet try { chain pre { type filter hook prerouting priority "
                f"-150; tcp dport {port} socket transparent 1 socket wildcard 0 accept; "
                f"tcp dport {port} drop; }}; }}")
            called.settimeout(seconds)
            caller.sendall(b"x")
            try:
                return called.recv(1) == b"x"
            except TimeoutError:
                return False
            finally:
                nft("flush ruleset")


def transparent_inside():
    return gets_through(1, 10) and not gets_through(0, 0.1)


def reject_inside():
    """A datagram is refused, and its sender is told."""
    nft("table inet try { chain out { type filter hook output priority 0; "
        "udp dport 4443 reject with icmpx type port-unreachable; }; }")
    with socket.socket(type=socket.SOCK_DGRAM) as receiver, \
            socket.socket(type=socket.SOCK_DGRAM) as sender:
        receiver.bind(("127.0.0.1", 4443))
        sender.connect(("127.0.0.1", 4443))
        sender.settimeout(10)
        with suppress(PermissionError):  # dropped on its way out
            sender.send(b"x")
        try:
            return sender.recv(1) is None
        except ConnectionRefusedError:
            return True


def nft_owner_inside():
    """A table with the owner flag is gone once the process that made it is."""
    nft("table ip try { flags owner; }")
    done = subprocess.run(["nft", "list", "tables"], env=ENV, capture_output=True, text=True,
                          check=True)
    return "try" not in done.stdout
