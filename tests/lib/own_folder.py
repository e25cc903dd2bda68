# SPDX-License-Identifier: GPL-2.0-or-later
"""A folder for a server that gives up root: one that its user may enter and write to, with a
certificate and key that it may read."""

import os
import pwd
import shutil
import tempfile
from pathlib import Path


class OwnFolder:
    """Removed by close()."""

    def __init__(self, user, certificate):
        self._account = pwd.getpwnam(user)
        self.path = Path(tempfile.mkdtemp(prefix="ksplit-test-%s-" % user))
        self._give(self.path, 0o755)
        self.cert, self.key = self.path / "server.pem", self.path / "server.key"
        for source, place in ((certificate.cert, self.cert), (certificate.key, self.key)):
            shutil.copy(source, place)
            self._give(place, 0o600)

    def _give(self, path, mode):
        os.chmod(path, mode)
        os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def close(self):
        shutil.rmtree(self.path, ignore_errors=True)


class OwnServer:
    """A server that has one: `self._own`, and once it runs `self._server`. Ended where its block
    ends."""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self._server.close()
        self._own.close()
