# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls as ksplitd tells of them: the status of gRPC, the calling process, and the time that a slow
origin takes."""

import time

import pytest

from lib import clients, exact, stream
from lib.env import PATIENCE, wait_for
from lib.scene import receive_until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


# -- gRPC --------------------------------------------------------------------------------------


def test_grpc_status_from_trailers(ksplitd, pki, spare_port):
    """A real gRPC server and client: OK, and errors that are told in the trailers of a response
    with status 200; a server stream among them."""
    grpc = pytest.importorskip("grpc", reason="needs python3-grpcio")
    import concurrent.futures

    def answer(request, context):
        if request == b"fail":
            context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
        return request * 2

    def count(request, context):
        for i in range(5):
            yield b"%d" % i

    handlers = {"Echo": grpc.unary_unary_rpc_method_handler(answer),
                "Count": grpc.unary_stream_rpc_method_handler(count)}
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Things",
                                                                          handlers),))
    server.add_secure_port("127.0.0.1:%d" % spare_port, grpc.ssl_server_credentials(
        [(pki.origin.key.read_bytes(), pki.origin.cert.read_bytes())]))
    server.start()
    try:
        daemon = ksplitd("127.0.0.1:%d" % spare_port)
        trust = grpc.ssl_channel_credentials(pki.ca.cert.read_bytes())
        with grpc.secure_channel("127.0.0.1:%d" % daemon.port, trust, [
                ("grpc.ssl_target_name_override", "origin.test"),
                ("grpc.enable_http_proxy", 0)]) as channel:
            echo = channel.unary_unary("/test.Things/Echo")
            for _ in range(7):
                assert echo(b"ab", timeout=PATIENCE) == b"abab"
            for _ in range(3):
                with pytest.raises(grpc.RpcError):
                    echo(b"fail", timeout=PATIENCE)
            stream_count = channel.unary_stream("/test.Things/Count")
            assert len(list(stream_count(b"", timeout=PATIENCE))) == 5
    finally:
        server.stop(None).wait(PATIENCE)
    wait_for(lambda: exact.status(daemon, "requests")["requests"] >= 11,
             lambda: "11 calls: %s\n%s\n%s" % (daemon.request_log(), daemon.access_log(),
                                              exact.status(daemon, "kernel")["sampler"]))
    rows = {(row["http.uri"], row["http.status_code"], row["rpc.grpc.status_code"]):
            (row["http.request_response.count"], row["http.request_response.failures"])
            for row in exact.status(daemon, "requests")["series"]}
    assert rows == {("/test.Things/Echo", 200, 0): (7, 0), ("/test.Things/Echo", 200, 5): (3, 3),
                    ("/test.Things/Count", 200, 0): (1, 0)}
    daemon.settle()
    exact.assert_source(exact.status(daemon, "kernel")["sampler"], exact.kernel_source(), 1)


# -- who called --------------------------------------------------------------------------------


@pytest.mark.needs("curl", "nginx")
def test_the_calling_process_is_told(ksplitd, pki, nginx):
    """... and every call is in the series of its process. Half a second is what a call takes."""
    daemon = ksplitd("127.0.0.1:%d" % nginx.port)
    for _ in range(3):
        clients.curl(daemon.port, "/mega.bin", pki.ca, "--http1.1", "--limit-rate", "8M")
    wait_for(lambda: len(daemon.request_log()) == 3, "3 requests")
    processes = [line["process"] for line in daemon.request_log()]
    assert [process and process["command"] for process in processes] == ["curl"] * 3, processes
    assert len({process["pid"] for process in processes}) == 3
    row, = exact.status(daemon, "requests")["series"]
    assert (row["process.command"], row["http.request_response.count"]) == ("curl", 3)
    exact.assert_source(exact.status(daemon, "kernel")["sampler"], exact.kernel_source(), 3)


# -- latency -----------------------------------------------------------------------------------


def median(values):
    return sorted(values)[len(values) // 2]


def test_200_ms_are_200_ms(scene):
    """An origin that sleeps 200 ms shows 200 to 215 ms above its own baseline at the median. That
    a request took less than the sleep is a fault, always; how much a busy machine adds is tried up
    to five times."""
    rounds = 15
    ask = {path: b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in (b"/sleep", b"/nosleep")}

    def origin(sock):
        for _ in range(rounds * 2):
            if b"/sleep " in receive_until(sock, b"\r\n\r\n"):
                time.sleep(0.2)
            sock.sendall(OK)
        stream.receive_all(sock)
        stream.close_orderly(sock)

    def client(sock):
        for _ in range(rounds):
            for path in (b"/nosleep", b"/sleep"):
                sock.sendall(ask[path])
                stream.receive_exactly(sock, len(OK))
        stream.close_orderly(sock)

    seen = []
    for turn in range(5):
        scene.play(origin, client)
        lines = scene.requests(rounds * 2 * (turn + 1))[rounds * 2 * turn:]
        times = {uri: [line["last_byte_ms"] for line in lines if line["uri"] == uri]
                 for uri in ("/sleep", "/nosleep")}
        assert min(times["/sleep"]) >= 200, times
        seen.append(median(times["/sleep"]) - median(times["/nosleep"]))
        if 200 <= seen[-1] <= 215:
            break
    assert 200 <= seen[-1] <= 215, seen
    rows = {row["http.uri"]: row["http.request_response.latency"]
            for row in exact.status(scene.daemon, "requests")["series"]}
    assert rows["/sleep"]["min"] >= 200 and rows["/sleep"]["p50"] >= 200, rows
