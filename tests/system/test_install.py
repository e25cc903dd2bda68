# SPDX-License-Identifier: GPL-2.0-or-later
"""`make install` and `make uninstall` into a folder of the test's own."""

import os

import pytest

from lib import env
from lib.process import run


@pytest.mark.needs("make")
def test_install_is_complete_and_uninstall_leaves_nothing(tmp_path):
    # The daemon under test is what is installed: nothing is built here.
    build = os.path.relpath(env.BUILD, env.ROOT)
    arguments = ["-C", env.ROOT, "BUILD=" + build, "DESTDIR=%s" % tmp_path, "PREFIX=/opt/ksplit", "SYSCONFDIR=/etc",
                 "-o", build + "/ksplitd", "-o", build + "/ksplit-status",
                 "-o", build + "/ksplit-doctor", "-o", build + "/ksplit-ca"]
    run("make", "install", *arguments)
    prefix = tmp_path / "opt" / "ksplit"
    assert (prefix / "sbin" / "ksplitd").read_bytes() == (env.BUILD / "ksplitd").read_bytes()
    assert run(prefix / "sbin" / "ksplitd", "--version").stdout
    assert run(prefix / "bin" / "ksplit-status", "--help").stdout
    assert run(prefix / "sbin" / "ksplit-doctor", "--help").stdout
    assert run(prefix / "sbin" / "ksplit-ca", "--help").stdout
    pages = sorted(path.relative_to(prefix).as_posix()
                   for path in (prefix / "share" / "man").rglob("*.[158]"))
    assert pages == ["share/man/man1/ksplit-status.1", "share/man/man5/ksplit.json.5",
                     "share/man/man8/ksplit-ca.8", "share/man/man8/ksplit-doctor.8",
                     "share/man/man8/ksplitd.8"]
    for name in ("systemd/system/ksplit.service", "systemd/system/ksplit.socket",
                 "sysusers.d/ksplit.conf", "tmpfiles.d/ksplit.conf"):
        assert (prefix / "lib" / name).exists()
    run("make", "uninstall", *arguments)
    left = [path for path in tmp_path.rglob("*") if not path.is_dir()]
    assert left == [tmp_path / "etc/ksplit/ksplit.json"]
