# SPDX-License-Identifier: GPL-2.0-or-later
"""The proxies that are compared: how each is set up, as equals as they can be.

All forge or hold a P-256 leaf below the same CA, have one worker where that can be said, write no
log of connections, and choose nothing that the others could not choose too.
"""

import os
import shutil
import socket
import subprocess
import time

import ends
import pki as pki_names

NGINX_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"
DESCRIPTORS = 16384


class Proxy:
    """A proxy between a free port and an origin; a subclass says how it is started."""

    name = ""
    note = ""
    plain = False  # bare TCP instead of TLS
    rest = 0  # seconds between the connections' opening and the load

    def __init__(self, folder, certificates, origin_port):
        self.pki = certificates
        self.origin_port = origin_port
        self.port = None
        self.process = None
        self.folder = os.path.abspath(folder)

    def command(self):
        """The command line; files it needs are written to self.folder."""
        raise NotImplementedError

    @classmethod
    def missing(cls):
        """What must be there and is not, or None."""
        raise NotImplementedError

    @property
    def pid(self):
        return self.process.pid

    def _write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path

    def start(self):
        os.makedirs(self.folder, exist_ok=True)
        self.port = ends.port_free()
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=ends.die_with_parent)
        deadline = time.monotonic() + 30
        while True:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise ends.BenchError(f"{self.name} did not start; see {self.folder}/log")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    break
            time.sleep(0.02)
        time.sleep(0.1)

    def stop(self):
        if self.process:
            ends.process_end(self.process)
            self.process = None


class Ksplit(Proxy):
    """ksplitd with the relay that a subclass or the caller names."""

    name = "ksplit"
    relay = "user"
    program = "build/ksplitd"
    extra = ()

    @classmethod
    def missing(cls):
        return None if os.access(cls.program, os.X_OK) else cls.program

    def command(self):
        ca_cert, ca_key = self.pki.proxy_ca
        return [self.program, "--foreground", "--listen", f"127.0.0.1:{self.port}",
                "--to", f"127.0.0.1:{self.origin_port}", "--ca-cert", ca_cert,
                "--ca-key", ca_key, "--upstream-ca", self.pki.origin_ca[0],
                "--relay", self.relay, "--workers", "1",
                "--control", os.path.join(self.folder, "control"), *self.extra]


class Sslsplit(Proxy):
    """SSLsplit in static ssl mode; it verifies no origin and has two threads a CPU."""

    name = "sslsplit"

    @classmethod
    def missing(cls):
        return None if shutil.which("sslsplit") else "sslsplit"

    def command(self):
        ca_cert, ca_key = self.pki.proxy_ca
        return [shutil.which("sslsplit"), "-k", ca_key, "-c", ca_cert, "-K", self.pki.leaf_key,
                "-u", "root", "ssl", "127.0.0.1", str(self.port),
                "127.0.0.1", str(self.origin_port)]


class Nginx(Proxy):
    """nginx stream: a fixed certificate, re-encrypts, verifies the origin."""

    name = "nginx"

    @classmethod
    def missing(cls):
        if not shutil.which("nginx"):
            return "nginx"
        return None if os.path.exists(NGINX_STREAM) else "libnginx-mod-stream"

    def command(self):
        cert, key = self.pki.fixed
        config = self._write("nginx.conf", f"""
load_module {NGINX_STREAM};
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile {DESCRIPTORS};
pid {self.folder}/pid;
error_log {self.folder}/error.log crit;
events {{ worker_connections 8192; }}
stream {{
    server {{
        listen 127.0.0.1:{self.port} ssl backlog=4096;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.3;
        proxy_pass 127.0.0.1:{self.origin_port};
        proxy_ssl on;
        proxy_ssl_protocols TLSv1.3;
        proxy_ssl_server_name on;
        proxy_ssl_name {pki_names.NAME};
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate {self.pki.origin_ca[0]};
    }}
}}
""")
        return [shutil.which("nginx"), "-e", f"{self.folder}/error.log", "-c", config]


class Haproxy(Proxy):
    """HAProxy in TCP mode, one thread: a fixed certificate, re-encrypts, verifies the origin."""

    name = "haproxy"

    @classmethod
    def missing(cls):
        return None if shutil.which("haproxy") else "haproxy"

    def command(self):
        cert, key = self.pki.fixed
        with open(cert, encoding="ascii") as one, open(key, encoding="ascii") as two:
            both = self._write("fixed.pem", one.read() + two.read())
        config = self._write("haproxy.cfg", f"""
global
    nbthread 1
    maxconn 4000
    ssl-server-verify required
defaults
    mode tcp
    timeout connect 30s
    timeout client 300s
    timeout server 300s
frontend in
    bind 127.0.0.1:{self.port} ssl crt {both} ssl-min-ver TLSv1.3
    default_backend out
backend out
    default-server ssl verify required ssl-min-ver TLSv1.3 ca-file {self.pki.origin_ca[0]}
    server origin 127.0.0.1:{self.origin_port} sni str({pki_names.NAME})
""")
        return [shutil.which("haproxy"), "-db", "-q", "-f", config]


RIVALS = (Sslsplit, Nginx, Haproxy)
