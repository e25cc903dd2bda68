# SPDX-License-Identifier: GPL-2.0-or-later
"""An nginx that keeps exact books, the mix of requests that is sent to it, and the comparison of
its log with what ksplitd has observed."""

import json
import random
from pathlib import Path

from . import bpf_try, kernel_notes
from .daemon import PROGRAM
from .env import EXPECT_KTLS, IN_VM, free_port, kernel_version
from .http_load import Book, Request, template
from .nginx import NginxProgram
from .process import run

TOOL = PROGRAM.parent / "ksplit-status"

HTTP = """
	log_format books escape=json '{{"method":"$request_method","uri":"$request_uri",'
		'"status":$status,"protocol":"$server_protocol","sent":$bytes_sent,'
		'"body":$body_bytes_sent,"length":$request_length,'
		'"coding":"$sent_http_transfer_encoding"}}';
	default_type application/octet-stream;
	server {{
		listen unix:{prefix}/inner.sock;
		location = /echo {{ return 200 "$request_method $content_length\\n"; }}
	}}
	server {{
		listen 127.0.0.1:{port} ssl http2 backlog=1024;
		listen 127.0.0.1:{plain_port} backlog=1024;
		ssl_certificate {certificate.cert};
		ssl_certificate_key {certificate.key};
		ssl_session_cache shared:exact:1m;
		access_log {prefix}/books.log books;
		keepalive_requests 100000;
		keepalive_timeout 600;
		large_client_header_buffers 8 16k;
		root {prefix}/files;
		location /files/ {{ alias {prefix}/files/; }}
		location /ssi/ {{ alias {prefix}/files/; ssi on; ssi_types *; }}
		location /upload/ {{ dav_methods PUT DELETE; create_full_put_path on; }}
		location = /echo {{ proxy_pass http://unix:{prefix}/inner.sock; }}
		location /items/ {{ return 200 "an item\\n"; }}
		location = /say/nothing {{ return 204; }}
		location = /say/moved {{ return 301 /items/1; }}
		location = /say/unmodified {{ return 304; }}
		location = /say/broken {{ return 500 "broken\\n"; }}
		location = /say/busy {{ return 503 "busy\\n"; }}
	}}
"""

VERSIONS = {"HTTP/1.0": "1.0", "HTTP/1.1": "1.1", "HTTP/2.0": "2"}


class BookNginx:
    """TLS (HTTP/1.1 and 2) on `port`, plain on `plain_port`; every request in books.log."""

    SIZES = {"empty": 0, "byte": 1, "line": 100, "page": 5000, "record": 16384, "photo": 70000,
             "album": 300000, "film": 2 << 20}

    def __init__(self, folder, certificate):
        self.prefix = Path(folder)
        self.port, self.plain_port = free_port(), free_port()
        files = self.prefix / "files"
        files.mkdir(parents=True)
        for name, size in self.SIZES.items():
            # Without "<", so that SSI finds nothing to expand.
            (files / name).write_bytes(random.randbytes(size).replace(b"<", b">"))
        self._nginx = NginxProgram(self.prefix, HTTP, (self.port, self.plain_port),
                                   port=self.port, plain_port=self.plain_port,
                                   certificate=certificate)
        self._read = 0

    def close(self):
        self._nginx.close()

    def mark(self):
        """Lines up to here do not count."""
        self._read = len(self._lines())

    def _lines(self):
        return (self.prefix / "books.log").read_text().splitlines()

    def book(self):
        """What nginx says of the requests since the mark."""
        book = Book()
        for line in self._lines()[self._read:]:
            entry = json.loads(line)
            key = (entry["method"], template(entry["uri"]), entry["status"],
                   VERSIONS[entry["protocol"]])
            book.add(key, count=1, response=entry["sent"], response_body=entry["body"],
                     request=entry["length"], chunked=int(entry["coding"] == "chunked"))
        return book


# -- the mix -----------------------------------------------------------------------------------

RANGE = ("Range: bytes=10-89",)


def kind_fixed(n):
    """Requests without a body, all answered with a length or without a body."""
    turn = n % 16
    return (Request("GET", "/items/%d?q=%d&page=%d" % (n, n, n % 7)),
            Request("GET", "/items/%d" % n),
            Request("HEAD", "/files/page"),
            Request("GET", "/files/line"),
            Request("GET", "/files/line", fields=RANGE),
            Request("GET", "/say/nothing"),
            Request("GET", "/say/moved"),
            Request("GET", "/say/unmodified"),
            Request("GET", "/files/nowhere"),
            Request("GET", "/say/broken"),
            Request("GET", "/say/busy"),
            Request("OPTIONS", "/items/%d" % n),
            Request("DELETE", "/items/%d" % n),
            Request("HEAD", "/files/nowhere"),
            Request("GET", "/files/empty"),
            Request("GET", "/files/byte"))[turn]


