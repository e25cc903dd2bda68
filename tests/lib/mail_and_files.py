# SPDX-License-Identifier: GPL-2.0-or-later
"""Servers that are no web servers, each with a configuration of its own and in the foreground: exim
(mail, GnuTLS) and vsftpd (files, OpenSSL)."""

from .env import free_port
from .own_folder import OwnFolder, OwnServer
from .process import ServerProgram

EXIM = """
exim_user = Debian-exim
spool_directory = {folder}
log_file_path = {folder}/log-%slog
pid_file_path = {folder}/exim.pid
primary_hostname = localhost
local_interfaces = 127.0.0.1
daemon_smtp_ports = {tls_port} : {port}
tls_on_connect_ports = {tls_port}
tls_advertise_hosts = *
tls_certificate = {cert}
tls_privatekey = {key}
queue_only
host_lookup =
rfc1413_hosts =
acl_smtp_rcpt = taken
acl_smtp_data = taken
begin acl
taken:
	accept
begin routers
all:
	driver = redirect
	data = :blackhole:
"""


class Exim(OwnServer):
    """Takes all mail and keeps it in its queue. `tls_port`: TLS from the first byte; `port`: plain,
    with STARTTLS."""

    def __init__(self, certificate):
        self._own = OwnFolder("Debian-exim", certificate)
        self.folder = self._own.path
        self.port, self.tls_port = free_port(), free_port()
        conf = self.folder / "exim.conf"
        conf.write_text(EXIM.format(folder=self.folder, cert=self._own.cert, key=self._own.key,
                                    port=self.port, tls_port=self.tls_port))
        try:
            self._server = ServerProgram("exim", self.port, "exim4", "-C", conf, "-bdf")
        except BaseException:
            self._own.close()
            raise

    def queued(self):
        """The bodies of all mail that was taken; of each file the first line is its name."""
        return [path.read_bytes().partition(b"\n")[2]
                for path in sorted((self.folder / "input").glob("**/*-D"))]


VSFTPD = """
listen=YES
listen_address=127.0.0.1
listen_port={port}
background=NO
anonymous_enable=YES
anon_root={root}
anon_upload_enable=YES
anon_umask=022
write_enable=YES
secure_chroot_dir={empty}
seccomp_sandbox=NO
connect_from_port_20=NO
ssl_enable=YES
implicit_ssl={implicit}
allow_anon_ssl=YES
force_anon_logins_ssl=YES
force_anon_data_ssl=NO
require_ssl_reuse=NO
ssl_request_cert=NO
ssl_ciphers=HIGH
rsa_cert_file={cert}
rsa_private_key_file={key}
"""


class Vsftpd(OwnServer):
    """It asks for no client certificate: by itself it would, and such connections are passed through.
    Files under `upload` may be written. implicit: TLS from the first byte, else AUTH TLS. Data
    connections are TLS or not, as the client asks for."""

    def __init__(self, certificate, implicit):
        self._own = OwnFolder("ftp", certificate)
        folder = self._own.path
        self.port = free_port()
        self.files = folder / "root"
        self.uploads = self.files / "upload"
        # vsftpd wants the root of anonymous users to be not theirs.
        self.files.mkdir()
        self.uploads.mkdir()
        self.uploads.chmod(0o777)
        (folder / "empty").mkdir()
        conf = folder / "vsftpd.conf"
        conf.write_text(VSFTPD.format(port=self.port, root=self.files, empty=folder / "empty",
                                      cert=self._own.cert, key=self._own.key,
                                      implicit="YES" if implicit else "NO"))
        conf.chmod(0o600)
        # It wants to own its configuration, too.
        try:
            self._server = ServerProgram("vsftpd", self.port, "vsftpd", conf)
        except BaseException:
            self._own.close()
            raise
