# SPDX-License-Identifier: GPL-2.0-or-later
"""Other people's verifiers of certificates. Each takes questions (CA file, certificate file,
host) and gives an answer for each: "" when a TLS client of its kind takes the certificate, else why not."""

from pathlib import Path

from .process import ENV, run

SOURCES = Path(__file__).parent / "verify"
SERVER_AUTH = "1.3.6.1.5.5.7.3.1"


def openssl(questions, folder):
    """With the strict reading of RFC 5280."""
    return [_answer("openssl", "verify", "-x509_strict", "-purpose", "sslserver",
                    "-verify_hostname", host, "-CAfile", authority, certificate)
            for authority, certificate, host in questions]


def gnutls(questions, folder):
    return [_answer("certtool", "--verify", "--load-ca-certificate", authority,
                    "--infile", certificate, "--verify-purpose", SERVER_AUTH,
                    "--verify-hostname", host) for authority, certificate, host in questions]


def nss(questions, folder):
    """Chain and purpose by libpkix; vfychain(1) knows no host names."""
    stores = {}
    for authority in {question[0] for question in questions}:
        store = folder / ("nss-%d" % len(stores))
        store.mkdir()
        run("certutil", "-N", "-d", "sql:%s" % store, "--empty-password")
        run("certutil", "-A", "-d", "sql:%s" % store, "-n", "ca", "-t", "C,,", "-i", authority)
        stores[authority] = store
    return [_answer("vfychain", "-d", "sql:%s" % stores[authority], "-pp", "-u", "1", "-a",
                    certificate) for authority, certificate, _ in questions]


def java(questions, folder):
    return _ask(questions, ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1",
                            SOURCES / "Verify.java"])


def go(questions, folder):
    own = dict(ENV, GOCACHE=str(folder / "go"), GOPATH=str(folder / "gopath"), GOFLAGS="-mod=mod",
               HOME=str(folder), CGO_ENABLED="0", GO111MODULE="off")
    return _ask(questions, ["go", "run", SOURCES / "verify.go"], env=own)


ALL = {"openssl": openssl, "gnutls": gnutls, "nss": nss, "java": java, "go": go}


def _answer(*command):
    done = run(*command, check=False)
    if done.returncode == 0:
        return ""
    return (done.stdout + done.stderr).decode(errors="replace").strip() or "refused"


def _ask(questions, command, **more):
    text = "".join("%s %s %s\n" % question for question in questions)
    lines = run(*command, stdin=text.encode(), **more).stdout.decode().splitlines()
    assert len(lines) == len(questions), lines
    return ["" if line == "ok" else line for line in lines]
