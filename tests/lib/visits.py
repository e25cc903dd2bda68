# SPDX-License-Identifier: GPL-2.0-or-later
"""Web clients of other make, each a program of its own that trusts ksplit's CA in its own way.

A visit is one connection with one or more requests. The programs in tests/tools (Go, Java, Node,
Python, the three libcurls) make all visits in one process, because some take a second to start, and
because a session can only be resumed by who had it. They are given the file to POST as an argument,
and on standard input a line for each visit, and they print a line for each request:

    PORT HTTP METHOD PATH [METHOD PATH]...          HTTP: 1.1 or 2
    VISIT STATUS HTTP SHA-256-OF-THE-ANSWER ISSUER  or VISIT error MESSAGE; VISIT from 0

The host is always `localhost`, which every program can resolve without help.
"""

import hashlib
import http.client
import io
import re

from .env import BUILD, PATIENCE, ROOT
from .process import ENV, Program, run

TOOLS = ROOT / "tests" / "tools"
BUILT = BUILD / "tests" / "tools"
HOST = "localhost"
PASSWORD = "changeit"
# Nobody's proxy, and nobody's trust but the test's.
BARE = {name: value for name, value in ENV.items()
        if not name.lower().endswith("_proxy") and not name.startswith(("SSL_", "NODE_"))}


class Visit:
    def __init__(self, port, http, steps):
        self.port, self.http, self.steps = port, http, steps

    def line(self):
        words = [str(self.port), self.http]
        for method, path in self.steps:
            words += [method, path]
        return " ".join(words)


class Answer:
    """What came for one request. issuer: as far as the program tells; error: None or its word."""

    def __init__(self, visit, status=None, http=None, digest=None, issuer=None, error=None):
        self.visit, self.status, self.http, self.digest = visit, status, http, digest
        self.issuer, self.error = issuer, error

    def __repr__(self):
        return repr(vars(self))


class Trust:
    """ksplit's CA as each kind of program wants it, in a folder of its own; made when asked for."""

    def __init__(self, folder, authority):
        self.folder, self.pem = folder, authority.cert

    def nss(self):
        """An NSS database."""
        place = self.folder / "nss"
        if not place.exists():
            place.mkdir()
            run("certutil", "-d", "sql:%s" % place, "-N", "--empty-password")
            run("certutil", "-d", "sql:%s" % place, "-A", "-n", "ksplit", "-t", "CT,,",
                "-i", self.pem)
        return place

    def java(self):
        """A Java key store."""
        place = self.folder / "trust.p12"
        if not place.exists():
            run("keytool", "-importcert", "-noprompt", "-alias", "ksplit", "-file", self.pem,
                "-keystore", place, "-storepass", PASSWORD, "-storetype", "PKCS12")
        return place

    def openssl(self):
        """Environment for what takes OpenSSL's defaults, or Go's."""
        return {"SSL_CERT_FILE": str(self.pem), "SSL_CERT_DIR": str(self.folder / "none")}


class Client:
    """A kind of client.

    http      versions that it speaks, or that are asked of it
    needs     programs without which there is no test
    alpn      HTTP versions for which it sends ALPN
    mixes     requests of different methods in one visit (pipelined ones a Node origin would reset)
    """

    def __init__(self, name, visit_all, http=("1.1",), needs=(), alpn=("1.1", "2"), mixes=True):
        self.name, self.visit_all, self.http, self.needs = name, visit_all, http, needs
        self.alpn, self.mixes = alpn, mixes

    def visits(self, port, http, steps):
        """These steps as visits, as this client can make them."""
        if self.mixes:
            return [Visit(port, http, steps)]
        methods = sorted({method for method, _ in steps})
        return [Visit(port, http, [step for step in steps if step[0] == method])
                for method in methods]


# -- programs that make all visits in one process ------------------------------------------------


def _parse(text):
    answers = []
    for line in text.splitlines():
        visit, status, *rest = line.split(" ", 4)
        if status == "error":
            answers.append(Answer(int(visit), error=" ".join(rest)))
        else:
            version, digest, issuer = rest
            answers.append(Answer(int(visit), int(status), version, digest, issuer))
    return answers


