# SPDX-License-Identifier: GPL-2.0-or-later
"""ksplit-ca as tests run it, and mounts of the test's own that have another trust store in the place
of the host's."""

import json
import os
import shlex
import subprocess
from pathlib import Path

from .daemon import sanitizer_env
from .env import BUILD, PATIENCE
from .pki import Certificate
from .process import ENV, run

TOOL = BUILD / "ksplit-ca"


def ca(*arguments, code=0, prefix=(), env=None):
    """Run it; standard output and error as text, for the exit code that is expected."""
    done = subprocess.run([str(a) for a in (*prefix, TOOL, *arguments)], capture_output=True,
                          text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL,
                          env=env or dict(ENV, ASAN_OPTIONS="exitcode=99"))
    assert done.returncode == code, done
    return done


def refused(*arguments, code=2, **more):
    """The one line of a refusal, which leaves standard output empty."""
    done = ca(*arguments, code=code, **more)
    assert done.stdout == ""
    assert done.stderr.startswith("ksplit-ca: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def init(folder, *arguments):
    """A new CA in `folder`."""
    ca("init", "--dir", folder, *arguments)
    return Certificate(folder / "ca.pem", folder / "ca.key")


def show(folder, *arguments, code=0):
    return json.loads(ca("show", "--json", "--dir", folder, *arguments, code=code).stdout)


def label(cert):
    """How it is called in every store: "ksplit-" and 16 digits of its SHA-256."""
    text = run("openssl", "x509", "-in", cert, "-noout", "-fingerprint", "-sha256").stdout.decode()
    return "ksplit-" + text.partition("=")[2].replace(":", "").lower()[:16]


# Debian's store with three CAs of its own (each update reads all of them), and without the host's
# hooks: Java's asks dpkg to do something.
_STORE = """
set -e
unset CURL_CA_BUNDLE SSL_CERT_FILE SSL_CERT_DIR
grep '^[^#!]' /etc/ca-certificates.conf | head -n 3 >{scratch}/conf
for folder in /etc/ssl/certs /usr/local/share/ca-certificates /etc/ca-certificates/update.d; do
	mount -t tmpfs -o mode=755 tmpfs $folder
done
mount --bind {scratch}/conf /etc/ca-certificates.conf
update-ca-certificates >/dev/null 2>&1
snapshot()
{{
	(cd / && find etc/ssl usr/local/share/ca-certificates -type l -printf '%p %l\\n' | sort
	find etc/ssl usr/local/share/ca-certificates -type f -printf '%p %m %u\\n' | sort
	find etc/ssl usr/local/share/ca-certificates -type f | sort | xargs -d '\\n' sha256sum)
}}
"""


def in_own_store(scratch, script):
    """Run a bash script in a mount namespace with a small trust store of its own; `$ca` is
    ksplit-ca, `snapshot` prints everything that is in the store. Returns what it prints."""
    text = _STORE.format(scratch=shlex.quote(str(scratch))) + script
    return run("unshare", "--mount", "--propagation", "private", "bash", "-c", text,
               env=dict(ENV, ca=str(TOOL), **sanitizer_env(scratch / "sanitizer")),
               cwd="/").stdout.decode()


def host_store():
    """What changes when anything in the host's own store does."""
    found = {}
    for folder in ("/etc/ssl/certs", "/usr/local/share/ca-certificates"):
        for path in Path(folder).iterdir():
            found[str(path)] = os.lstat(path).st_mtime_ns
    return found
