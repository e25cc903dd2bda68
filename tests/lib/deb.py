# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian package of the programs under test."""

import functools
import os
import shutil
from pathlib import Path

from . import env
from .process import run


@functools.lru_cache(maxsize=1)
def make(folder):
    """What `make deb` makes of what is built, moved into a folder: its path. Made once. Nothing is
    built: the programs are there, and are what `all` stands for."""
    build = os.path.relpath(env.BUILD, env.ROOT)
    made = ["-o", "all"]
    for program in sorted(env.BUILD.iterdir()):
        if program.is_file() and os.access(program, os.X_OK):
            made += ["-o", "%s/%s" % (build, program.name)]
    run("make", "-C", env.ROOT, "BUILD=" + build, *made, "deb")
    found = list(env.BUILD.glob("ksplit_*.deb"))
    assert len(found) == 1
    return Path(shutil.move(found[0], folder))


def newer(package, folder):
    """The same package with a higher version number."""
    tree = folder / "newer"
    run("dpkg-deb", "--raw-extract", package, tree)
    control = tree / "DEBIAN" / "control"
    lines = control.read_text().splitlines()
    control.write_text("\n".join(line + "+newer" if line.startswith("Version: ") else line
                                 for line in lines) + "\n")
    made = folder / "ksplit_newer.deb"
    run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, made)
    return made
