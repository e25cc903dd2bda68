# SPDX-License-Identifier: GPL-2.0-or-later
"""Web servers of several makes, one ksplitd before all of them, and those who trust its CA."""

from . import env
from .daemon import Ksplitd
from .visits import Trust
from .web_origins import Backend, Content


class World:
    """All origins, and a ksplitd with a listener for each."""

    def __init__(self, folder, pki, kinds):
        content_folder = folder / "content"
        content_folder.mkdir()
        self.content = Content(content_folder)
        self._backend = Backend(self.content)
        self.trust = self._trust(folder / "trust", pki.ca)
        self.trust_of_origins = self._trust(folder / "trust-of-origins", pki.origin_ca)
        self.origins = {}
        for kind in kinds:
            if not env.missing_programs(kind.needs):
                self.origins[kind] = kind.start(folder, getattr(pki, kind.certificate),
                                                self.content, self._backend)
        # One worker: its connections are numbered in the order in which they came.
        self.daemon = Ksplitd(pki, ["127.0.0.1:%d" % origin.port
                                    for origin in self.origins.values()], {"workers": 1})
        self.ports = dict(zip(self.origins, self.daemon.ports))

    @staticmethod
    def _trust(folder, authority):
        folder.mkdir()
        return Trust(folder, authority)

    def visit(self, client, visits):
        """All of them through ksplitd: the lines of its access log, and the answers."""
        mark = self.daemon.mark()
        answers = client.visit_all(self.trust, self.content.body, visits)
        entries = sorted(self.daemon.wait_log(mark, len(visits)), key=lambda entry: entry["id"])
        assert len(entries) == len(visits), "not one connection a visit: %s" % entries
        return entries, answers

    def __enter__(self):
        try:
            self.daemon.__enter__()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *exc):
        try:
            self.daemon.__exit__(*exc)
        finally:
            self._close()

    def _close(self):
        for origin in self.origins.values():
            origin.close()
        self._backend.close()
