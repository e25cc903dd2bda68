# SPDX-License-Identifier: GPL-2.0-or-later
"""Throw-away certificates for a run: all keys P-256, as today's origins have them."""

import os
import subprocess

NAME = "bench.example"
PROXY_CA_NAME = "ksplit bench proxy CA"


def _openssl(*words):
    subprocess.run(["openssl", *words], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE)


def _key(path):
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)


class Pki:
    """The files of one run, below folder; made unless they are there."""

    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        os.makedirs(self.folder, mode=0o755, exist_ok=True)
        self.origin_ca = self._authority("origin-ca", "ksplit bench origin CA")
        self.proxy_ca = self._authority("proxy-ca", PROXY_CA_NAME)
        self.origin = self._leaf("origin", "origin-ca")
        self.fixed = self._leaf("fixed", "proxy-ca")
        self.leaf_key = self._path("leaf.key")
        if not os.path.exists(self.leaf_key):
            _key(self.leaf_key)

    def _path(self, name):
        return os.path.join(self.folder, name)

    def _authority(self, name, subject):
        cert, key = self._path(name + ".pem"), self._path(name + ".key")
        if os.path.exists(cert):
            return cert, key
        _key(key)
        _openssl("req", "-x509", "-new", "-key", key, "-sha256", "-days", "30",
                 "-subj", f"/O=ksplit/CN={subject}", "-out", cert,
                 "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        return cert, key

    def _leaf(self, name, issuer):
        cert, key = self._path(name + ".pem"), self._path(name + ".key")
        if os.path.exists(cert):
            return cert, key
        request, extensions = self._path(name + ".csr"), self._path(name + ".ext")
        _key(key)
        with open(extensions, "w", encoding="utf-8") as out:
            out.write(f"subjectAltName=DNS:{NAME},DNS:www.{NAME},IP:127.0.0.1\n"
                      "extendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n")
        _openssl("req", "-new", "-key", key, "-subj", f"/O=ksplit/CN={NAME}", "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self._path(issuer + ".pem"),
                 "-CAkey", self._path(issuer + ".key"), "-sha256", "-days", "20",
                 "-extfile", extensions, "-out", cert)
        return cert, key
