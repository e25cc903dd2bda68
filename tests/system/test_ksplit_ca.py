# SPDX-License-Identifier: GPL-2.0-or-later
"""ksplit-ca: the CA that it makes, shows and exports, judged by openssl, curl and ksplitd."""

import os
import pwd
import re
import stat
import subprocess
import time

import pytest

from lib import env
from lib.authority import TOOL, ca, init, label, refused, show
from lib.pki import Certificate, certificate_text
from lib.process import ENV, ServerProgram, run

# -- arguments -----------------------------------------------------------------------------------

WRONG = [
    ([], "expected a command"),
    (["sign"], "sign: unknown command"),
    (["init", "show"], "show: one command at a time"),
    (["init", "--frobnicate"], "--frobnicate: unknown option"),
    (["init", "--days"], "--days: expected a whole number"),
    (["init", "--days", "0"], "--days: expected a whole number"),
    (["init", "--days=3651"], "--days: expected a whole number"),
    (["init", "--days", "1e2"], "--days: expected a whole number"),
    (["init", "--days", "-5"], "--days: expected a whole number"),
    (["init", "--force=yes"], "--force: takes no value"),
    (["init", "--dir", "/a", "--dir", "/b"], "--dir: given twice"),
    (["init", "--dir="], "--dir: expected"),
    (["init", "--json"], "--json: not an option of init"),
    (["show", "--permit", "a.example"], "--permit: not an option of show"),
    (["export", "--key", "/k"], "--key: not an option of export"),
    (["export", "--format", "pkcs12"], "--format: expected pem, der or p7c"),
    (["export", "--format", "p"], "--format: expected pem, der or p7c"),
    (["install", "--no-system"], "--no-system: no other store is named"),
    (["remove", "--all", "--cert", "/c"], "--all: not together with --cert"),
    (["install", "--root", "/r", "--nss-of", "root"], "--nss-of: not together with --root"),
    (["init", "--name", "x" * 65], "--name: longer than the 64 characters"),
    (["init", "--name", "a\x1b[31mb"], "\\x1b"),
    (["init", "--cert", "/tmp/x", "--key", "/tmp/x"], "--key: expected another file"),
    (["init", "--permit", ".example.com"], "give the domain alone"),
    (["init", "--permit", "*.example.com"], "give the domain alone"),
    (["init", "--permit", "exam ple.com"], "expected a domain"),
    (["init", "--permit", "b\u00fccher.example"], "xn--"),
    (["init", "--permit", "a..example"], "empty part"),
    (["init", "--permit", "-a.example"], "begins or ends with -"),
    (["init", "--permit", "x" * 64 + ".example"], "more than 63"),
    (["init", "--permit", ".".join(["x" * 60] * 5)], "longer than a domain"),
    (["init", "--permit", "10.0.0.1/8"], "meant is perhaps 10.0.0.0/8"),
    (["init", "--exclude", "2001:db8::1/32"], "meant is perhaps 2001:db8::/32"),
    (["init", "--exclude", "10.0.0.0/33"], "expected a length"),
    (["init", "--exclude", "10.0.0.0/"], "expected a length"),
    (["init", "--exclude", "10.0.0/8"], "expected a network"),
    (["init", "--exclude", "300.1.1.1"], "expected a domain"),
    (["init", "--exclude", "1:2:3"], "expected a network"),
]


@pytest.mark.parametrize("arguments,what", WRONG, ids=[" ".join(a)[:40] for a, _ in WRONG])
def test_wrong_arguments_are_told_and_nothing_is_made(tmp_path, arguments, what):
    if arguments[:1] == ["init"] and "--dir" not in " ".join(arguments):
        arguments = [*arguments, "--dir", str(tmp_path / "made")]
    assert what in refused(*arguments, code=64)
    assert list(tmp_path.iterdir()) == []


def test_help_and_version():
    assert ca("--help").stdout.startswith("usage: ksplit-ca COMMAND")
    assert ca("--version").stdout.startswith("ksplit-ca ")


