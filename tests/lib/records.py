# SPDX-License-Identifier: GPL-2.0-or-later
"""A TLS peer that is master of its own records.

The ssl module does the handshake; then keys derived from the key log (RFC 8446 7.3, RFC 5246 6.3)
let the test send and read any record: other content types, empty ones, wrong tags, bogus headers,
alerts of every kind, KeyUpdate, padding, a FIN without close_notify.
"""

import hashlib
import hmac
import os
import socket
import ssl
import struct
import tempfile
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from .env import PATIENCE
from .stream import reset

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
WARNING, FATAL = 1, 2
CLOSE_NOTIFY, UNEXPECTED_MESSAGE, BAD_RECORD_MAC, RECORD_OVERFLOW = 0, 10, 20, 22
HANDSHAKE_FAILURE, BAD_CERTIFICATE, UNKNOWN_CA, DECODE_ERROR = 40, 42, 48, 50
INTERNAL_ERROR, USER_CANCELED, CERTIFICATE_REQUIRED = 80, 90, 116
NEW_SESSION_TICKET, KEY_UPDATE = 4, 24

HEADER = 5


def _hash_of(cipher):
    return hashlib.sha384 if "SHA384" in cipher else hashlib.sha256


def _key_len(cipher):
    return 16 if "AES128" in cipher or "AES_128" in cipher else 32


def expand_label(hash_fn, secret, label, length):
    """HKDF-Expand-Label with an empty context (RFC 8446 7.1); one block is enough for keys."""
    full = b"tls13 " + label
    info = struct.pack("!HB", length, len(full)) + full + b"\0"
    return hmac.new(secret, info + b"\1", hash_fn).digest()[:length]


def prf(hash_fn, secret, label, seed, length):
    """The TLS 1.2 PRF (RFC 5246 5)."""
    out, a = b"", label + seed
    while len(out) < length:
        a = hmac.new(secret, a, hash_fn).digest()
        out += hmac.new(secret, a + label + seed, hash_fn).digest()
    return out[:length]


class _Direction:
    """Keys and sequence number of one direction."""

    def __init__(self, version, cipher, key, iv, secret=None):
        self._tls13 = version == "TLSv1.3"
        self._chacha = "CHACHA20" in cipher
        self._cipher, self._secret = cipher, secret
        self._aead = (ChaCha20Poly1305 if self._chacha else AESGCM)(key)
        self._iv = iv
        self.seq = 0

    @classmethod
    def of_secret(cls, cipher, secret):
        fn = _hash_of(cipher)
        return cls("TLSv1.3", cipher, expand_label(fn, secret, b"key", _key_len(cipher)),
                   expand_label(fn, secret, b"iv", 12), secret)

    def next_generation(self):
        """The direction after a KeyUpdate (RFC 8446 7.2)."""
        fn = _hash_of(self._cipher)
        return self.of_secret(self._cipher, expand_label(fn, self._secret, b"traffic upd",
                                                         fn().digest_size))

    def _nonce(self, explicit=None):
        if self._tls13 or self._chacha:
            return (int.from_bytes(self._iv, "big") ^ self.seq).to_bytes(12, "big")
        return self._iv + explicit

    def seal(self, kind, data, padding=0):
        """One whole record; the sequence number moves on."""
        if self._tls13:
            inner = data + bytes([kind]) + bytes(padding)
            header = struct.pack("!BHH", DATA, 0x0303, len(inner) + 16)
            body = self._aead.encrypt(self._nonce(), inner, header)
        else:
            explicit = b"" if self._chacha else struct.pack("!Q", self.seq)
            aad = struct.pack("!QBHH", self.seq, kind, 0x0303, len(data))
            body = explicit + self._aead.encrypt(self._nonce(explicit), data, aad)
            header = struct.pack("!BHH", kind, 0x0303, len(body))
        self.seq += 1
        return header + body

    def open(self, record):
        """(content type, data); InvalidTag leaves the sequence number as it is."""
        kind, body = record[0], record[HEADER:]
        if self._tls13:
            inner = self._aead.decrypt(self._nonce(), body, record[:HEADER]).rstrip(b"\0")
            if not inner:
                raise AssertionError("a record of padding alone")
            kind, data = inner[-1], inner[:-1]
        else:
            explicit, sealed = (b"", body) if self._chacha else (body[:8], body[8:])
            aad = struct.pack("!QBHH", self.seq, kind, 0x0303, len(sealed) - 16)
            data = self._aead.decrypt(self._nonce(explicit), sealed, aad)
        self.seq += 1
        return kind, data


