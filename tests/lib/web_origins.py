# SPDX-License-Identifier: GPL-2.0-or-later
"""Web servers of other make as origins, each with TLS of its own: nginx, Apache, HAProxy, Node, openssl
s_server, gnutls-serv. Those that speak HTTP in full answer a GET with a file of `Content` and a POST
with the SHA-256 of what came; behind most of them stands one plain server."""

import hashlib
import http.server
import os
import threading

from .env import ROOT, free_port
from .nginx import NginxProgram
from .origins import gnutls_serv, openssl_s_server
from .process import ServerProgram

NODE_ORIGIN = ROOT / "tests" / "tools" / "interop_origin.js"


class Content:
    """The files, their digests, and a body of 1 MiB to send. Text, because gnutls-cli sends lines."""

    SIZES = {"small.txt": 1 << 10, "medium.txt": 300 << 10}
    BODY = 1 << 20

    def __init__(self, folder):
        self.folder = folder
        self.digests = {}
        for name, size in self.SIZES.items():
            self.digests["/" + name] = self._make(folder / name, size)
        # For s_server -HTTP, which says of an answer what its file says: some clients cannot do without
        # a length.
        small = folder / "small.txt"
        (folder / "page").write_bytes(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n"
                                      % small.stat().st_size + small.read_bytes())
        self.digests["/page"] = self.digests["/small.txt"]
        self.body = folder / "body"
        self.body_digest = self._make(self.body, self.BODY)

    @staticmethod
    def _make(path, size):
        lines = (os.urandom(31).hex().encode() + b"\r\n" for _ in range(size // 64))
        data = b"".join(lines)
        path.write_bytes(data)
        return hashlib.sha256(data).hexdigest()

    def answer_digest(self, method, path):
        """SHA-256 of what the right answer is."""
        if method == "POST":
            return hashlib.sha256(self.body_digest.encode()).hexdigest()
        return self.digests[path]


class Backend:
    """The plain HTTP/1.1 server, inside the test's process."""

    def __init__(self, content):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body in one segment.
            wbufsize = -1

            def _answer(self, body):
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                file = content.folder / os.path.basename(self.path)
                if file.is_file():
                    self._answer(file.read_bytes())
                else:
                    self.send_error(404)

            def _chunks(self):
                """The body, of known length or (RFC 9112, section 7.1) in chunks."""
                if "Content-Length" in self.headers:
                    yield self.rfile.read(int(self.headers["Content-Length"]))
                    return
                while True:
                    size = int(self.rfile.readline().partition(b";")[0], 16)
                    yield self.rfile.read(size)
                    self.rfile.readline()
                    if not size:
                        return

            def do_POST(self):
                digest = hashlib.sha256()
                for data in self._chunks():
                    digest.update(data)
                self._answer(digest.hexdigest().encode())

            def handle(self):
                try:
                    super().handle()
                except ConnectionError:
                    pass

            def log_message(self, *words):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


NGINX = """
	log_format sessions "$connection $ssl_session_reused";
	server {{
		access_log {prefix}/sessions.log sessions;
		listen 127.0.0.1:{port} ssl http2;
		ssl_certificate {certificate.cert};
		ssl_certificate_key {certificate.key};
		ssl_protocols TLSv1.2 TLSv1.3;
		ssl_session_cache shared:interop:1m;
		root {files};
		location = /digest {{
			proxy_http_version 1.1;
			proxy_pass http://127.0.0.1:{backend};
		}}
	}}
"""

APACHE = """
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/apache.pid
ErrorLog {folder}/apache.log
ServerName localhost
User www-data
Group www-data
Mutex sem
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule socache_shmcb_module {modules}/mod_socache_shmcb.so
LoadModule ssl_module {modules}/mod_ssl.so
LoadModule http2_module {modules}/mod_http2.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
StartServers 1
Listen 127.0.0.1:{port}
Protocols h2 http/1.1
SSLEngine on
SSLSessionCache shmcb:{folder}/sessions(512000)
SSLCertificateFile {certificate.cert}
SSLCertificateKeyFile {certificate.key}
ProxyPass / http://127.0.0.1:{backend}/
{more}
"""

HAPROXY = """
global
	nbthread 1
defaults
	mode http
	timeout connect 60s
	timeout client 60s
	timeout server 60s
frontend tls
	bind 127.0.0.1:{port} ssl crt {folder}/haproxy.pem alpn h2,http/1.1
	default_backend plain
backend plain
	server one 127.0.0.1:{backend}
"""

APACHE_MODULES = "/usr/lib/apache2/modules"


def nginx(folder, certificate, content, backend):
    port = free_port()
    server = NginxProgram(folder / "nginx", NGINX, (port,), port=port, certificate=certificate,
                          files=content.folder, backend=backend.port)
    server.port = port
    return server


def nginx_sessions(server):
    """[session resumed?] of the connections of this nginx, in the order in which they came."""
    connections = {}
    for line in (server.prefix / "sessions.log").read_text().splitlines():
        number, resumed = line.split()
        connections[int(number)] = resumed == "r"
    return [resumed for _, resumed in sorted(connections.items())]


def apache(folder, certificate, content, backend, more=""):
    """more: further lines of its configuration."""
    port, conf = free_port(), folder / "apache.conf"
    conf.write_text(APACHE.format(folder=folder, modules=APACHE_MODULES, port=port,
                                  certificate=certificate, backend=backend.port, more=more))
    return ServerProgram("Apache", port, "apache2", "-D", "FOREGROUND", "-f", conf)


def haproxy(folder, certificate, content, backend):
    port, conf = free_port(), folder / "haproxy.conf"
    (folder / "haproxy.pem").write_bytes(certificate.cert.read_bytes()
                                         + certificate.key.read_bytes())
    conf.write_text(HAPROXY.format(folder=folder, port=port, backend=backend.port))
    return ServerProgram("HAProxy", port, "haproxy", "-db", "-f", conf)


def node(folder, certificate, content, backend):
    port = free_port()
    return ServerProgram("Node", port, "node", NODE_ORIGIN, port, certificate.cert,
                         certificate.key, content.folder)


class _Plain:
    """A program that is an origin by its command line alone."""

    def __init__(self, port, program):
        self.port, self._program = port, program

    def close(self):
        self._program.end()


def openssl(folder, certificate, content, backend):
    port = free_port()
    return _Plain(port, openssl_s_server(port, certificate, "-HTTP", cwd=content.folder))


def gnutls(folder, certificate, content, backend):
    port = free_port()
    return _Plain(port, gnutls_serv(port, certificate, "--http"))


class Kind:
    """What an origin is and can do. full: HTTP/1.1 and HTTP/2, keep-alive and POST; else one GET of
    HTTP/1.0 a connection. pages: its answers are its own, not files."""

    def __init__(self, name, start, certificate, needs, full=True, pages=False):
        self.name, self.start, self.certificate, self.needs = name, start, certificate, needs
        self.full, self.pages = full, pages

    def http(self):
        return ("1.1", "2") if self.full else ("1.1",)

    def steps(self):
        if self.full:
            return [("GET", "/medium.txt"), ("POST", "/digest"), ("GET", "/small.txt")]
        return [("GET", "/page")]


KINDS = (
    Kind("nginx", nginx, "origin", "nginx"),
    Kind("apache", apache, "origin_rsa", "apache2"),
    Kind("haproxy", haproxy, "origin", "haproxy"),
    Kind("node", node, "origin_rsa", "node"),
    Kind("openssl", openssl, "origin", "openssl", full=False),
    Kind("gnutls", gnutls, "origin_rsa", "gnutls-serv", full=False, pages=True),
)