def _by_program(command):
    """visit_all of a program: command(trust, body) gives its arguments and environment."""
    def visit_all(trust, body, visits):
        argv, env = command(trust, body)
        told = run(*argv, env=dict(BARE, **env), timeout=2 * PATIENCE,
                   stdin="".join(visit.line() + "\n" for visit in visits).encode())
        return _parse(told.stdout.decode())
    return visit_all


def _go(trust, body):
    return [BUILT / "interop_client", body], trust.openssl()


def _java(trust, body, *properties):
    return ["java", "-XX:TieredStopAtLevel=1", "-Djavax.net.ssl.trustStore=%s" % trust.java(),
            "-Djavax.net.ssl.trustStorePassword=" + PASSWORD, *properties, "-cp", BUILT,
            "InteropClient", body], {}


def java_revocation(trust, name, port, hosts):
    """One call by a Java that asks for staples and goes by them; `hosts` is its hosts(5)."""
    return _by_program(lambda trust, body: _java(
        trust, body, "-Dinterop.host=" + name, "-Djdk.net.hosts.file=%s" % hosts,
        "-Djdk.tls.client.enableStatusRequestExtension=true",
        "-Dcom.sun.net.ssl.checkRevocation=true"))(
            trust, "/dev/null", [Visit(port, "1.1", [("GET", "/")])])[0]


def _node(trust, body):
    return ["node", TOOLS / "interop_client.js", body], {"NODE_EXTRA_CA_CERTS": str(trust.pem)}


def _python(trust, body):
    return ["python3", "-B", TOOLS / "interop_client.py", body], trust.openssl()


def _libcurl(library, by_file=True):
    def command(trust, body):
        env = {} if by_file else {"SSL_DIR": str(trust.nss())}
        return ["python3", "-B", TOOLS / "libcurl_client.py", library,
                trust.pem if by_file else "", body], env
    return command


# -- programs that make one visit ----------------------------------------------------------------


def _one_by_one(visit_one):
    """visit_all of a program that is started for each visit."""
    def visit_all(trust, body, visits):
        answers = []
        for number, visit in enumerate(visits):
            try:
                answers += [Answer(number, *told) for told in visit_one(trust, body, visit)]
            except Refused as exc:
                answers.append(Answer(number, error=str(exc)))
        return answers
    return visit_all


class Refused(Exception):
    """The program did not want to; what it said."""


def _run_visit(*argv, stdin=b""):
    done = run(*argv, stdin=stdin, env=BARE, check=False)
    if done.returncode:
        raise Refused("exit code %d: %s" % (done.returncode, done.stderr.decode(errors="replace")))
    return done


def _digest(data):
    return hashlib.sha256(data).hexdigest()


def _url(visit, path):
    return "https://%s:%d%s" % (HOST, visit.port, path)


def _curl(trust, body, visit):
    """The program curl (OpenSSL): requests of one command share their connection."""
    argv = ["curl"]
    for at, (method, path) in enumerate(visit.steps):
        argv += ["--next"] if at else []
        argv += ["--silent", "--show-error", "--cacert", trust.pem, "--max-time", int(PATIENCE),
                 "--http2" if visit.http == "2" else "--http1.1", "-4", "-H", "Expect:",
                 "-o", trust.folder / ("curl-%d" % at),
                 "-w", "step %{http_code} %{http_version} %{num_connects}\n%{certs}\n"]
        argv += ["--data-binary", "@%s" % body] if method == "POST" else []
        argv.append(_url(visit, path))
    told = _run_visit(*argv).stdout.decode()
    for at, part in enumerate(told.split("step ")[1:]):
        status, version, connects = part.splitlines()[0].split()
        assert int(connects) == (0 if at else 1), "curl made another connection"
        # Of a connection that it had already curl shows no certificates.
        issuer = re.search(r"^Issuer:(.*)$", part, re.MULTILINE)
        yield (int(status), version, _digest((trust.folder / ("curl-%d" % at)).read_bytes()),
               issuer.group(1) if issuer else "-")


