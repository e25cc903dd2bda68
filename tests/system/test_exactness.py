# SPDX-License-Identifier: GPL-2.0-or-later
"""Is what ksplitd observes exact? Its counts and bytes are compared, series by series, with those
of nginx's own access log and of a generator that frames HTTP/1 itself; nothing may be dropped.

The main mix has 20,000 requests: through the user relay on the host, through kernel TLS and splice
wherever a host has that, and in the test VM on 6.12. An emulated machine manages some 200 a second;
on other kernels, and with what is forced, the mix is shorter there.
"""

import pytest

from lib import env, exact, expect, http_load, metrics
from lib.daemon import Ksplitd
from lib.env import IN_VM, wait_for

pytestmark = pytest.mark.needs("nginx", "h2load")

MAIN_COUNT = 20000
# A sanitizer looks at code, which does not get other by doing the same more often.
OTHER_COUNT = 400 if IN_VM or env.SANITIZED else 4000
VM_COUNT = 1500 # of the two main ways, where it is not MAIN_COUNT
WHOLE = not IN_VM or env.kernel_version() == (6, 12)  # what other kernels are spared
BPF_SAMPLES = exact.plain_source() != "user"  # the sampler's programs load
FILMS = 2 if IN_VM else 6

H2_BODY = 20000  # of a POST
FRAME_HEADER, FRAME_MAX = 9, 16384  # RFC 9113 4.1, 6.5.2


@pytest.fixture(scope="module")
def books(scratch, pki):
    server = exact.BookNginx(scratch / "exact", pki.origin)
    yield server
    server.close()


@pytest.fixture
def observing(ksplitd, books):
    """A daemon in front of both ports of nginx, everything at default sizes."""
    def start(settings):
        books.mark()
        port = env.free_port()
        daemon = ksplitd(["127.0.0.1:%d" % books.port, "127.0.0.1:%d" % books.plain_port],
                         dict({"access_log_requests": False,
                               "metrics": {"prometheus": "127.0.0.1:%d" % port}}, **settings))
        daemon.metrics_port = port
        return daemon
    return start


def play_http2(port, folder, count):
    """`count` requests over HTTP/2, 50 streams of a connection at once; how many of them had a
    body of H2_BODY bytes."""
    body = folder / "h2-body"
    body.write_bytes(b"b" * H2_BODY)
    posts, heads, films = count // 10, count // 10, min(4, FILMS)
    http_load.h2load(port, ["/echo"], posts, "-d", body)
    http_load.h2load(port, ["/files/page", "/files/nowhere"], heads, "-H", ":method: HEAD")
    http_load.h2load(port, ["/files/film"], films, streams=films)
    http_load.h2load(port, ["/items/1?b=2&a=1", "/say/moved", "/files/line", "/files/nowhere",
                            "/say/broken", "/say/nothing", "/files/empty", "/ssi/page",
                            "/say/unmodified", "/items/2", "/files/record", "/files/page"],
                     count - posts - heads - films)
    return posts


def assert_no_trouble(daemon):
    """Nothing was dropped, lost or not understood; ring and queues have their default sizes."""
    sampler = exact.status(daemon, "kernel")["sampler"]
    assert {name: sampler[name] for name in ("ring_dropped", "queue_dropped", "lost_bytes",
                                             "not_http")} == {
        "ring_dropped": 0, "queue_dropped": 0, "lost_bytes": 0, "not_http": 0}, sampler
    assert not any(sampler["troubles"].values()), sampler
    return sampler


def settled_books(daemon, books, count):
    """What ksplitd says once it has told of every request; then what nginx says."""
    daemon.settle()
    wait_for(lambda: books.book().total() >= count, "nginx's log")
    try:
        wait_for(lambda: exact.status(daemon, "requests")["requests"] >= count, "requests", 10)
    except AssertionError:
        pass  # the comparison tells more
    return exact.observed_book(daemon), books.book()


def compare_http1(seen, nginx, load):
    """nginx counts the interim response (100 Continue) as part of the response, and what frames
    chunks as part of the body; ksplitd neither. The generator's book bears out both."""
    rows = {key: row for key, row in nginx.rows.items() if key[3] != "2"}
    seen = {key: row for key, row in seen.rows.items() if key[3] != "2"}
    nginx_sent = {key: row["response"] - load.rows[key]["interim"] for key, row in rows.items()}
    nginx_body = {key: row["response_body"] - load.rows[key]["interim"]
                  for key, row in rows.items() if not row["chunked"]}

    def figure(book, name):
        return {key: row[name] for key, row in book.items()}

    exact.assert_same("requests, by nginx", figure(seen, "count"), figure(rows, "count"))
    exact.assert_same("requests, by the generator", figure(seen, "count"),
                      figure(load.rows, "count"))
    exact.assert_same("latencies", figure(seen, "latencies"), figure(seen, "count"))
    exact.assert_same("request bytes, $request_length", figure(seen, "request"),
                      figure(rows, "request"))
    exact.assert_same("response bytes, $bytes_sent", figure(seen, "response"), nginx_sent)
    exact.assert_same("response body, $body_bytes_sent",
                      {key: row["response_body"] for key, row in seen.items()
                       if key in nginx_body}, nginx_body)
    for name in ("request", "request_body", "response", "response_body"):
        exact.assert_same(name + ", by the generator", figure(seen, name),
                          figure(load.rows, name))