# -- init ----------------------------------------------------------------------------------------


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_init_makes_what_rfc_5280_asks_of_a_ca(tmp_path):
    authority = init(tmp_path)
    text = re.sub(r"\s+", " ", authority.text())
    assert "Basic Constraints: critical CA:TRUE, pathlen:0 " in text
    assert "Key Usage: critical Certificate Sign, CRL Sign " in text
    assert "X509v3 Subject Key Identifier: " in text and "Name Constraints" not in text
    assert "Signature Algorithm: ecdsa-with-SHA256" in text and "ASN1 OID: prime256v1" in text
    assert "Issuer: CN = ksplit CA %s " % os.uname().nodename[:54] in text.replace("CN=", "CN = ")
    run("openssl", "verify", "-x509_strict", "-CAfile", authority.cert, authority.cert)
    run("openssl", "pkey", "-in", authority.key, "-check", "-noout")
    days = (time.mktime(time.strptime(show(tmp_path, "--no-system")["not_after"],
                                      "%Y-%m-%dT%H:%M:%SZ")) - time.mktime(time.gmtime())) / 86400
    assert 824.9 < days < 825.1


def test_serial_numbers_are_random_and_long(tmp_path):
    serials = set()
    for name in "abc":
        init(tmp_path / name)
        serials.add(int(show(tmp_path / name, "--no-system")["serial"], 16))
    assert len(serials) == 3
    assert all(128 < serial.bit_length() < 160 for serial in serials)


@pytest.mark.parametrize("mask", ["0", "077"])
def test_modes_do_not_depend_on_the_umask(tmp_path, mask):
    run("sh", "-c", 'umask "$1"; exec "$2" init --dir "$3"', "sh", mask, TOOL, tmp_path / "made")
    made = tmp_path / "made"
    assert mode(made) == 0o755
    assert mode(made / "ca.pem") == 0o644 and mode(made / "ca.key") == 0o600
    assert sorted(path.name for path in made.iterdir()) == ["ca.key", "ca.pem"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_user_owns_the_key_alone(tmp_path):
    authority = init(tmp_path, "--user", "nobody")
    assert authority.key.stat().st_uid == pwd.getpwnam("nobody").pw_uid
    assert mode(authority.key) == 0o600
    assert authority.cert.stat().st_uid == 0
    assert "no such user" in refused("init", "--dir", tmp_path / "b", "--user", "no-such-user")


def test_nothing_is_overwritten_without_force(tmp_path):
    authority = init(tmp_path)
    before = authority.cert.read_bytes(), authority.key.read_bytes()
    assert "--force replaces it" in refused("init", "--dir", tmp_path)
    authority.cert.unlink()
    assert "ca.key: is there already" in refused("init", "--dir", tmp_path)
    assert authority.key.read_bytes() == before[1] and not authority.cert.exists()
    authority.cert.write_bytes(before[0])
    told = ca("init", "--dir", tmp_path, "--force").stdout
    assert label(authority.cert) not in told and "remove --all" in told
    assert authority.cert.read_bytes() != before[0] and authority.key.read_bytes() != before[1]
    assert show(tmp_path, "--no-system")["key_state"].startswith("fits")


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot make this folder" in refused("init", "--dir", tmp_path / "file" / "below")
    (tmp_path / "k").mkdir()
    # The key's place is a folder: the certificate must not appear alone.
    refused("init", "--cert", tmp_path / "ca.pem", "--key", tmp_path / "k", "--force")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "k"]


@pytest.mark.needs("strace")
def test_the_key_is_not_written_anywhere_else(tmp_path):
    """What the process writes by write(2), and to which file: the key goes into one, once."""
    trace = tmp_path / "trace"
    run("strace", "-f", "-y", "-s", "400", "-e", "trace=write,pwrite64,writev", "-o", trace, TOOL,
        "init", "--dir", tmp_path / "made", env=dict(ENV, ASAN_OPTIONS="detect_leaks=0"))
    lines = [line for line in trace.read_text().splitlines() if "PRIVATE KEY" in line]
    assert len(lines) == 1 and "/made/ca.key." in lines[0]


