# SPDX-License-Identifier: GPL-2.0-or-later
"""Marked secrets, and the search for what is left of them.

Every secret of a test contains the same six random characters over and over, so that one look finds
each of them, and any dozen characters of one, without a list of all."""

import base64
import ctypes
import ctypes.util
import functools
import random
import string
import struct

# Capitals that RFC 7541 codes with seven bits each: eight of them fill at least six whole bytes,
# wherever in a byte they begin.
LETTERS = "BCDEFGHIJKLMNOPQRSTUVWY"
TAG_LEN = 8
REPEATS = 4


def _random(count, alphabet):
    return "".join(random.SystemRandom().choice(alphabet) for _ in range(count))


class _Field(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("value", ctypes.c_char_p),
                ("name_len", ctypes.c_size_t), ("value_len", ctypes.c_size_t),
                ("flags", ctypes.c_uint8)]


@functools.cache
def _nghttp2():
    """Finding it takes a program that an emulated machine starts slowly."""
    return ctypes.CDLL(ctypes.util.find_library("nghttp2") or "libnghttp2.so.14")


def huffman(value):
    """The value as RFC 7541 5.2 codes it, made by nghttp2."""
    library = _nghttp2()
    deflater = ctypes.c_void_p()
    assert library.nghttp2_hd_deflate_new(ctypes.byref(deflater), ctypes.c_size_t(4096)) == 0
    out = ctypes.create_string_buffer(len(value) + 64)
    field = _Field(b"x", value, 1, len(value), 1)
    library.nghttp2_hd_deflate_hd.restype = ctypes.c_ssize_t
    size = library.nghttp2_hd_deflate_hd(deflater, out, ctypes.c_size_t(len(out)),
                                         ctypes.byref(field), ctypes.c_size_t(1))
    library.nghttp2_hd_deflate_del(deflater)
    assert size > 0, size
    # Literal, never indexed, new name of one byte: 0x10, the name, then the value's string.
    block = out.raw[:size]
    coded, rest = read_string(block[block.index(b"\x10") + 3:])
    assert not rest
    return coded


def read_string(data):
    """The bytes of a string literal, still coded, and what follows."""
    assert data[0] & 0x80, "not Huffman coded"
    size, at = data[0] & 0x7f, 1
    if size == 0x7f:
        shift = 0
        while True:
            size += (data[at] & 0x7f) << shift
            shift += 7
            at += 1
            if not data[at - 1] & 0x80:
                break
    return data[at:at + size], data[at + size:]


class Marks:
    """`secret(place)` gives a new secret of forty characters; `find(data)` tells the places whose
    secrets are in there, as they are, in base64 or coded by HPACK."""

    def __init__(self):
        self.tag = _random(TAG_LEN, LETTERS)
        self._places = {}
        self._needles = {self.tag.encode(): "plain"}
        self._add_base64()
        self._add_huffman()

    def _add_base64(self):
        """Of each of the three ways to lie in groups of three bytes, the characters that do not
        depend on neighbours."""
        tag = self.tag.encode()
        for shift in range(3):
            coded = base64.b64encode(b"\0" * shift + tag + b"\0" * 2)
            first = (shift * 8 + 5) // 6
            last = (shift + len(tag)) * 8 // 6
            self._needles[coded[first:last]] = "base64"

    def _add_huffman(self):
        """The same for the eight ways to lie in bytes."""
        coded = huffman(self.tag.encode())
        bits = "".join(format(byte, "08b") for byte in coded)
        assert len(bits) == 7 * TAG_LEN, bits
        for shift in range(8):
            inner = bits[shift:shift + (len(bits) - shift) // 8 * 8]
            self._needles[int(inner, 2).to_bytes(len(inner) // 8, "big")] = "Huffman coded"

    def secret(self, place):
        value = ""
        for _ in range(REPEATS):
            two = _random(1, string.digits) + _random(1, string.ascii_lowercase)
            self._places[(self.tag + two).encode()] = place
            value += self.tag + two
        return value

    def _tell(self, data, at, kind):
        if kind == "plain":
            kind = self._places.get(bytes(data[at:at + TAG_LEN + 2]), "some")
        return "%s: %r" % (kind, bytes(data[max(0, at - 24):at + 48]))

    def find(self, data):
        """Where each needle is first seen: sentences for a person; empty when there is none."""
        found = []
        for needle, kind in self._needles.items():
            at = data.find(needle)
            if at >= 0:
                found.append(self._tell(data, at, kind))
        return found


# -- HTTP/2 frames and header blocks, byte by byte (RFC 9113 4.1, RFC 7541 6) --------------------

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, CONTINUATION = 0, 1, 4, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
INDEXED, PLAIN, NEVER = 0x40, 0x00, 0x10 # how a literal field asks to be kept


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def text(value, coded):
    """A string literal (5.2)."""
    data = huffman(value.encode()) if coded else value.encode()
    bit, size = 0x80 if coded else 0, len(data)
    if size < 0x7f:
        return bytes([bit | size]) + data
    size -= 0x7f
    out = bytes([bit | 0x7f])
    while size >= 0x80:
        out += bytes([size & 0x7f | 0x80])
        size >>= 7
    return out + bytes([size]) + data


def field(name, value, kept=PLAIN, coded=False):
    return bytes([kept]) + text(name, coded) + text(value, coded)


def headers(stream, block, end_stream=False, most=16384):
    """A HEADERS frame and as many CONTINUATIONs as it takes."""
    pieces = [block[i:i + most] for i in range(0, len(block), most)] or [b""]
    out = b""
    for number, piece in enumerate(pieces):
        flags = END_HEADERS if number == len(pieces) - 1 else 0
        flags |= END_STREAM if end_stream and number == 0 else 0
        out += frame(CONTINUATION if number else HEADERS, flags, stream, piece)
    return out
