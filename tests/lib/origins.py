# SPDX-License-Identifier: GPL-2.0-or-later
"""Origins that are programs of their own: nginx, openssl s_server, gnutls-serv."""

import hashlib
import os
import socket
from pathlib import Path

from .env import PATIENCE, free_port, wait_for
from .nginx import NginxProgram
from .process import Program, proc_listens

HTTP = """
	types {{ text/plain txt; application/octet-stream bin; }}
	server {{
		listen 127.0.0.1:{port} ssl http2 backlog=1024;
		ssl_certificate {certificate.cert};
		ssl_certificate_key {certificate.key};
		ssl_protocols TLSv1.2 TLSv1.3;
		ssl_session_cache shared:tls:1m;
		keepalive_requests 100000;
		root {prefix}/files;
		location /upload/ {{
			dav_methods PUT;
			create_full_put_path on;
		}}
		location /who {{
			return 200 "$server_protocol $ssl_protocol $ssl_cipher $ssl_server_name";
		}}
	}}
"""


class Nginx:
    """HTTP/1.1 and HTTP/2 over TLS: files of several sizes under /, PUT under /upload/, and
    /who, which tells what the connection looks like from the origin."""

    SIZES = {"empty.bin": 0, "one.bin": 1, "small.txt": 1024, "record.bin": 16384,
             "medium.bin": 300000, "mega.bin": 4 << 20}

    def __init__(self, folder, certificate):
        self.prefix = Path(folder) / "nginx"
        self.port = free_port()
        self.digests = {}
        files = self.prefix / "files"
        files.mkdir(parents=True)
        for name, size in self.SIZES.items():
            data = os.urandom(size)
            (files / name).write_bytes(data)
            self.digests[name] = hashlib.sha256(data).hexdigest()
        self._nginx = NginxProgram(self.prefix, HTTP, (self.port,), port=self.port,
                                   certificate=certificate)

    def uploaded(self, name):
        """SHA-256 of what was PUT under /upload/NAME."""
        data = (self.prefix / "files" / "upload" / name).read_bytes()
        return hashlib.sha256(data).hexdigest()

    def close(self):
        self._nginx.close()


def _await_listening(program, port):
    def listening():
        if program.process.poll() is not None:
            raise AssertionError("%s ended:\n%s" % (program.argv[0], program.text()))
        return proc_listens(program.pid, port)

    try:
        wait_for(listening, "%s to listen on port %d" % (program.argv[0], port))
    except BaseException:
        program.end()
        raise
    return program


def openssl_s_server(port, certificate, *options, cwd=None):
    """`openssl s_server` in the foreground; lines said to it go to the client, K and k send
    KeyUpdate (asking for one back, or not), Q ends it."""
    return _await_listening(Program("openssl", "s_server", "-accept", "127.0.0.1:%d" % port,
                                    "-cert", certificate.cert, "-key", certificate.key,
                                    *options, cwd=cwd), port)


def gnutls_serv(port, certificate, *options):
    """`gnutls-serv`, echoing or (with "--http") serving a page. By itself it would ask for a client
    certificate, and such connections are passed through."""
    return _await_listening(Program("gnutls-serv", "--port", port, "--disable-client-cert",
                                    "--x509certfile", certificate.cert,
                                    "--x509keyfile", certificate.key, *options), port)


class Silent:
    """Takes connections (in the kernel's backlog) and never says a word."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", free_port()), backlog=128)
        self._listener.settimeout(PATIENCE)
        self.port = self._listener.getsockname()[1]

    def close(self):
        self._listener.close()
