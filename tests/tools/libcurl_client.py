# SPDX-License-Identifier: GPL-2.0-or-later
"""One of Debian's three libcurls, by its file name, as a client of the interoperability tests: the
program curl exists with OpenSSL alone. What it reads and writes: tests/lib/visits.py.

    libcurl_client.py LIBRARY CA-FILE BODY

An empty CA-FILE: what the library trusts by itself (for NSS the database of SSL_DIR).
"""

import ctypes
import hashlib
import sys

# curl/curl.h: options are a type's base (long 0, pointer 10000, function 20000) and a number.
WRITEDATA, URL, POSTFIELDS, CAINFO = 10001, 10002, 10015, 10065
WRITEFUNCTION, HTTPHEADER = 20011, 10023
TIMEOUT, HTTPGET, POSTFIELDSIZE, NOSIGNAL = 13, 80, 60, 99
FORBID_REUSE, HTTP_VERSION, CERTINFO, IPRESOLVE = 75, 84, 172, 113
RESPONSE_CODE, NUM_CONNECTS, INFO_CERTINFO, INFO_HTTP_VERSION = (
    0x200002, 0x20001a, 0x400022, 0x20002e)
VERSIONS = {"1.1": 2, "2": 4}
VERSION_NAMES = {1: "1.0", 2: "1.1", 3: "2"}
GLOBAL_ALL = 3
WRITE = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.POINTER(ctypes.c_char), ctypes.c_size_t,
                         ctypes.c_size_t, ctypes.c_void_p)


class List(ctypes.Structure):
    pass


List._fields_ = [("data", ctypes.c_char_p), ("next", ctypes.POINTER(List))]


class Certificates(ctypes.Structure):
    _fields_ = [("count", ctypes.c_int), ("lists", ctypes.POINTER(ctypes.POINTER(List)))]


class Curl:
    """An easy handle: its connections and TLS sessions are kept from step to step."""

    def __init__(self, path, authority):
        self._library = library = ctypes.CDLL(path)
        library.curl_easy_init.restype = ctypes.c_void_p
        library.curl_slist_append.restype = ctypes.c_void_p
        library.curl_easy_strerror.restype = ctypes.c_char_p
        library.curl_global_init(ctypes.c_long(GLOBAL_ALL))
        self._handle = ctypes.c_void_p(library.curl_easy_init())
        self._digest = None
        self._write = WRITE(self._take)
        # No waiting for "100 Continue" before a large body.
        self._headers = ctypes.c_void_p(library.curl_slist_append(None, b"Expect:"))
        self._set(WRITEFUNCTION, self._write)
        self._set(HTTPHEADER, self._headers)
        self._set_long(TIMEOUT, 60)
        self._set_long(NOSIGNAL, 1)
        self._set_long(CERTINFO, 1)
        self._set_long(IPRESOLVE, 1)
        if authority:
            self._set(CAINFO, ctypes.c_char_p(authority.encode()))

    def _set(self, option, value):
        self._check(self._library.curl_easy_setopt(self._handle, ctypes.c_int(option), value))

    def _set_long(self, option, value):
        self._set(option, ctypes.c_long(value))

    def _check(self, code):
        if code:
            raise OSError(self._library.curl_easy_strerror(ctypes.c_int(code)).decode())

    def _take(self, data, size, count, _):
        self._digest.update(ctypes.string_at(data, size * count))
        return size * count

    def _long(self, info):
        value = ctypes.c_long()
        self._check(self._library.curl_easy_getinfo(self._handle, ctypes.c_int(info),
                                                    ctypes.byref(value)))
        return value.value

    def _issuer(self):
        """As the library words it; None where it tells no certificates (of a resumed session)."""
        told = ctypes.POINTER(Certificates)()
        self._check(self._library.curl_easy_getinfo(self._handle, ctypes.c_int(INFO_CERTINFO),
                                                    ctypes.byref(told)))
        if not told or not told.contents.count:
            return None
        entry = told.contents.lists[0]
        while entry:
            if entry.contents.data.startswith(b"Issuer:"):
                return entry.contents.data.partition(b":")[2].decode(errors="replace")
            entry = entry.contents.next
        return None

    def step(self, url, http, method, body, last):
        self._digest = hashlib.sha256()
        self._set(URL, ctypes.c_char_p(url.encode()))
        self._set_long(HTTP_VERSION, VERSIONS[http])
        self._set_long(FORBID_REUSE, last)
        if method == "POST":
            self._set_long(POSTFIELDSIZE, len(body))
            self._set(POSTFIELDS, ctypes.c_char_p(body))
        else:
            self._set_long(HTTPGET, 1)
        self._check(self._library.curl_easy_perform(self._handle))
        return "%d %s %s %s" % (self._long(RESPONSE_CODE),
                                VERSION_NAMES[self._long(INFO_HTTP_VERSION)],
                                self._digest.hexdigest(), self._issuer() or "-")


def main():
    library, authority, body_path = sys.argv[1:]
    with open(body_path, "rb") as file:
        body = file.read()
    curl = Curl(library, authority)
    for number, line in enumerate(sys.stdin):
        port, http, *steps = line.split()
        pairs = list(zip(steps[::2], steps[1::2]))
        for at, (method, path) in enumerate(pairs, 1):
            try:
                print(number, curl.step("https://localhost:%s%s" % (port, path), http, method, body,
                                        at == len(pairs)))
            except OSError as exc:
                print(number, "error", exc)


main()