def compare_http2(seen, nginx, posts):
    """$bytes_sent has the frames of the stream with their headers, as ksplitd has;
    $request_length has the header block and the payload of DATA without the frames' headers."""
    rows = {key: row for key, row in nginx.rows.items() if key[3] == "2"}
    seen = {key: row for key, row in seen.rows.items() if key[3] == "2"}

    def figure(book, name):
        return {key: row[name] for key, row in book.items()}

    exact.assert_same("HTTP/2 requests", figure(seen, "count"), figure(rows, "count"))
    exact.assert_same("HTTP/2 latencies", figure(seen, "latencies"), figure(seen, "count"))
    exact.assert_same("HTTP/2 response bytes", figure(seen, "response"), figure(rows, "response"))
    exact.assert_same("HTTP/2 response body", figure(seen, "response_body"),
                      figure(rows, "response_body"))
    exact.assert_same("HTTP/2 request body", figure(seen, "request_body"),
                      {key: posts * H2_BODY * (key[0] == "POST") for key in rows})
    exact.assert_same("HTTP/2 request bytes", figure(seen, "request"),
                      {key: row["request"] + FRAME_HEADER * row["count"] * (
                          1 + (H2_BODY + FRAME_MAX - 1) // FRAME_MAX * (key[0] == "POST"))
                       for key, row in rows.items()})


def mix(daemon, books, pki, folder, count, plain=False):
    """The whole mix through the daemon, and every comparison. Returns the access log."""
    h1_count = count if plain else count * 6 // 10
    load, posts = http_load.Book(), 0
    plans = exact.plans_make(h1_count, FILMS)
    connect = http_load.connector(daemon.ports[1 if plain else 0], None if plain else pki.ca)
    http_load.play_all(connect, plans, load)
    assert load.total() == h1_count
    if not plain:
        posts = play_http2(daemon.port, folder, count - h1_count)
    seen, nginx = settled_books(daemon, books, count)
    try:
        compare_http1(seen, nginx, load)
        compare_http2(seen, nginx, posts)
    except AssertionError as error:
        raise AssertionError("%s\nksplitd says: %s" % (error, exact.observer_says(daemon))) from None
    assert seen.total() == nginx.total() == count == exact.status(daemon, "requests")["requests"]
    return daemon.access_log()


def assert_sampled_by(daemon, kind, connections):
    """All connections by this one; ksplit-status and the metrics say so."""
    sampler = assert_no_trouble(daemon)
    exact.assert_source(sampler, kind, connections)
    samples = metrics.parse(metrics.get(daemon.metrics_port, "/metrics")[2])
    for name, figures in (("ksplit_sampler_events_total", sampler["events"]),
                          ("ksplit_sampler_connections_total", sampler["connections"])):
        assert {kind: metrics.total(samples, name, sampler=kind) for kind in figures} == figures


def assert_went_by(entries, relay):
    """Every connection took the way that is tested. Heads have to be looked at: what is spliced
    are the bodies of HTTP/1; HTTP/2 has a frame's head every 16 KiB and is copied."""
    for entry in entries:
        for side, way in expect.DIRECTIONS:
            assert (entry[side]["ktls"][way] is True) == expect.kernel_expected(relay), entry
    if not expect.kernel_expected(relay) or relay == "copy":
        assert all(flow["spliced"] == 0 for e in entries for flow in (e["to_origin"],
                                                                      e["to_client"]))
        return
    film = exact.BookNginx.SIZES["film"]
    big = [e["to_client"] for e in entries
           if e["alpn"] == "http/1.1" and e["to_client"]["bytes"] > film]
    assert len(big) >= FILMS
    for flow in big:
        assert flow["spliced"] > film // 2, flow


def main_count(relay):
    """How many requests the two main ways have."""
    if IN_VM:
        long = relay == "splice" and WHOLE
    else:
        long = (relay == "user" or env.EXPECT_KTLS) and not env.SANITIZED
    return MAIN_COUNT if long else VM_COUNT if IN_VM else OTHER_COUNT


WAYS = {  # settings, requests
    "auto": ({"relay": "auto"}, OTHER_COUNT),
    "splice": ({"relay": "splice"}, main_count("splice")),
    "copy": ({"relay": "copy"}, OTHER_COUNT),
    "user-relay": ({"relay": "user"}, main_count("user")),
    "user-sampler": ({"sampler": "user"}, OTHER_COUNT),
    "bpf-sampler": ({"sampler": "bpf"}, OTHER_COUNT),
    "fentry": ({"sampling": {"attach": "fentry"}}, OTHER_COUNT),
    "sk_msg": ({"sampling": {"attach": "sk_msg"}}, OTHER_COUNT),
}


def refused_beside_kernel_tls(pki, books, settings):
    """Most kernels keep sockmap and kernel TLS apart: then the daemon has to refuse, and to say
    why."""
    daemon = Ksplitd(pki, "127.0.0.1:%d" % books.port, settings).launch()
    try:
        wait_for(lambda: not daemon.running() or daemon.control_path.exists(), "start or refusal")
        if daemon.running():
            return False
        assert env.EXPECT_KTLS and daemon.wait_exit() == 1
        assert "this kernel keeps sockmap and kernel TLS apart" in daemon.stderr()
        return True
    finally:
        daemon.kill()


def sampler_expected(way):
    """BPF it must be where the kernel has the keys, unless something else is forced."""
    if way in ("user-relay", "user-sampler"):
        return "user"
    return "sk_msg" if way == "sk_msg" and env.EXPECT_KTLS else exact.kernel_source()


def ways():
    """Those that this kernel has. An emulated machine leaves out what others of them show, too: what
    "auto" comes to, "bpf" and "fentry" (they are what is chosen, their start is in the next test),
    and the user relay, which is the host's; copy and the daemon's sampler are tried on 6.12."""
    bpf = BPF_SAMPLES and not (IN_VM and env.EXPECT_KTLS)
    needs = {"fentry": env.EXPECT_KTLS and not IN_VM, "sk_msg": BPF_SAMPLES, "bpf-sampler": bpf,
             "auto": not IN_VM, "copy": WHOLE, "user-relay": not IN_VM, "user-sampler": WHOLE}
    return [way for way in WAYS if needs.get(way, True)]


@pytest.mark.parametrize("way", ways())
def test_mix_is_observed_exactly(observing, books, pki, scratch, way):
    settings, count = WAYS[way]
    if way == "sk_msg" and refused_beside_kernel_tls(pki, books, settings):
        return
    daemon = observing(settings)
    relay, before = settings.get("relay", "auto"), env.read_tls_stat()
    entries = mix(daemon, books, pki, scratch, count)
    assert_sampled_by(daemon, sampler_expected(way), len(entries))
    assert_went_by(entries, relay)
    expect.assert_kernel_counted(before, len(entries) * expect.kernel_expected(relay))


@pytest.mark.parametrize("settings, works", (
    ({"sampling": {"attach": "fentry"}}, exact.plain_source() == "fentry"),
    ({"sampler": "bpf"}, BPF_SAMPLES)))
def test_forced_sampler_is_there_or_refused(pki, books, settings, works):
    daemon = Ksplitd(pki, "127.0.0.1:%d" % books.port, settings)
    if works:
        with daemon:
            sampler = exact.status(daemon, "kernel")["sampler"]
            assert sampler["kernel_tls"] == ("fentry" if env.EXPECT_KTLS else "none")
            assert sampler["plain"] == exact.plain_source()
        return
    daemon.launch()
    try:
        assert daemon.wait_exit() == 1
        assert "the BPF sampler is asked for" in daemon.stderr()
    finally:
        daemon.kill()


PLAIN = {"fentry": {"sampler": "bpf"},
         # Where kernel TLS is in use sk_msg is taken for it, too, or refused.
         "sk_msg": {"sampler": "bpf", "sampling": {"attach": "sk_msg"}, "ktls": "off"},
         "user": {"sampler": "user"}}


def plain_kinds():
    """Those that this kernel has."""
    has = {"fentry": exact.plain_source() == "fentry", "sk_msg": BPF_SAMPLES,
           "user": not IN_VM}
    return [kind for kind in PLAIN if has.get(kind, True)]


@pytest.mark.parametrize("kind", plain_kinds())
def test_plain_mix_is_observed_exactly(observing, books, pki, scratch, kind):
    """Passed through raw: BPF at both of its places, or the daemon."""
    daemon = observing(PLAIN[kind])
    entries = mix(daemon, books, pki, scratch, OTHER_COUNT, plain=True)
    assert_sampled_by(daemon, kind, len(entries))
    assert {entry["mode"] for entry in entries} == {"pass"}