# -- name constraints, by openssl ------------------------------------------------------------------

CONSTRAINED = [
    # init's options, a subject alternative name, does openssl accept it
    ([], "DNS:anything.test", True),
    (["--permit", "Example.com"], "DNS:example.com", True),
    (["--permit", "example.com"], "DNS:www.example.com", True),
    (["--permit", "example.com"], "DNS:notexample.com", False),
    (["--permit", "example.com"], "DNS:example.com.evil.test", False),
    (["--permit", "example.com"], "IP:10.1.2.3", False),
    (["--permit", "example.com"], "IP:2001:db8::1", False),
    (["--permit", "10.0.0.0/8"], "IP:10.1.2.3", True),
    (["--permit", "10.0.0.0/8"], "IP:11.1.2.3", False),
    (["--permit", "10.0.0.0/8"], "IP:2001:db8::1", False),
    (["--permit", "10.0.0.0/8"], "DNS:www.example.com", False),
    (["--permit", "2001:db8::/32"], "IP:2001:db8:1::1", True),
    (["--permit", "2001:db8::/32"], "IP:2001:db9::1", False),
    (["--permit", "192.0.2.7"], "IP:192.0.2.7", True),
    (["--permit", "192.0.2.7"], "IP:192.0.2.8", False),
    (["--permit", "example.com", "--permit", "10.0.0.0/8"], "DNS:example.com,IP:10.0.0.1", True),
    (["--permit", "example.com", "--exclude", "bank.example.com"], "DNS:a.example.com", True),
    (["--permit", "example.com", "--exclude", "bank.example.com"], "DNS:x.bank.example.com", False),
    (["--exclude", "bank.example"], "DNS:www.bank.example", False),
    (["--exclude", "bank.example"], "DNS:shop.example,IP:10.0.0.1", True),
]


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    """CAs by their options, made once."""
    made = {}

    def get(*options):
        if options not in made:
            made[options] = init(tmp_path_factory.mktemp("ca"), *options)
        return made[options]

    return get


LEAF = "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=%s\n"


def sign(pki, authority, folder, name, extensions):
    """A certificate for the origin's key, signed by a CA."""
    request, cert, text = (folder / (name + suffix) for suffix in (".csr", ".pem", ".ext"))
    text.write_text(extensions + "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n")
    run("openssl", "req", "-new", "-key", pki.origin.key, "-subj", "/O=%s of a test" % name,
        "-out", request)
    run("openssl", "x509", "-req", "-in", request, "-CA", authority.cert, "-CAkey", authority.key,
        "-set_serial", "77", "-days", "5", "-sha256", "-extfile", text, "-out", cert)
    return Certificate(cert, pki.origin.key)


def leaf(pki, authority, folder, san):
    """A server's certificate."""
    return sign(pki, authority, folder, "leaf", LEAF % san)


@pytest.mark.parametrize("options,san,good", CONSTRAINED,
                         ids=["%s | %s" % (" ".join(o), s) for o, s, _ in CONSTRAINED])
def test_constraints_hold(pki, authorities, tmp_path, options, san, good):
    authority = authorities(*options)
    done = run("openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile",
               authority.cert, leaf(pki, authority, tmp_path, san).cert, check=False)
    said = (done.stdout + done.stderr).decode()
    assert (done.returncode == 0) == good, said
    assert good or "subtree violation" in said


def test_constraints_are_critical_and_shown(authorities):
    authority = authorities("--permit", "example.com", "--exclude", "bank.example.com")
    assert "X509v3 Name Constraints: critical" in certificate_text(authority.cert)
    told = show(authority.cert.parent, "--no-system")
    assert told["permitted"] == ["example.com"]
    assert told["excluded"] == ["bank.example.com", "0.0.0.0/0", "::/0"]
    networks = authorities("--permit", "10.0.0.0/8")
    assert show(networks.cert.parent, "--no-system")["excluded"] == ["all domains"]


