# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/fences on a tree with one #include of each kind that does not belong there."""

from lib import env
from lib.process import run

HEADERS = ("include/ksplit/reason.h", "user/core/log.h", "user/core/conn.h", "user/tls/session.h",
           "user/relay/end.h", "user/observe/taps.h", "user/base/child.h", "tools/lib/table.h", "tools/one/own.h")
ALLOWED = {
    "user/core/conn.c": ('"relay/end.h"', '"core/conn.h"', "<ksplit/reason.h>", "<stdio.h>"),
    "user/base/child.c": ('"base/child.h"', '"core/log.h"'),
    "user/tls/session.c": ('"base/child.h"',),
    "user/relay/end.c": ('"tls/session.h"', '"observe/taps.h"', '"core/log.h"'),
    "tools/one/main.c": ('"own.h"', '"table.h"', "<ksplit/reason.h>"),
    "bpf/sampler.bpf.c": ('"vmlinux.h"', "<ksplit/reason.h>"),
}
MISPLACED = {
    "user/tls/key.c": ('"relay/end.h"', '"observe/taps.h"', '"core/conn.h"', '"../core/conn.h"'),
    "user/observe/head.c": ('"core/conn.h"', '"tls/session.h"', '"own.h"'),
    "user/base/wait.c": ('"observe/taps.h"', '"core/conn.h"'),
    "user/core/log.c": ('"base/child.h"', '"tls/session.h"',),
    "tools/one/try.c": ('"core/log.h"', '"../../user/core/log.h"', "<ksplit/no_such.h>"),
    "bpf/steer.bpf.c": ('"core/log.h"', '"table.h"'),
    "include/ksplit/event.h": ('"core/log.h"',),
}


def test_what_does_not_belong_is_found(tmp_path):
    for name in HEADERS:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "bpf").mkdir()
    for name, wanted in (*ALLOWED.items(), *MISPLACED.items()):
        (tmp_path / name).write_text("".join("#include %s\n" % what for what in wanted))
    done = run(env.ROOT / "tests/fences", tmp_path, check=False)
    found = [line.split(" does not")[0] for line in done.stdout.decode().splitlines()]
    assert done.returncode == 1, done.stderr
    assert sorted(found) == sorted(
        '%s:%d: "%s"' % (name, number, what[1:-1])
        for name, wanted in MISPLACED.items() for number, what in enumerate(wanted, 1))
