# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the system tests; see docs/testing.md."""

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import docs_scene, env, exact, origins, stage as stages  # noqa: E402
from lib.capturing import Site  # noqa: E402
from lib.daemon import RELAYS, Ksplitd  # noqa: E402
from lib.netns import Row  # noqa: E402
from lib.pki import Pki  # noqa: E402
from lib.proxy import Proxy  # noqa: E402
from lib.scene import Scene  # noqa: E402
from lib.service import Identities, Service  # noqa: E402

TEST_SECONDS = 6 * env.PATIENCE


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(*programs): skipped, aloud, without these programs")
    config.addinivalue_line("markers", "relays(*names): with which relays to run (default all)")
    config.addinivalue_line("markers", "every_relay: not cut to KSPLIT_RELAYS, or to those that differ")


# What moves much, and how it ends: with more than one relay where KSPLIT_RELAYS names more. For the
# others auto, the last, is both copy and splice.
SPLICED = ("test_bulk", "test_endings")
# What an emulated kernel has a part in; auto is the two of them, and user space is the host's.
OF_THE_KERNEL = ("splice", "copy")
# Where there is no kernel TLS all four are the user relay, asked for or fallen back to.
WITHOUT_KERNEL = ("user", "auto")


def relays_of(definition):
    """Those that the test names, cut to KSPLIT_RELAYS where an emulated machine would take too
    long over all of them, and to those that differ; never none."""
    marker = definition.get_closest_marker("relays")
    relays = marker.args if marker else RELAYS
    if definition.get_closest_marker("every_relay") and not env.SANITIZED:
        if not env.IN_VM:
            return relays
        if env.EXPECT_KTLS:
            return [relay for relay in relays if relay in OF_THE_KERNEL]
    wanted = [relay for relay in os.environ.get("KSPLIT_RELAYS", "").split(",") if relay]
    if len(wanted) > 1 and definition.module.__name__ not in SPLICED:
        wanted = wanted[-1:]
    if not wanted:
        wanted = RELAYS if env.EXPECT_KTLS else WITHOUT_KERNEL
    return [relay for relay in relays if relay in wanted] or relays[:1]


def pytest_generate_tests(metafunc):
    if "proxy" in metafunc.fixturenames:
        metafunc.parametrize("proxy", relays_of(metafunc.definition), indirect=True,
                             scope="function")


def pytest_runtest_setup(item):
    for marker in item.iter_markers("needs"):
        missing = env.missing_programs(*marker.args)
        if missing:
            pytest.skip("needs " + ", ".join(missing))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """A test that hangs is a failure of its own, not of the whole run."""
    def too_long(number, frame):
        raise AssertionError("test still runs after %d s" % TEST_SECONDS)

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(int(TEST_SECONDS))
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class _Counts:
    """Writes "passed failed skipped" for the runner; an error in set-up or tear-down is a
    failure of its test, and no test is counted twice."""

    def __init__(self, path):
        self._path = path
        self._outcome = {}

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self._outcome[report.nodeid] = "failed"
        elif report.skipped:
            self._outcome.setdefault(report.nodeid, "skipped")
        elif report.when == "call":
            self._outcome.setdefault(report.nodeid, "passed")

    def pytest_collectreport(self, report):
        if report.failed:
            self._outcome[report.nodeid] = "failed"

    def pytest_sessionfinish(self):
        values = list(self._outcome.values())
        self._path.write_text("%d %d %d\n" % tuple(
            values.count(kind) for kind in ("passed", "failed", "skipped")))


if os.environ.get("KSPLIT_COUNTS"):
    _counts = _Counts(Path(os.environ["KSPLIT_COUNTS"]))
    pytest_runtest_logreport = _counts.pytest_runtest_logreport
    pytest_collectreport = _counts.pytest_collectreport

    def pytest_sessionfinish(session):
        _counts.pytest_sessionfinish()


_seconds = {}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item, call):
    """What CI's time is spent on is told for each file."""
    name = item.path.name
    _seconds[name] = _seconds.get(name, 0) + call.duration


def pytest_terminal_summary(terminalreporter):
    terminalreporter.section("seconds by file")
    for name, seconds in sorted(_seconds.items(), key=lambda pair: -pair[1]):
        terminalreporter.write_line("%6.0f s %s" % (seconds, name))


def pytest_report_header():
    return "ksplit: %s, kernel TLS %s, build %s" % (
        os.uname().release, "expected" if env.EXPECT_KTLS else "not expected", env.BUILD)


# -- the world around ksplitd ------------------------------------------------------------------