def test_no_ca_below_it(pki, authorities, tmp_path):
    """Path length 0: what it signs as a CA signs nothing."""
    authority = authorities()
    middle = sign(pki, authority, tmp_path, "middle",
                  "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n")
    below = leaf(pki, middle, tmp_path, "DNS:a.test")
    done = run("openssl", "verify", "-CAfile", authority.cert, "-untrusted", middle.cert,
               below.cert, check=False)
    assert done.returncode and b"path length constraint exceeded" in done.stderr


# -- by curl and ksplitd ---------------------------------------------------------------------------


def https_server(certificate):
    port = env.free_port()
    return ServerProgram("s_server", port, "openssl", "s_server", "-accept", "127.0.0.1:%d" % port,
                         "-cert", certificate.cert, "-key", certificate.key, "-www", "-quiet")


def curl(host, port, *options, check=True):
    return run("curl", "-sS", "-o", os.devnull, "--connect-to", "%s:%d:127.0.0.1:%d" % (
        host, port, port), *options, "https://%s:%d/" % (host, port), check=check)


@pytest.mark.needs("curl")
def test_curl_takes_a_leaf_inside_the_constraints_alone(pki, authorities, tmp_path):
    authority = authorities("--permit", "example.com")
    for san, code in (("DNS:www.example.com", 0), ("DNS:www.example.com,DNS:www.test", 60)):
        with https_server(leaf(pki, authority, tmp_path, san)) as server:
            done = curl("www.example.com", server.port, "--cacert", authority.cert, check=False)
            assert done.returncode == code, done.stderr
            if code:
                assert b"permitted subtree violation" in done.stderr


@pytest.mark.needs("curl")
def test_ksplitd_signs_with_it(ksplitd, nginx, authorities):
    every_name = [word for name in ("test", "localhost", "127.0.0.1", "::1")
                  for word in ("--permit", name)]
    for options in ((), every_name):
        authority = authorities(*options)
        daemon = ksplitd("127.0.0.1:%d" % nginx.port, {"sampler": "off"}, ca=authority)
        curl("origin.test", daemon.port, "--cacert", authority.cert)
        assert daemon.wait_log()[-1]["mode"] == "intercept"


@pytest.mark.needs("curl")
def test_ksplitd_passes_what_is_outside_of_the_constraints(pki, ksplitd, nginx, authorities):
    """The client gets the origin's certificate, the first time as from the cache; and one name of
    several that is outside is enough."""
    for options, count in ((("--permit", "example.com"), 2), (("--exclude", "localhost"), 1)):
        authority = authorities(*options)
        daemon = ksplitd("127.0.0.1:%d" % nginx.port, {"sampler": "off"}, ca=authority)
        for _ in range(count):
            curl("origin.test", daemon.port, "--cacert", pki.origin_ca.cert)
        for entry in daemon.wait_log(count=count):
            assert (entry["mode"], entry["pass_reason"]) == ("pass", "outside_ca_constraints")
        assert daemon.reason_count("outside_ca_constraints") == count
        assert daemon.ask("summary")["leaf_cache"]["forged"] == 1
        (row,) = daemon.ask("passes")["passes"]
        assert (row["reason"], row["name"]) == ("outside_ca_constraints", "origin.test"), row
        assert "passed through: the CA may not sign for all its names" in daemon.stderr()


# -- show ----------------------------------------------------------------------------------------


def test_show_for_people(authorities):
    authority = authorities()
    out = ca("show", "--no-system", "--dir", authority.cert.parent).stdout
    assert "Subject       CN=ksplit CA " in out
    assert "Key type      EC P-256\n" in out and "Path length   0\n" in out
    assert "any name: it has no name constraints" in out and "WARNING" not in out
    fingerprint = run("openssl", "x509", "-in", authority.cert, "-noout", "-fingerprint",
                      "-sha256").stdout.decode().partition("=")[2].strip()
    assert "SHA-256       %s\n" % fingerprint in out


