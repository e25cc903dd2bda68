# SPDX-License-Identifier: GPL-2.0-or-later
"""ksplit-status against a control socket that answers what the test says: one answer, for people
and programs, and what is none. Needs: nothing."""

import json
import socket
import subprocess
import threading
import time

import pytest

from lib.status import (  # noqa: F401
    ANSWERS, CONNECTIONS, KERNEL, SAMPLER, SUMMARY, TABLES, TOOL, answer, path, run, serve)


def unreachable(path, *arguments):
    """The one line of an exit with 2."""
    result = run(path, *arguments)
    assert result.returncode == 2, result
    assert result.stdout == ""
    assert result.stderr.startswith("ksplit-status: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


# What a person sees.

def test_summary(serve, path):
    server = serve()
    result = run(path)
    assert result.returncode == 0, result
    assert result.stderr == ""
    assert server.requests == [{"version": 1, "command": "summary"}]
    lines = result.stdout.splitlines()
    assert lines[0] == "ksplitd 0.1.0, up 3 h 12 min, pid 4711, 2 workers"
    assert "Configured    relay auto  ktls auto  verify mimic  max connections 1,000" in lines
    assert "Connections   open 12  of them passed 2" in lines
    assert "  by state    peek 1  connect 2  relay 9" in lines
    assert "  since start accepted 1,234,567  intercepted 1,234,000  passed 30" in lines
    assert "Bytes         to origin 4.88 KiB  to client 8.00 PiB" in lines
    kernel = next(line for line in lines if line.startswith("  in kernel")).split()
    assert kernel == ["in", "kernel", "1,000", "1,100", "900", "950"]
    assert any(line.split() == "30 not_tls first bytes are not a TLS ClientHello".split()
               for line in lines)
    assert any(line.split() == ["1", "from_the_future"] for line in lines)


@pytest.mark.parametrize("command", ANSWERS)
def test_fits_80_columns(serve, path, command):
    serve()
    result = run(path, command)
    assert result.returncode == 0
    for line in result.stdout.splitlines():
        assert len(line) < 80, line
        assert line == line.rstrip(), line


def test_degraded(serve, path):
    serve(answer({**SUMMARY, "degraded": "worker 1 has not moved for 12 s", "draining": True}))
    result = run(path)
    assert result.returncode == 1
    assert "DEGRADED      worker 1 has not moved for 12 s\n" in result.stdout
    assert "2 workers, draining\n" in result.stdout


def test_connections(serve, path):
    serve()
    result = run(path, "connections")
    assert result.returncode == 0
    text = " ".join(result.stdout.split())
    assert text.startswith("2 open connections #42 relay for 3 min 2 s, www.example.com, h2 ")
    assert "client 192.0.2.1:54321, TLSv1.3 TLS_AES_128_GCM_SHA256, resumed " \
        "records rx kernel, tx user (ktls_tx_refused)" in text
    assert "socket tls TLSv1.3 AES-GCM-128, rx sw, tx sw, rtt 0.12 ms, retransmits 3" in text
    assert "to origin 1.25 KiB by splice to client 3.91 KiB by splice, 25.0 % of it spliced" in text
    assert "#43 peek for 5 ms client [2001:db8::1]:1" in text


def test_no_connections(serve, path):
    serve(answer({"connections": [], "socket_diagnostics_error": "Operation not permitted"}))
    assert run(path, "connections").stdout == \
        "0 open connections\nno socket diagnostics: Operation not permitted\n"


def test_kernel(serve, path):
    serve()
    result = run(path, "kernel")
    assert result.returncode == 0
    assert result.stdout.splitlines() == [
        "Kernel        6.12.117",
        "Kernel TLS    yes, keys cannot be replaced (KeyUpdate)",
        "  tx TLSv1.2  AES-128-GCM, AES-256-GCM, CHACHA20-POLY1305",
        "  tx TLSv1.3  AES-128-GCM",
        "  rx TLSv1.2  none",
        "  rx TLSv1.3  AES-128-GCM",
        "",
        "/proc/net/tls_stat (whole network namespace)",
        "  TlsCurrTxSw                   2",
        "  TlsDecryptError               0",
    ]


def test_kernel_without_ktls(serve, path):
    serve(answer({"release": "6.18.5", "tls_stat": None,
                  "ktls": {"ulp": False, "error": "No such file or directory", "rekey": False}}))
    result = run(path, "kernel")
    assert result.stdout.splitlines() == [
        "Kernel        6.18.5",
        "Kernel TLS    no: No such file or directory",
        "",
        "/proc/net/tls_stat is not there (module tls not loaded)",
    ]


def test_kernel_says_what_samples(serve, path):
    serve(answer({**KERNEL, "sampler": SAMPLER}))
    lines = run(path, "kernel").stdout.splitlines()
    first = lines.index("Sampler       kernel TLS fentry  plain none  user space user")
    assert lines[first + 1:first + 11] == [
        "  why         fentry works here: a request sent through kernel TLS on a",
        "              loopback pair was seen by the program",
        "  timings     by BPF",
        "  processes   no: the cgroup is not of version 2",
        "  pinned maps /sys/fs/bpf/ksplit/4711",
        "  connections fentry 1,200  sk_msg 0  user 3",
        "  events      fentry 2,400,000  sk_msg 0  user 6",
        "  dropped     ring 7  queues 0  bytes not shown 0  size of the ring 8.00 MiB",
        "  seen        requests 1,200,000  connections not HTTP 4",
        "  not decoded gap 1  sampler 0  malformed 2  too_many 0",
    ]
    assert all(len(line) < 80 for line in lines)


def test_kernel_says_that_nothing_samples(serve, path):
    serve(answer({**KERNEL, "sampler": {**SAMPLER, "on": False, "why": "switched off"}}))
    lines = run(path, "kernel").stdout.splitlines()
    first = lines.index("Sampler       switched off")
    assert lines[first + 1] == "  timings     by BPF"
    assert lines[first + 4] == ""


def test_summary_tells_of_requests(serve, path):
    """And when nobody looks at them."""
    serve(answer({**SUMMARY, "observation": {"on": True, "requests": 1200, "not_http": 3,
                                             "events_dropped": 0}}))
    assert "Requests      seen 1,200  connections not HTTP 3  events dropped 0\n" \
        in run(path).stdout


def test_summary_tells_of_signer_and_identities(serve, path):
    """As they are; what is not configured is not told of."""
    serve()
    text = run(path).stdout
    assert "\nSigner        process 4712\n" \
        "  leaves      signed 3  busy 0  refused 0  failed 0\n" \
        "Identities    shown 2  reloads 5  failed 1\n" in text


def test_summary_tells_of_a_signer_that_has_gone(serve, path):
    serve(answer({**SUMMARY, "signer": {**SUMMARY["signer"], "alive": False, "pid": 0},
                  "identities": None}))
    text = run(path).stdout
    assert "\nSigner        its process has gone\n" in text
    assert "Identities" not in text


@pytest.mark.parametrize("rules, hook, line", [
    ("on", "withdrawn", "Capture by    rules on  connect hook withdrawn"),
    ("not_configured", "off", "Capture by    connect hook off"),
    ("failed", "not_configured", "Capture by    rules failed"),
    ("not_configured", "not_configured", None)])
def test_summary_tells_of_capture(serve, path, rules, hook, line):
    serve(answer({**SUMMARY, "capture": {"rules": rules, "hook": hook}}))
    shown = [text for text in run(path).stdout.splitlines() if text.startswith("Capture")]
    assert shown == ([line] if line else [])


def test_summary_without_a_signer(serve, path):
    serve(answer({**SUMMARY, "signer": None}))
    assert "Signer" not in run(path).stdout


def test_summary_tells_of_otlp(serve, path):
    serve()
    text = run(path).stdout
    assert "\nOTLP exports  exported 1,234  refused 3  dropped 2  not made 0  waiting 1\n" \
        "              requests sent again 17  data points rejected 40\n" \
        "  to          http://collector.example:4318/v1/metrics\n" \
        "  last error  2026-01-31T13:12:11.000Z\n" \
        "              the collector answers with status 400: metric names must not\n" \
        "              begin with a digit\n" in text


@pytest.mark.parametrize("otlp, shown", [
    (None, 0), ({**SUMMARY["otlp"], "last_error": None, "last_error_time": None}, 3),
    ({**SUMMARY["otlp"], "endpoint": "http://h/" + 300 * "x"}, 6),
    ({**SUMMARY["otlp"], "last_error": "\x1b[2J" + 300 * "x"}, 5)])
def test_summary_of_otlp_is_as_long_as_there_is_to_tell(serve, path, otlp, shown):
    without = {name: value for name, value in SUMMARY.items() if name != "otlp"}
    server = serve(answer(without))
    plain = run(path).stdout.splitlines()
    server.close()
    path.unlink()
    serve(answer({**without, "otlp": otlp}))
    told = [line for line in run(path).stdout.splitlines() if line not in plain]
    assert len(told) == shown, told
    assert "\x1b" not in "".join(told)
    assert all(len(line) < 80 for line in told if "2J" not in line), told


# What a program reads.

@pytest.mark.parametrize("command", ANSWERS)
def test_json_is_the_data(serve, path, command):
    serve()
    result = run(path, "--json", command)
    assert result.returncode == 0
    data = json.loads(result.stdout)
    for rows in ("series", "endpoints"):
        if rows in data:
            assert len(data[rows]) == len(ANSWERS[command][rows])
            assert all(row in ANSWERS[command][rows] for row in data[rows])
            data[rows] = ANSWERS[command][rows]
    assert data == ANSWERS[command]
    assert result.stdout.startswith('{\n  "')


def test_json_keeps_numbers_and_hides_controls(serve, path):
    raw = b'{"ok":true,"version":1,"x":["data"],"data":{"n":18446744073709551615,' \
        b'"f":0.10,"e":{},"l":[ ],"t":"a\\"}\xc2\x9b2J\xe2\x80\xae\xc3\xa4"}}\n'
    serve(raw)
    result = run(path, "--json")
    assert result.stdout == '{\n  "n": 18446744073709551615,\n  "f": 0.10,\n  "e": {},\n' \
        '  "l": [],\n  "t": "a\\"}\\u009b2J\\u202eä"\n}\n'


def test_json_tells_degraded_too(serve, path):
    serve(answer({"degraded": "no"}))
    assert run(path, "--json").returncode == 1


# Daemons that are older, newer or hostile.

@pytest.mark.parametrize("command", ANSWERS)
def test_missing_members(serve, path, command):
    serve(answer({}))
    result = run(path, command)
    assert result.returncode == 0, result
    assert "(null)" not in result.stdout


@pytest.mark.parametrize("command", ANSWERS)
@pytest.mark.parametrize("wrong", [None, 1, -1.5, "text", [], {}, [[1]], {"a": {"b": []}}, True])
def test_members_of_other_types(serve, path, command, wrong):
    data = {name: wrong for name in ANSWERS[command]}
    if command == "connections":
        one = {name: wrong for name in CONNECTIONS["connections"][0]}
        data["connections"] = [wrong, one]
    if command in TABLES:
        rows = "series" if command == "requests" else "endpoints"
        data[rows] = [wrong, {name: wrong for name in TABLES[command][rows][0]}]
    serve(answer(data))
    assert run(path, command).returncode in (0, 1)


def test_unknown_members_are_ignored(serve, path):
    serve(answer({**SUMMARY, "new": {"deep": [1]}, "bytes": {"to_origin": 1, "new": "x"}}))
    assert run(path).returncode == 0


def test_names_do_not_reach_the_terminal_raw(serve, path):
    evil = "evil\x1b[2J\x9b\n\u202e" + 300 * "x"
    connection = {**CONNECTIONS["connections"][0], "sni": evil, "alpn": evil, "state": evil,
                  "client": evil}
    serve(answer({"connections": [connection]}))
    result = run(path, "connections")
    assert result.returncode == 0
    for code in "\x1b\x9b\u202e":
        assert code not in result.stdout
    assert "evil\\x1b[2J\\xc2\\x9b\\x0a\\xe2\\x80\\xae" in result.stdout


# No answer.

def test_no_socket(path):
    assert "no such socket: is ksplitd running?" in unreachable(path)


def test_nobody_listens(path):
    with socket.socket(socket.AF_UNIX) as leftover:
        leftover.bind(str(path))
    assert "nobody listens there" in unreachable(path)


def test_path_too_long(path):
    assert "longer than the path of a Unix socket" in unreachable("/tmp/" + 200 * "x")


@pytest.mark.parametrize("sent", [b"", b'{"version":1,"ok":true,"da'])
def test_closed_early(serve, path, sent):
    serve(sent)
    assert "closed before the answer was complete" in unreachable(path)


@pytest.mark.parametrize("sent", [b"hello\n", b"\n", b"{}{}\n", b'{"version":1\0,"ok":true}\n',
                                  b'{"version":1}\0\n'])
def test_not_json(serve, path, sent):
    serve(sent)
    assert "not JSON" in unreachable(path)


@pytest.mark.parametrize("sent", [b"[]\n", b"1\n", b'{"ok":true,"data":{}}\n',
                                  b'{"version":"1","ok":true,"data":{}}\n',
                                  b'{"version":1,"ok":1,"data":{}}\n'])
def test_not_ksplitd(serve, path, sent):
    serve(sent)
    assert "not one of ksplitd" in unreachable(path)


def test_wrong_version(serve, path):
    serve(b'{"version":2,"ok":true,"data":{}}\n')
    assert "speaks version 2 of the protocol, this tool 1" in unreachable(path, "--json")


@pytest.mark.parametrize("data", [b"", b',"data":null', b',"data":[]'])
def test_no_data(serve, path, data):
    serve(b'{"version":1,"ok":true' + data + b"}\n")
    assert "has no data" in unreachable(path)


def test_refused(serve, path):
    serve(b'{"version":1,"ok":false,"error":"unknown\\u001b[2J command"}\n')
    assert "ksplitd refused: unknown\\x1b[2J command" in unreachable(path)


def test_silence_ends_after_five_seconds(serve, path):
    over = threading.Event()
    serve(lambda client, _: over.wait(15))
    before = time.monotonic()
    message = unreachable(path)
    over.set()
    assert "no answer within 5 s" in message
    assert 4.5 < time.monotonic() - before < 9


def test_large_answer(serve, path):
    many = [{**CONNECTIONS["connections"][0], "id": i} for i in range(5000)]
    serve(answer({"connections": many}))
    result = run(path, "connections", timeout=60)
    assert result.returncode == 0
    assert result.stdout.startswith("5,000 open connections\n")
    assert result.stdout.count("\n#") == 5000


def test_endless_answer(serve, path):
    def babble(client, _):
        client.sendall(b'{"version":1,"ok":true,"data":{"x":"')
        for _ in range(80):
            client.sendall(1024 * 1024 * b"x")

    serve(babble)
    assert "longer than 64 MiB" in unreachable(path)


def test_answer_byte_by_byte(serve, path):
    def drip(client, _):
        for byte in answer({"pid": 1}):
            client.sendall(bytes([byte]))
            time.sleep(0.002)

    serve(drip)
    assert run(path).returncode == 0


# Usage.

@pytest.mark.parametrize("arguments, message", [
    (["foo"], "foo: unknown command, expected summary, connections, endpoints, requests, "
               "kernel, passes, certs, capture, taps, upgrade or reload"),
    (["--sort", "p99"], "--sort: only for endpoints, requests, passes and certs"),
    (["kernel", "--top", "3"], "--top: only for endpoints, requests, passes and certs"),
    (["requests", "--top"], "--top: expected a whole number of rows, at least 1"),
    (["requests", "--top=0"], "--top: expected a whole number of rows, at least 1"),
    (["requests", "--sort", "rtt"], "rtt: unknown key, expected one of count throughput"),
    (["endpoints", "--sort="], ": unknown key, expected one of connections open"),
    (["kernel", "summary"], "summary: one command at a time"),
    (["--jsn"], "--jsn: unknown option"),
    (["-w"], "-w: unknown option"),
    (["--control"], "--control: expected the path of a socket"),
    (["--control="], "--control: expected the path of a socket"),
    (["--watch", "0"], "--watch: expected a whole number of seconds"),
    (["--watch=1.5"], "--watch: expected a whole number of seconds"),
    (["--watch=99999"], "--watch: expected a whole number of seconds"),
])
def test_wrong_usage(arguments, message):
    result = subprocess.run([TOOL, *arguments], capture_output=True, text=True, timeout=10)
    assert result.returncode == 64
    assert result.stdout == ""
    assert result.stderr.startswith("ksplit-status: " + message)
    assert result.stderr.count("\n") == 1


def test_help_and_version():
    result = subprocess.run([TOOL, "--help"], capture_output=True, text=True, timeout=10)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("usage: ksplit-status ")
    result = subprocess.run([TOOL, "--version"], capture_output=True, text=True, timeout=10)
    assert result.returncode == 0
    assert result.stdout.startswith("ksplit-status ")


def test_full_disk(serve, path):
    serve()
    with open("/dev/full", "w") as full:
        result = subprocess.run([TOOL, "--control", path], stdout=full, stderr=subprocess.PIPE,
                                text=True, timeout=10)
    assert result.returncode == 2
    assert "No space left" in result.stderr
