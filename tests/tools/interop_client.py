# SPDX-License-Identifier: GPL-2.0-or-later
"""Python's http.client as a client of the interoperability tests; what it reads and writes:
tests/lib/visits.py. The authority that it trusts is named by SSL_CERT_FILE."""

import hashlib
import http.client
import ssl
import sys


def issuer_of(sock):
    parts = {name: value for part in sock.getpeercert()["issuer"] for name, value in part}
    return parts["commonName"]


def visit(context, port, steps, body):
    connection = http.client.HTTPSConnection("localhost", int(port), context=context)
    try:
        for method, path in zip(steps[::2], steps[1::2]):
            connection.request(method, path, body if method == "POST" else None)
            issuer = issuer_of(connection.sock)
            answer = connection.getresponse()
            digest = hashlib.sha256(answer.read()).hexdigest()
            yield "%d %.1f %s %s" % (answer.status, answer.version / 10, digest, issuer)
    finally:
        connection.close()


def main():
    with open(sys.argv[1], "rb") as file:
        body = file.read()
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    for number, line in enumerate(sys.stdin):
        port, _, *steps = line.split()
        try:
            for answer in visit(context, port, steps, body):
                print(number, answer)
        except (OSError, http.client.HTTPException) as exc:
            print(number, "error", exc)


main()
