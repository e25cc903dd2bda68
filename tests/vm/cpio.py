# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the "newc" archives that Linux unpacks as an initramfs.

Format: Documentation/driver-api/early-userspace/buffer-format.rst in the kernel's tree.
Archives may follow each other, each one padded to four bytes.
"""


def _entry(name, mode, data, inode):
    encoded = name.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    head += b"\0" * (-len(head) % 4)
    return head + data + b"\0" * (-len(data) % 4)


def archive(files):
    """The archive of files: a dict of path -> bytes, or None for a folder; all executable."""
    out = b""
    for inode, (name, data) in enumerate(files.items(), start=1):
        mode = 0o040755 if data is None else 0o100755
        out += _entry(name, mode, data or b"", inode)
    return out + _entry("TRAILER!!!", 0, b"", 0)
