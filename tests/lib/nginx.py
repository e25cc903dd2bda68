# SPDX-License-Identifier: GPL-2.0-or-later
"""nginx as tests run it: in the foreground, one worker, all that it writes in one folder."""

from pathlib import Path

from .env import wait_for
from .process import Program, proc_listens

# `http` is the rest of the section http; what is in braces there is filled in by NginxProgram.
CONF = """
daemon off;
user root;
worker_processes 1;
pid {prefix}/nginx.pid;
error_log {prefix}/error.log warn;
events {{ worker_connections 4096; }}
http {{
	access_log off;
	client_max_body_size 0;
	client_body_temp_path {prefix}/body;
	proxy_temp_path {prefix}/proxy;
	fastcgi_temp_path {prefix}/fastcgi;
	uwsgi_temp_path {prefix}/uwsgi;
	scgi_temp_path {prefix}/scgi;
	%s
}}
"""


class NginxProgram:
    """Listens on all of `ports` when it is made. `values` are put into `http` by str.format, beside
    {prefix}, the folder; `command` stands before nginx on its command line."""

    def __init__(self, folder, http, ports, command=(), **values):
        self.prefix = Path(folder)
        self.prefix.mkdir(parents=True, exist_ok=True)
        conf, self._errors = self.prefix / "nginx.conf", self.prefix / "error.log"
        conf.write_text((CONF % http.strip()).format(prefix=self.prefix, **values))
        self._program = Program(*command, "nginx", "-p", self.prefix, "-c", conf,
                                "-e", self._errors)
        try:
            wait_for(lambda: self._listening(ports), lambda: "nginx to listen\n" + self._said())
        except BaseException:
            self.close()
            raise

    def _said(self):
        errors = self._errors.read_text() if self._errors.exists() else ""
        return self._program.text() + errors

    def _listening(self, ports):
        if self._program.process.poll() is not None:
            raise AssertionError("nginx ended:\n%s" % self._said())
        return all(proc_listens(self._program.pid, port) for port in ports)

    def close(self):
        self._program.end()