def _wget(trust, body, visit):
    folder = trust.folder / "wget"
    urls = [_url(visit, path) for _, path in visit.steps]
    post = ["--post-file=%s" % body] if visit.steps[0][0] == "POST" else []
    done = _run_visit("wget", "--server-response", "--no-hsts", "--no-config", "-4", "--tries=1",
                      "--timeout=%d" % PATIENCE, "--ca-certificate=%s" % trust.pem,
                      "--ca-directory=%s" % (trust.folder / "none"), "-P", folder, *post, *urls)
    heads = re.findall(r"HTTP/([0-9.]+) (\d+)", done.stderr.decode(errors="replace"))
    for (version, status), (_, path) in zip(heads, visit.steps):
        file = folder / path.strip("/")
        yield int(status), version, _digest(file.read_bytes()), "-"
        file.unlink()


class _Text(io.BytesIO):
    """What a program printed, as the socket that http.client reads from."""

    def makefile(self, mode):
        return self

    def close(self):
        pass


def _requests(visit, body):
    """The requests as one text: for programs that carry bytes and know nothing of HTTP."""
    text = b""
    for at, (method, path) in enumerate(visit.steps, 1):
        content = body.read_bytes() if method == "POST" else b""
        length = "Content-Length: %d\r\n" % len(content) if content else ""
        end = "close" if at == len(visit.steps) else "keep-alive"
        text += ("%s %s HTTP/1.1\r\nHost: %s\r\nConnection: %s\r\n%s\r\n" % (
            method, path, HOST, end, length)).encode() + content
    return text


def _answers(visit, output, issuer):
    text = _Text(output)
    for method, _ in visit.steps:
        answer = http.client.HTTPResponse(text, method=method)
        try:
            answer.begin()
            data = answer.read()
        except http.client.HTTPException as exc:
            raise Refused("%r after %r" % (exc, output[:200])) from exc
        yield answer.status, "%.1f" % (answer.version / 10), _digest(data), issuer


def _s_client(trust, body, visit):
    done = _run_visit("openssl", "s_client", "-quiet", "-connect", "127.0.0.1:%d" % visit.port,
                      "-servername", HOST, "-verify_hostname", HOST, "-verify_return_error",
                      "-CAfile", trust.pem, "-no-CApath", "-no-CAstore", "-alpn", "http/1.1",
                      stdin=_requests(visit, body))
    issuer = re.search(r"^depth=1 (.*)$", done.stderr.decode(), re.MULTILINE)
    return _answers(visit, done.stdout, issuer.group(1))


def _gnutls_cli(trust, body, visit):
    """Its input stays open: at the end of it, it would say so to the origin, which may leave then."""
    log = trust.folder / "gnutls.log"
    with Program("gnutls-cli", "--logfile", log, "--port", visit.port, "--sni-hostname", HOST,
                 "--verify-hostname", HOST, "--x509cafile", trust.pem, "--alpn", "http/1.1",
                 "127.0.0.1", env=BARE) as program:
        try:
            program.say(_requests(visit, body))
        except BrokenPipeError:
            pass
        code = program.wait()
    text = log.read_text(errors="replace")
    if code:
        raise Refused("exit code %d: %s" % (code, text))
    issuer = re.search(r"issuer `([^']*)'", text)
    return _answers(visit, program.output(), issuer.group(1))


BOTH = ("1.1", "2")
CLIENTS = (
    Client("curl", _one_by_one(_curl), BOTH, ("curl",)),
    Client("libcurl-openssl", _by_program(_libcurl("libcurl.so.4")), BOTH, ("curl",)),
    Client("libcurl-gnutls", _by_program(_libcurl("libcurl-gnutls.so.4")), BOTH),
    Client("libcurl-nss", _by_program(_libcurl("libcurl-nss.so.4", by_file=False)), BOTH,
           ("certutil",)),
    Client("wget", _one_by_one(_wget), needs=("wget",), alpn=(), mixes=False),
    Client("openssl", _one_by_one(_s_client), needs=("openssl",), mixes=False),
    Client("gnutls-cli", _one_by_one(_gnutls_cli), needs=("gnutls-cli",), mixes=False),
    Client("python", _by_program(_python), needs=("python3",)),
    Client("node", _by_program(_node), BOTH, ("node",), alpn=("2",)),
    Client("java", _by_program(_java), BOTH, ("java", "javac", "keytool"), alpn=("2",)),
    Client("go", _by_program(_go), BOTH, ("go",), alpn=("2",)),
)