@pytest.fixture(scope="session")
def scratch():
    """A folder for the whole session, with a path short enough for Unix sockets."""
    with tempfile.TemporaryDirectory(prefix="ksplit-test-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def pki(scratch):
    """Made anew, or copied from where the runner has made it."""
    folder = scratch / "pki"
    if os.environ.get("KSPLIT_PKI"):
        shutil.copytree(os.environ["KSPLIT_PKI"], folder)
    folder.mkdir(exist_ok=True)
    return Pki(folder)


@pytest.fixture(scope="session")
def nginx(scratch, pki):
    if env.missing_programs("nginx"):
        pytest.skip("needs nginx")
    server = origins.Nginx(scratch, pki.origin)
    yield server
    server.close()


@pytest.fixture(scope="session")
def stage():
    """The in-process origin: each test brings its act (see lib/stage.py)."""
    theatre = stages.Stage.listen()
    yield theatre
    theatre.close()


@pytest.fixture(scope="session")
def spare_port():
    """A port for an origin that lives as long as one test."""
    return env.free_port()


@pytest.fixture(scope="module")
def row():
    """Client, gateway and origin in network namespaces (see lib/netns.py)."""
    missing = env.missing_programs("ip", "nft")
    if missing:
        pytest.skip("needs " + ", ".join(missing))
    namespaces = Row()
    yield namespaces
    namespaces.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory, pki):
    """The same with nginx at the origin's, for a ksplitd that captures (see lib/capturing.py)."""
    place = Site(tmp_path_factory.mktemp("capture") / "nginx", pki)
    yield place
    place.close()


@pytest.fixture(scope="module")
def docs_world(tmp_path_factory):
    """The same with an origin, where the documentation is tried (see lib/docs_scene.py)."""
    made = docs_scene.World(tmp_path_factory.mktemp("docs"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory, pki):
    """A service of this host, for incoming calls (see lib/service.py)."""
    running = Service(tmp_path_factory.mktemp("service"), pki.origin)
    yield running
    running.close()


@pytest.fixture
def identities(tmp_path, pki):
    """The service's certificates, in a folder that the test may write to."""
    return Identities(pki, tmp_path)


# -- ksplitd -----------------------------------------------------------------------------------


# An emulated machine takes seconds to verify the BPF programs at each start. Where a test has a daemon
# of its own and asks nothing of observation, it does without; of the long-lived ones the usual one has
# all of it.
UNOBSERVED = {"test_endings", "test_key_update", "test_clients", "test_pass_through",
              "test_origin_trouble", "test_starttls", "test_destinations", "test_bulk",
              "test_incoming_service"}
WITHOUT_BPF = {"sampler": "user", "sampling": {"timings": False, "processes": False}}


@pytest.fixture(scope="session")
def _daemons(pki, nginx, stage, spare_port):
    """One daemon for each relay, started when first asked for, judged at the end."""
    running = {}

    def get(relay):
        if relay not in running or not running[relay].running():
            base = WITHOUT_BPF if env.IN_VM and relay != "auto" else {}
            running[relay] = Ksplitd(
                pki, ["127.0.0.1:%d" % port for port in (stage.port, nginx.port, spare_port)],
                dict(base, relay=relay)).start()
        return running[relay]

    yield get
    for daemon in running.values():
        daemon.stop()


@pytest.fixture
def proxy(request, _daemons, pki, stage, nginx, spare_port):
    """The long-lived daemon of one relay. After the test it must be alive, without open
    connections, and hold no more sockets than before."""
    view = Proxy(_daemons(request.param), request.param, pki, stage, nginx, spare_port)
    yield view
    if view.daemon.running():
        view.daemon.settle()
    assert view.daemon.running(), "ksplitd died:\n%s\n%s" % (
        view.daemon.tail(), view.daemon.sanitizer_reports())


@pytest.fixture
def ksplitd(pki, request):
    """A factory of daemons of the test's own: ksplitd(to, settings, ...) is started at once and
    judged when the test is over."""
    started = []
    base = WITHOUT_BPF if env.IN_VM and request.module.__name__ in UNOBSERVED else {}

    def start(to, settings=None, **more):
        daemon = Ksplitd(pki, to, dict(base, **(settings or {})), **more)
        started.append(daemon)
        return daemon.start()

    yield start
    for daemon in started:
        daemon.stop()


@pytest.fixture(scope="module", params=exact.samplers())
def _scene_daemon(request, pki, stage):
    """One daemon of each kind for a module's scenes; anew when one has died."""
    running = []

    def get():
        if not running or not running[-1].running():
            running.append(Ksplitd(pki, "127.0.0.1:%d" % stage.port,
                                   {"sampler": request.param}).start())
        return running[-1], exact.kernel_source() if request.param == "auto" else "user"

    yield get
    for daemon in running:
        daemon.stop()


@pytest.fixture
def scene(_scene_daemon, pki, stage):
    """By the best sampler of this kernel, and by the daemon's own (the same one on kernels
    without kernel TLS)."""
    return Scene(*_scene_daemon(), pki, stage)
