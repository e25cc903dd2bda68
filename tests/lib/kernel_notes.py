# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the tables of Kbuild-notes, and what the running kernel was built with."""

import gzip
import os
import platform
import re
from pathlib import Path

from .env import ROOT

NOTES = ROOT / "Kbuild-notes"


def version_parse(text):
    return tuple(int(n) for n in re.match(r"[\d.]+", text).group().strip(".").split("."))


RELEASE = platform.release()
VERSION = version_parse(RELEASE)[:2]

# Modules that an option builds, for kernels whose configuration file is nowhere to be found.
MODULES = {
    "CONFIG_TLS": "tls", "CONFIG_CRYPTO_GCM": "gcm", "CONFIG_CRYPTO_CCM": "ccm",
    "CONFIG_CRYPTO_CHACHA20POLY1305": "chacha20poly1305", "CONFIG_INET_DIAG": "inet_diag",
    "CONFIG_CRYPTO_AES_NI_INTEL": "aesni_intel", "CONFIG_INET_TCP_DIAG": "tcp_diag",
    "CONFIG_NF_TABLES": "nf_tables", "CONFIG_NFT_REDIR": "nft_redir",
    "CONFIG_NFT_TPROXY": "nft_tproxy", "CONFIG_NFT_NAT": "nft_nat",
    "CONFIG_NFT_FIB_INET": "nft_fib_inet", "CONFIG_NFT_SOCKET": "nft_socket",
    "CONFIG_NFT_CT": "nft_ct", "CONFIG_NFT_REJECT_INET": "nft_reject_inet",
    "CONFIG_NF_CONNTRACK": "nf_conntrack",
}


class Row:
    def __init__(self, name):
        self.name = name
        self.options = []
        self.first = ()
        self.command = ""
        self.test = ""

    def expected(self):
        """Does it work here, going by what the notes say and how this kernel was built?"""
        first = self.first if self.first[0] >= 3 else self.first[:2]
        return VERSION >= first and all(option_is_set(option) for option in self.options)


def tables_read(text):
    """The tables of a text as lists of rows of cells: a line of dashes under the head gives the
    columns, a line without a first cell goes on with the row above, an empty line ends it."""
    lines = text.splitlines()
    tables = []
    for number, line in enumerate(lines):
        if not re.fullmatch(r"-+(  -+)+", line):
            continue
        columns = [match.span() for match in re.finditer("-+", line)]
        rows = []
        for row_line in lines[number + 1:]:
            if not row_line.strip():
                break
            cells = [row_line[start:end].strip() for start, end in columns]
            if cells[0]:
                rows.append(cells)
            else:
                rows[-1] = [f"{a} {b}".strip() for a, b in zip(rows[-1], cells)]
        tables.append(rows)
    return tables


def rows_read():
    """Every row by its name. Both tables must name the same rows in the same order."""
    needs, seen = tables_read(NOTES.read_text(encoding="utf-8"))
    assert [row[0] for row in needs] == [row[0] for row in seen], "the two tables name other rows"
    rows = {}
    for (name, options, first, lost), (_, command, test) in zip(needs, seen):
        row = rows[name] = Row(name)
        row.options = options.split()
        row.first = version_parse(first)
        row.command = command
        row.test = test
        assert lost and command, f"{name}: an empty cell"
    assert len(rows) == len(needs), "a row is there twice"
    return rows


def _config_files():
    cache = Path(os.environ.get("KSPLIT_CACHE") or
                 Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ksplit")
    return [Path("/proc/config.gz"), Path(f"/boot/config-{RELEASE}"),
            Path(f"/lib/modules/{RELEASE}/config"), cache / "vm" / "kernels" / RELEASE / "config"]


def _config_read():
    for path in _config_files():
        if path.exists():
            text = path.read_bytes()
            return (gzip.decompress(text) if path.suffix == ".gz" else text).decode()
    return None


_config = _config_read()


def option_value(option):
    """"y", "m", "" (not set), or None: this kernel does not tell."""
    if _config is not None:
        match = re.search(rf"^{option}=(\w+)$", _config, re.M)
        return match.group(1) if match else ""
    if option not in MODULES:
        return None
    for index, value in (("modules.builtin", "y"), ("modules.dep", "m")):
        path = Path(f"/lib/modules/{RELEASE}/{index}")
        text = path.read_text(encoding="utf-8").replace("-", "_") if path.exists() else ""
        if re.search(rf"/{MODULES[option]}\.ko", text):
            return value
    return ""


def option_is_set(option):
    return option_value(option) != ""
