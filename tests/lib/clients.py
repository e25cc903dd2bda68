# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients that are programs of their own: curl, openssl s_client, gnutls-cli."""

import hashlib

from .env import PATIENCE
from .process import Program, run


def curl(port, path, authority, *options, name="origin.test", check=True):
    """One HTTPS call to 127.0.0.1:port under `name`; CompletedProcess with the body in stdout."""
    return run("curl", "--silent", "--show-error", "--max-time", int(PATIENCE),
               "--cacert", authority.cert, "--noproxy", "*",
               "--resolve", "%s:%d:127.0.0.1" % (name, port), *options,
               "https://%s:%d%s" % (name, port, path), check=check, timeout=PATIENCE + 10)


def curl_digest(port, path, authority, *options, **more):
    """SHA-256 of the body."""
    return hashlib.sha256(curl(port, path, authority, *options, **more).stdout).hexdigest()


def s_client(port, authority, *options, name="origin.test"):
    """`openssl s_client` in the background, its input a pipe: lines go to the origin, K and k
    send KeyUpdate, Q ends it in order."""
    return Program("openssl", "s_client", "-connect", "127.0.0.1:%d" % port,
                   "-servername", name, "-verify_return_error", "-CAfile", authority.cert,
                   "-verify_hostname", name, *options)


def gnutls_cli(port, authority, *options, name="origin.test"):
    """`gnutls-cli` in the background; it checks the certificate against `authority`."""
    return Program("gnutls-cli", "--port", port, "--sni-hostname", name,
                   "--verify-hostname", name, "--x509cafile", authority.cert, *options,
                   "127.0.0.1")