class RecordPeer:
    """One connection. server=True plays the origin. After construction the handshake is done."""

    def __init__(self, sock, context, server=False, name="origin.test"):
        self.sock = sock
        self._in = bytearray()
        self._ahead = b""
        sock.settimeout(PATIENCE)
        with tempfile.NamedTemporaryFile(prefix="ksplit-keys-") as keylog:
            context.keylog_filename = keylog.name
            self._handshake(context, server, name, keylog.name)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()

    # -- handshake ---------------------------------------------------------------------------

    def _handshake(self, context, server, name, keylog):
        inbound, outbound = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(inbound, outbound, server_side=server,
                               server_hostname=None if server else name)
        came, went = [], []
        while True:
            try:
                tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                done = False
            except ssl.SSLError:
                self.sock.sendall(outbound.read())
                raise
            data = outbound.read()
            went += self._split(data)
            self.sock.sendall(data)
            if done:
                break
            record = self._next_record()
            if record is None:
                raise ssl.SSLEOFError("closed during the handshake")
            came.append(record)
            inbound.write(record)
        self.tls = tls
        self.version, self.cipher = tls.version(), tls.cipher()[0]
        self.alpn = tls.selected_alpn_protocol()
        self.certificate = None if server else tls.getpeercert(binary_form=True)
        self._derive(server, came, went, open(keylog).read())

    def _derive(self, server, came, went, keylog):
        client_side, server_side = (came, went) if server else (went, came)
        client_random = client_side[0][HEADER + 6:HEADER + 38]
        server_random = server_side[0][HEADER + 6:HEADER + 38]
        secrets = {}
        for line in keylog.splitlines():
            if line.startswith("#"):
                continue
            label, random_hex, secret = line.split()
            if bytes.fromhex(random_hex) == client_random:
                secrets[label] = bytes.fromhex(secret)
        if self.version == "TLSv1.3":
            keys = [_Direction.of_secret(self.cipher, secrets[label]) for label in
                    ("CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0")]
        else:
            keys = self._keys_of_master(secrets["CLIENT_RANDOM"], server_random + client_random)
        self._rx, self._tx = keys if server else reversed(keys)
        # What this side has sent under the final keys: they tell themselves by their tag.
        for record in went:
            try:
                self._tx.open(record)
            except (InvalidTag, AssertionError, ValueError, struct.error):
                continue
        for record in came:
            try:
                self._rx.open(record)
            except (InvalidTag, AssertionError, ValueError, struct.error):
                continue

    def _keys_of_master(self, master, seed):
        key_len = _key_len(self.cipher)
        iv_len = 12 if "CHACHA20" in self.cipher else 4
        block = prf(_hash_of(self.cipher), master, b"key expansion", seed,
                    2 * (key_len + iv_len))
        cut = [0, key_len, 2 * key_len, 2 * key_len + iv_len, 2 * (key_len + iv_len)]
        c_key, s_key, c_iv, s_iv = (block[a:b] for a, b in zip(cut, cut[1:]))
        return [_Direction(self.version, self.cipher, c_key, c_iv),
                _Direction(self.version, self.cipher, s_key, s_iv)]

    # -- reading -----------------------------------------------------------------------------

    @staticmethod
    def _split(data):
        records = []
        while data:
            end = HEADER + int.from_bytes(data[3:HEADER], "big")
            records.append(data[:end])
            data = data[end:]
        return records

    def _fill(self, count):
        while len(self._in) < count:
            data = self.sock.recv(65536)
            if not data:
                return False
            self._in += data
        return True

    def _next_record(self):
        if not self._fill(HEADER):
            return None
        end = HEADER + int.from_bytes(self._in[3:HEADER], "big")
        if not self._fill(end):
            raise AssertionError("FIN inside a record")
        record = bytes(self._in[:end])
        del self._in[:end]
        return record

    def receive(self, tickets=False):
        """The next record as (content type, data), None at a FIN. Session tickets are passed
        over unless asked for. ConnectionResetError at an RST."""
        if self._ahead:
            data, self._ahead = self._ahead, b""
            return DATA, data
        while True:
            record = self._next_record()
            if record is None:
                return None
            kind, data = self._rx.open(record)
            if kind == HANDSHAKE and data[0] == KEY_UPDATE:
                self._rx = self._rx.next_generation()
            if kind == HANDSHAKE and data[0] == NEW_SESSION_TICKET and not tickets:
                continue
            return kind, data

    def receive_data(self, count):
        """That many bytes of application data."""
        data = b""
        while len(data) < count:
            record = self.receive()
            if record is None or record[0] != DATA:
                raise AssertionError("wanted %d bytes of data, got %r after %d" % (
                    count, record, len(data)))
            data += record[1]
        # A relay may join what were records of their own.
        self._ahead = data[count:]
        return data[:count]

    def receive_end(self):
        """Read on to the end: (data bytes, how it ended). The end is "close_notify", "fin",
        "reset", or "alert N"; after an alert the FIN or RST that follows is awaited too."""
        total, ended = b"", None
        while True:
            try:
                record = self.receive()
            except (ConnectionResetError, BrokenPipeError):
                return total, ended or "reset"
            if record is None:
                return total, ended or "fin"
            kind, data = record
            if kind == DATA:
                total += data
            elif kind == ALERT:
                told = "close_notify" if data[1] == CLOSE_NOTIFY else "alert %d" % data[1]
                ended = ended or told
                if ended == "close_notify":
                    return total, ended

    # -- sending -----------------------------------------------------------------------------

    def send(self, data, kind=DATA, padding=0):
        """One record."""
        self.sock.sendall(self._tx.seal(kind, data, padding))

    def send_split(self, data, size):
        """Data in records of `size` bytes, all in one write."""
        self.sock.sendall(b"".join(self._tx.seal(DATA, data[at:at + size])
                                   for at in range(0, len(data), size)))

    def send_wire(self, raw):
        """Bytes as they are."""
        self.sock.sendall(raw)

    def seal(self, data, kind=DATA, padding=0):
        """A record to be spoilt or sent later in order."""
        return self._tx.seal(kind, data, padding)

    def send_bad_tag(self, data=b"spoilt"):
        record = bytearray(self.seal(data))
        record[-1] ^= 1
        self.send_wire(bytes(record))

    def alert(self, level, description):
        self.send(bytes([level, description]), ALERT)

    def close_notify(self):
        self.alert(WARNING, CLOSE_NOTIFY)

    def key_update(self, request):
        """KeyUpdate (RFC 8446 4.6.3), then send under the next keys."""
        self.send(bytes([KEY_UPDATE, 0, 0, 1, 1 if request else 0]), HANDSHAKE)
        self._tx = self._tx.next_generation()

    def fin(self):
        """FIN without close_notify; reading goes on."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        reset(self.sock)


def wait_until_acknowledged(sock):
    """Until the peer's kernel has taken everything that was sent (ioctl SIOCOUTQ, tcp(7))."""
    import fcntl
    deadline = time.monotonic() + PATIENCE
    while struct.unpack("i", fcntl.ioctl(sock.fileno(), 0x5411, bytes(4)))[0]:
        if time.monotonic() > deadline:
            raise AssertionError("the peer does not take what was sent")
        time.sleep(0.005)


def random_bytes(count):
    return os.urandom(count)
