# SPDX-License-Identifier: GPL-2.0-or-later
"""Servers that are no web servers, with TLS from the first byte or after a dialogue in plain: mail to
exim, files of vsftpd, rows of PostgreSQL."""

import hashlib
import os
import smtplib

import pytest

from lib import env, expect
from lib.mail_and_files import Exim, Vsftpd
from lib.postgres import PROGRAMS, Postgres
from lib.process import run
from lib.tls import client_context

LINES = [os.urandom(30).hex() for _ in range(17000)]
MESSAGE = "\r\n".join(["Subject: through ksplitd", "", *LINES, ""])


@pytest.fixture(scope="module")
def exim(pki):
    server = Exim(pki.origin)
    yield server
    server.close()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(1 << 20))
    return path


def check_entry(entry, starttls=None):
    """starttls: the protocol that turned to TLS; None: there was TLS from the beginning."""
    expect.assert_relayed(entry, "auto")
    assert (entry["starttls"] or {}).get("protocol") == starttls, entry


def deliver(client, exim, before):
    """Send the message; what came to lie in the queue has to be it."""
    client.sendmail("one@origin.test", ["two@origin.test"], MESSAGE)
    client.quit()
    body, = exim.queued()[before:]
    assert body.decode().split() == LINES


@pytest.mark.needs("exim4")
def test_mail_by_smtps(ksplitd, exim, pki):
    daemon = ksplitd("127.0.0.1:%d" % exim.tls_port)
    before = len(exim.queued())
    deliver(smtplib.SMTP_SSL("127.0.0.1", daemon.port, local_hostname="localhost",
                             context=client_context(pki.ca)), exim, before)
    entry, = daemon.wait_log()
    check_entry(entry)
    assert entry["to_origin"]["bytes"] > 1 << 20


@pytest.mark.needs("exim4")
def test_mail_by_starttls(ksplitd, exim, pki):
    daemon = ksplitd("127.0.0.1:%d" % exim.port)
    before = len(exim.queued())
    client = smtplib.SMTP("127.0.0.1", daemon.port, local_hostname="localhost")
    client.starttls(context=client_context(pki.ca))
    deliver(client, exim, before)
    check_entry(daemon.wait_log()[0], "smtp")


def curl_ftp(authority, *options):
    return run("curl", "--silent", "--show-error", "--max-time", int(env.PATIENCE), "-4",
               "--noproxy", "*", "--cacert", authority.cert, *options).stdout


def put_and_get(authority, file, url, *options):
    # Of TLS 1.3 vsftpd 3.0.3 loses the end of an upload, without ksplitd as well.
    curl_ftp(authority, *options, "--tls-max", "1.2", "-T", file, url)
    assert curl_ftp(authority, *options, url) == file.read_bytes()


@pytest.mark.needs("vsftpd", "curl")
@pytest.mark.parametrize("scheme", ("ftps", "ftp"))
def test_files_by_ftp_with_tls(ksplitd, pki, file, scheme):
    """The connection for data is another one, to a port of vsftpd's own. Here it does not come by
    ksplitd: the client sees the origin's certificate there, or asks for data in plain."""
    with Vsftpd(pki.origin_rsa, implicit=scheme == "ftps") as server:
        daemon = ksplitd("127.0.0.1:%d" % server.port)
        url = "%s://localhost:%d/upload/file" % (scheme, daemon.port)
        put_and_get(pki.both_authorities(), file, url, "--ssl-reqd")
        connections = 2
        if scheme == "ftp":
            assert curl_ftp(pki.ca, "--ftp-ssl-control", url) == file.read_bytes()
            connections += 1
        for entry in daemon.wait_log(count=connections):
            check_entry(entry, "ftp" if scheme == "ftp" else None)


# 1 MiB of answer, and whether the server speaks TLS.
QUERY = """select string_agg(md5(i::text), '') from generate_series(1, 32768) i
	union all select ssl::text from pg_stat_ssl where pid = pg_backend_pid()"""


@pytest.mark.needs("psql", PROGRAMS + "postgres", "setpriv")
def test_rows_of_postgresql(ksplitd, pki):
    with Postgres(pki.origin) as server:
        daemon = ksplitd("127.0.0.1:%d" % server.port)

        def ask(port, authority):
            return run("psql", "--no-psqlrc", "-At", "-c", QUERY,
                       "host=localhost hostaddr=127.0.0.1 port=%d user=postgres dbname=postgres "
                       "sslmode=verify-full sslrootcert=%s" % (port, authority.cert), check=False)

        refused = ask(server.port, pki.ca)
        assert refused.returncode and b"certificate verify failed" in refused.stderr, refused
        told = ask(daemon.port, pki.ca)
        assert told.returncode == 0, told.stderr
        rows, tls = told.stdout.decode().split()
        assert rows == "".join(hashlib.md5(str(i).encode()).hexdigest() for i in range(1, 32769))
        assert tls == "true"
        check_entry(daemon.wait_log()[0], "postgresql")
