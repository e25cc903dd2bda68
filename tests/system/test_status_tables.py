# SPDX-License-Identifier: GPL-2.0-or-later
"""ksplit-status's tables, against a control socket that answers what the test says. Needs:
nothing."""

import json

import pytest

from lib.status import LONG_URI, REQUESTS, TABLES, answer, path, run, serve, series  # noqa: F401


def test_requests(serve, path):
    server = serve()
    result = run(path, "requests")
    assert (result.returncode, result.stderr) == (0, "")
    assert server.requests == [{"version": 1, "command": "requests"}]
    assert result.stdout.splitlines() == [
        "1,251,000 requests in 5 series of at most 2,000, 12 made room and are in",
        "(other); by count",
        "",
        " COUNT  PER S   ERR     P50     P99  ST REQUEST",
        "  1.2M  12.3k     - 12.5 ms 50.0 ms 200 DELETE api.example...currency&page&sort",
        "  1.2k     12     -  3.4 ms 13.6 ms 200 GET api.example.com/users/{number}",
        "    34    0.3 50.0%   85 us  340 us 503 GET http://api.example.com/health",
        "     9    0.1  100%  1.25 s  5.00 s g13 POST 203.0.113.5:4...d.Greeter/SayHello",
        " 15.2k    9.5 <0.1% 1.2 min 4.7 min   - (other)",
    ]


def test_endpoints(serve, path):
    serve()
    result = run(path, "endpoints")
    assert result.stdout.splitlines() == [
        "2 endpoints of at most 1,000; by connections; times are medians",
        "",
        " CONNS  OPEN   REQS CONNECT     TLS     RTT  KTLS SERVER",
        " 40.0k   250      0  250 ms       -       -    0% [2001:db8::1]:8443",
        "    12     1   1.2k  1.2 ms 18.5 ms  900 us  100% api.example.com",
    ]


def test_nobody_observes(serve, path):
    serve(answer({"on": False, "why": "observation is off (sampler off)", "series": [],
                  "endpoints": []}))
    for command in TABLES:
        assert run(path, command).stdout == "observation is off (sampler off)\n"


@pytest.mark.parametrize("columns", [1, 20, 40, 50, 60, 79, 80, 100, 115, 120, 150, 200, 400])
@pytest.mark.parametrize("command", TABLES)
def test_tables_fit(serve, path, command, columns):
    """Whatever the width, no line is longer; from 20 columns on."""
    serve()
    lines = run(path, command, columns=columns).stdout.split("\n\n")[1].splitlines()
    assert len(lines) > 2
    assert all(len(line) < max(columns, 16) for line in lines), lines
    assert lines[0].split()[-1] == ("REQUEST" if command == "requests" else "SERVER")
    if columns >= 200:
        assert "PROCESS" in lines[0] or "ADDRESS" in lines[0]
    if columns == 400 and command == "requests":
        assert LONG_URI in lines[1]


def first_uris(path, *arguments):
    data = json.loads(run(path, "--json", "requests", *arguments).stdout)
    return [(row["http.uri"] or "other").split("/")[1 if row["http.uri"] else 0].split(".")[0]
            for row in data["series"]]


@pytest.mark.parametrize("key, expected", {
    "count": ["warehouse", "users", "health", "helloworld", "other"],
    "throughput": ["warehouse", "users", "health", "helloworld", "other"],
    "latency": ["helloworld", "warehouse", "users", "health", "other"],
    "p50": ["helloworld", "warehouse", "users", "health", "other"],
    "p99": ["helloworld", "warehouse", "users", "health", "other"],
    "errors": ["health", "helloworld", "users", "warehouse", "other"],
    "status": ["health", "users", "warehouse", "helloworld", "other"],
    "uri": ["health", "helloworld", "users", "warehouse", "other"],
    "server": ["helloworld", "users", "health", "warehouse", "other"],
    "bytes": ["users", "health", "warehouse", "helloworld", "other"],
}.items())
def test_sort(serve, path, key, expected):
    serve()
    assert first_uris(path, "--sort", key) == expected
    assert first_uris(path, "--sort=" + key, "--top", "2") == expected[:2]


def test_top(serve, path):
    serve()
    lines = run(path, "requests", "--top", "1").stdout.splitlines()
    assert lines[1] == "(other); 1 by count"
    assert len(lines) == 5
    assert len(run(path, "endpoints", "--top=1", "--sort=retransmits").stdout.splitlines()) == 4


def test_names_in_tables_do_not_reach_the_terminal_raw(serve, path):
    evil = "/\x1b[2J\x9b\n\u202e"
    serve(answer({"on": True, "series": [series(1, 1, evil, **{"server.name": evil,
                                                               "http.request_method": evil,
                                                               "process.command": evil})]}))
    result = run(path, "requests", columns=300)
    for code in "\x1b\x9b\u202e":
        assert code not in result.stdout
    assert len(result.stdout.splitlines()) == 4


def test_many_series(serve, path):
    many = [series(i, i, "/number/%d" % i) for i in range(10000)]
    serve(answer({**REQUESTS, "series": many, "series_kept": 10000}))
    result = run(path, "requests", timeout=60)
    assert result.returncode == 0
    assert len(result.stdout.splitlines()) == 10004
    result = run(path, "requests", "--json", "--sort", "p99", "--top", "2", timeout=60)
    assert [row["http.uri"] for row in json.loads(result.stdout)["series"]] == \
        ["/number/9999", "/number/9998"]


def test_reordered_json_keeps_numbers(serve, path):
    serve(b'{"version":1,"ok":true,"data":{"on":true, "series" : [ {"a":"],[\\"",'
          b'"http.request_response.count":1} , {"n":18446744073709551615,'
          b'"http.request_response.count":2,"f":[0.10]}] ,"z":1}}\n')
    assert run(path, "requests", "--json").stdout.split() == \
        ['{', '"on":', 'true,', '"series":', '[', '{', '"n":', '18446744073709551615,',
         '"http.request_response.count":', '2,', '"f":', '[', '0.10', ']', '},', '{', '"a":',
         '"],[\\"",', '"http.request_response.count":', '1', '}', '],', '"z":', '1', '}']