def kind_mixed(n, random_bytes):
    """Bodies in both directions, with a length and in chunks."""
    turn = n % 10
    if turn == 0:
        return Request("POST", "/echo", random_bytes[:n % 3000])
    if turn == 1:
        return Request("POST", "/echo", random_bytes[:n % 20000], chunks=1 + n % 4000)
    if turn == 2:
        return Request("POST", "/echo", random_bytes[:5000], expect=True)
    if turn == 3:
        return Request("PUT", "/upload/%d" % (n % 40), random_bytes[:n % 9000])
    if turn == 4:
        return Request("DELETE", "/upload/%d" % (n % 60))
    if turn in (5, 6):
        return Request("GET", "/ssi/" + ("line", "page", "photo", "empty")[n // 10 % 4])
    if turn == 7:
        return Request("GET", "/files/record")
    if turn == 8:
        return Request("GET", "/files/" + ("page", "page", "photo", "line")[n // 10 % 4])
    return kind_fixed(n // 10)


def plans_make(count, films):
    """Connections with `count` requests together: keep-alive with bodies, pipelined, and HTTP/1.0
    until close; some with bodies of MiB."""
    random_bytes = random.randbytes(20000)
    plans, n = [], 0
    quarter = count // 4
    while n < quarter:  # one after the other
        size = min(150, quarter - n)
        plans.append(([kind_mixed(n + i, random_bytes) for i in range(size)], 1))
        n += size
    while n < count - count // 40 - films * 2:  # pipelined
        size = min(400, count - count // 40 - films * 2 - n)
        plans.append(([kind_fixed(i) if i % 9 else kind_mixed(i // 9 * 10, random_bytes)
                       for i in range(n, n + size)], 8))
        n += size
    for i in range(count // 40):  # closed by the origin
        plans.append(([Request("GET", ("/ssi/page", "/files/line", "/items/7", "/ssi/empty")[i % 4],
                               version="1.0")], 1))
    big = random_bytes * 75
    for _ in range(films):
        plans.append(([Request("GET", "/files/film"), Request("POST", "/echo", big)], 1))
    assert sum(len(requests) for requests, _ in plans) == count
    return plans


# -- what ksplitd says -------------------------------------------------------------------------


def status(daemon, *arguments):
    """ksplit-status --json."""
    done = run(TOOL, "--control", daemon.control_path, "--json", *arguments)
    return json.loads(done.stdout)


def observed_book(daemon):
    """The series of `ksplit-status requests`, those of all servers and processes together."""
    book = Book()
    for row in status(daemon, "requests")["series"]:
        assert row["other"] is False, row
        key = (row["http.request_method"], row["http.uri"], row["http.status_code"],
               row["http.version"])
        book.add(key, count=row["http.request_response.count"],
                 latencies=row["http.request_response.latency"]["count"],
                 request=row["http.request.bytes"]["sum"],
                 request_body=row["http.request.body_bytes"]["sum"],
                 response=row["http.response.bytes"]["sum"],
                 response_body=row["http.response.body_bytes"]["sum"])
    return book


def kernel_source():
    """Who samples the connections of kernel TLS, left to itself: BPF wherever there is such a
    thing as kernel TLS."""
    return "fentry" if EXPECT_KTLS else "user"


def plain_source():
    """Who samples plain TCP: BPF, where the kernel takes the sampler's programs."""
    rows = kernel_notes.rows_read()
    if not rows["bpf-loop"].expected():
        return "user"
    try:
        return "fentry" if bpf_try.function_exit() else "sk_msg"
    except OSError:
        return "sk_msg" # an older kernel, or a machine's own policy


def samplers():
    """What "sampler" may be in a configuration: the best, and the daemon's own. An emulated machine
    does not try the same one twice, and the daemon's own on one kernel, 6.12."""
    only_own = kernel_source() == plain_source() == "user"
    once = IN_VM and (only_own or kernel_version() != (6, 12))
    return ("auto",) if once else ("auto", "user")


def assert_source(sampler, kind, connections):
    """All connections were looked at by this sampler, and their heads came from it; of a BPF
    sampler's the daemon may tell of no more than the ends of both directions."""
    assert sampler["connections"] == dict({"fentry": 0, "sk_msg": 0, "user": 0},
                                          **{kind: connections}), sampler
    events = dict(sampler["events"])
    assert events.pop(kind) > 0 or not connections, sampler
    assert sum(events.values()) <= 2 * connections * (kind != "user"), sampler


def observer_says(daemon):
    """What may explain a difference: the observer's counts, and the programs' own where they are."""
    counts = run("bpftool", "-j", "map", "dump", "pinned",
                 "/sys/fs/bpf/ksplit/%d/sampler_counts" % daemon.pid, check=False)
    return json.dumps([status(daemon, "kernel"), counts.stdout.decode(errors="replace")])


def assert_same(what, one, other):
    """Two {key: figure}; every difference is told."""
    different = {key: (one.get(key, 0), other.get(key, 0)) for key in {**one, **other}
                 if one.get(key, 0) != other.get(key, 0)}
    assert not different, "%s:\n%s" % (what, "\n".join(
        "%s: %s, not %s" % (key, got, want) for key, (got, want) in sorted(
            different.items(), key=str)))