def warnings(folder, *arguments):
    return " | ".join(show(folder, "--no-system", *arguments, code=1)["warnings"])


def test_show_warns(tmp_path, pki):
    init(tmp_path, "--days", "9")
    assert "expires in 9 days" in warnings(tmp_path)
    authority = init(tmp_path, "--force")
    assert show(tmp_path, "--no-system")["warnings"] == []
    authority.key.chmod(0o640)
    assert "ca.key: mode 0640" in warnings(tmp_path)
    authority.key.chmod(0o600)
    tmp_path.chmod(0o777)
    assert "others than its owner may write to this folder" in warnings(tmp_path)
    tmp_path.chmod(0o755)
    authority.key.write_bytes(pki.ca.key.read_bytes())
    assert "is not the key of" in warnings(tmp_path)
    authority.key.write_text("nonsense")
    assert "no private key without password" in warnings(tmp_path)
    authority.key.unlink()
    told = show(tmp_path, "--no-system")
    assert told["key_state"] == "is not here"


def test_show_of_an_expired_leaf(pki):
    told = warnings(pki.folder, "--cert", pki.expired.cert, "--key", pki.expired.key)
    assert "expired at" in told and "is not a CA" in told


def test_show_of_no_ca(tmp_path):
    assert "make one with `ksplit-ca init`" in refused("show", "--dir", tmp_path)
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
    assert "no certificate in it" in refused("show", "--dir", tmp_path)
    (tmp_path / "ca.pem").unlink()
    os.mkfifo(tmp_path / "ca.pem")
    refused("show", "--dir", tmp_path)


def test_what_a_terminal_obeys_is_not_printed(tmp_path, pki):
    """A CA from elsewhere may say anything in its subject."""
    run("openssl", "req", "-x509", "-new", "-key", pki.ca.key, "-out", tmp_path / "ca.pem",
        "-days", "40", "-utf8", "-subj", '/CN=evil\x1b[2J"\\\\end')
    for arguments in ((), ("--json",)):
        out = ca("show", "--no-system", "--dir", tmp_path, *arguments).stdout
        assert "\x1b" not in out and "evil" in out
    assert "evil" in show(tmp_path, "--no-system")["subject"]


# -- export --------------------------------------------------------------------------------------


def test_export_is_the_certificate_and_never_the_key(authorities, tmp_path):
    authority = authorities()
    folder = authority.cert.parent
    pem = authority.cert.read_bytes()
    der = run("openssl", "x509", "-in", authority.cert, "-outform", "DER").stdout
    both = tmp_path / "both.pem"
    both.write_bytes(authority.key.read_bytes() + pem)
    assert run(TOOL, "export", "--dir", folder).stdout == pem
    assert run(TOOL, "export", "--cert", both).stdout == pem
    assert run(TOOL, "export", "--dir", folder, "--format=der").stdout == der
    p7c = run(TOOL, "export", "--dir", folder, "--format", "p7c").stdout
    listed = run("openssl", "pkcs7", "-inform", "DER", "-print_certs", stdin=p7c).stdout
    assert pem in listed


def test_export_to_a_file(authorities, tmp_path):
    folder, out = authorities().cert.parent, tmp_path / "out.der"
    ca("export", "--dir", folder, "--format", "der", "--out", out)
    assert mode(out) == 0o644
    assert "--force replaces it" in refused("export", "--dir", folder, "--out", out)
    ca("export", "--dir", folder, "--out", out, "--force")
    assert out.read_bytes() == (folder / "ca.pem").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["out.der"]


def test_export_keeps_binary_off_a_terminal(authorities):
    ours, its = os.openpty()
    try:
        done = subprocess.run([TOOL, "export", "--dir", authorities().cert.parent, "--format",
                               "der"], stdout=its, stderr=subprocess.PIPE, timeout=env.PATIENCE)
    finally:
        os.close(ours)
        os.close(its)
    assert done.returncode == 64 and b"this is a terminal" in done.stderr
