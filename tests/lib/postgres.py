# SPDX-License-Identifier: GPL-2.0-or-later
"""PostgreSQL, with a cluster of its own for as long as it runs."""

from .env import free_port
from .own_folder import OwnFolder, OwnServer
from .process import ServerProgram, run

PROGRAMS = "/usr/lib/postgresql/15/bin/"
AS_ITS_USER = ("setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups")


class Postgres(OwnServer):
    """Takes everybody at his word who is on 127.0.0.1 and speaks TLS, and nobody who does not."""

    def __init__(self, certificate):
        self._own = OwnFolder("postgres", certificate)
        self.port = free_port()
        data = self._own.path / "data"
        try:
            run(*AS_ITS_USER, PROGRAMS + "initdb", "-D", data, "--no-sync", "--auth=trust",
                "--no-instructions", "--locale=C", cwd=self._own.path)
            (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust\n")
            self._server = ServerProgram(
                "PostgreSQL", self.port, *AS_ITS_USER, PROGRAMS + "postgres", "-D", data,
                "-c", "listen_addresses=127.0.0.1", "-c", "port=%d" % self.port,
                "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "ssl=on",
                "-c", "ssl_cert_file=%s" % self._own.cert, "-c", "ssl_key_file=%s" % self._own.key)
        except BaseException:
            self._own.close()
            raise
