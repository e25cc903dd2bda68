# SPDX-License-Identifier: GPL-2.0-or-later
"""ksplit-doctor and this host: every thing that can be wrong is made wrong, and has to be found.
Needs root (network and mount namespaces)."""

import ctypes
import datetime
import json
import os
import shutil
import socket

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lib import doctor, env
from lib.doctor import diagnose, only
from lib.process import run
from lib.status import SUMMARY, answer, path, serve  # noqa: F401

STA_UNSYNC = 0x40
SYS_ADJTIMEX = 159  # x86-64


@pytest.fixture
def config(tmp_path, pki):
    """A function that writes a configuration and returns the options that name it."""
    base = {"ca": {"cert": str(pki.ca.cert), "key": str(pki.ca.key)},
            "listeners": [{"listen": "127.0.0.1:%d" % env.free_port(), "to": "sni:443"}],
            "control": str(tmp_path / "control.sock")}

    def write(text=None, **members):
        file = tmp_path / "ksplit.json"
        file.write_text(text or json.dumps(dict(base, **members)))
        return "-c", str(file)
    return write


def make_ca(folder, start=-1, end=365, ca=True, sign=True, password=None):
    """A CA whose validity is told in days from now; its two files by the configuration's names."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "doctor's CA")])
    usage = dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment",
                           "data_encipherment", "key_agreement", "encipher_only",
                           "decipher_only"), False)
    cert = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=start))
            .not_valid_after(now + datetime.timedelta(days=end))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(key_cert_sign=sign, crl_sign=True, **usage),
                           critical=True)
            .sign(key, hashes.SHA256()))
    files = {"cert": folder / "doctor-ca.pem", "key": folder / "doctor-ca.key"}
    files["cert"].write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    protection = (serialization.BestAvailableEncryption(password) if password
                  else serialization.NoEncryption())
    files["key"].write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection))
    files["key"].chmod(0o600)
    return {name: str(file) for name, file in files.items()}


# -- command line ------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", (
    ("--wrong",), ("--only",), ("--only", "nothing"), ("-c", ""), ("--timeout", "0"),
    ("--timeout=x",), ("--timeout", "61"), ("word",)))
def test_wrong_usage(arguments):
    done = doctor.call(*arguments)
    assert done.returncode == 64
    assert done.stdout == ""
    assert done.stderr.startswith("ksplit-doctor: ") and done.stderr.count("\n") == 1


def test_help_and_version():
    assert "--only NAME" in doctor.call("--help").stdout
    assert doctor.call("--version").stdout.split()[0] == "ksplit-doctor"


def test_exit_codes_and_forms(config, tmp_path):
    """0 all good, 1 lost but works, 2 will not work; what is told in each form."""
    good = doctor.call(*config(), "--only", "epoll", "--only=ca-key")
    assert good.returncode == 0
    assert "Nothing that was tried is wrong.\n2 ok, 0 warn, 0 fail, 0 not tried\n" in good.stdout
    assert doctor.call(*config(), "--only", "epoll", "--quiet").stdout == ""

    ending = config(ca=make_ca(tmp_path, end=10))
    warned = doctor.call(*ending, "--only", "ca-cert", "--only", "epoll", "--quiet")
    assert warned.returncode == 1
    assert warned.stdout.startswith("warn       ca-cert ")
    assert "epoll" not in warned.stdout and "mend: " in warned.stdout

    expired = config(ca=make_ca(tmp_path, start=-10, end=-5))
    failed = doctor.call(*expired, "--only", "ca-cert", "--only", "epoll")
    assert failed.returncode == 2
    assert "ksplit will not work here" in failed.stdout
    assert diagnose(*expired, "--only", "ca-cert", "--quiet").code == 2
    for line in failed.stdout.splitlines():
        assert (len(line) < 80 or str(tmp_path) in line) and line == line.rstrip(), line


def test_a_check_that_hangs_is_ended(config, tmp_path):
    """Somebody accepts on the control socket and says nothing."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mute:
        mute.bind(str(tmp_path / "control.sock"))
        mute.listen()
        finding = only("control", *config(), "--timeout", "1")
    assert finding["verdict"] == "not_tried"
    assert finding["text"] == "took too long, and was ended"


# -- configuration -----------------------------------------------------------------------------


def test_configuration_with_comments(config, pki):
    text = '// one\n{"ca": {"cert": "%s", /* two */ "key": "%s"}, "listeners": []}' % (
        pki.ca.cert, pki.ca.key)
    seen = diagnose(*config(text), "--only", "config", "--only", "ca-match")
    assert [finding["verdict"] for finding in seen.findings] == ["ok", "ok"]


def test_configuration_that_cannot_be_read(config):
    finding = only("config", *config('{"ca": '))
    assert finding["verdict"] == "fail" and "not JSON" in finding["text"]
    finding = only("config", "-c", "/nonexistent/ksplit.json")
    assert finding["verdict"] == "not_tried"
    hostile = '{"ca": [1, {"cert": 7}], "listeners": {"listen": []}, "capture": 3, "control": 1}'
    assert diagnose(*config(hostile), "--only", "config", "--only", "ca-cert").code == 2


# -- ports -------------------------------------------------------------------------------------


def ports(config, *addresses, **more):
    listeners = [{"listen": address, "to": "sni:443"} for address in addresses]
    found = diagnose(*config(listeners=listeners, **more), "--only", "ports").of("ports")
    return {finding["subject"]: finding for finding in found}


def test_free_ports_stay_free(config):
    four, six = env.free_port(), env.free_port("::1")
    addresses = ("127.0.0.1:%d" % four, "[::1]:%d" % six)
    for _ in range(2):
        found = ports(config, *addresses, metrics={"prometheus": "127.0.0.1:%d" % (four + 1)})
        assert len(found) == 3
        for address in addresses:
            assert found[address]["verdict"] == "ok" and found[address]["text"] == "free"


@pytest.mark.parametrize("host", ("127.0.0.1", "::1"))
def test_taken_port(config, host):
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else
                              socket.AF_INET) as taken:
        port = taken.getsockname()[1]
        address = ("[%s]:%d" if ":" in host else "%s:%d") % (host, port)
        finding = ports(config, address)[address]
        # By another than the doctor's own question nobody was called.
        taken.setblocking(False)
        with pytest.raises(BlockingIOError):
            taken.accept()
    assert finding["verdict"] == "fail", finding
    assert "process %d)" % os.getpid() in finding["text"]
    assert str(os.getpid()) in finding["mend"]


def test_port_and_socket_of_a_running_daemon(ksplitd):
    daemon = ksplitd("127.0.0.1:9")
    seen = diagnose("-c", daemon.config_path)
    port = seen.one("ports")
    assert port["verdict"] == "ok"
    assert port["text"] == "ksplitd listens there (process %d)" % daemon.pid
    control = seen.one("control")
    assert control["verdict"] == "ok" and "(process %d)" % daemon.pid in control["text"]


def test_addresses_that_are_none(config):
    found = ports(config, "192.0.2.1:8443", "localhost:8443", "127.0.0.1")
    assert {finding["verdict"] for finding in found.values()} == {"fail"}
    assert "does not have that address" in found["192.0.2.1:8443"]["text"]
    assert "not an address" in found["localhost:8443"]["text"]


# -- CA ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("made,verdict,words", (
    ({}, "ok", "valid until"),
    ({"start": -10, "end": -5}, "fail", "expired on"),
    ({"start": 5, "end": 10}, "fail", "clock is behind"),
    ({"end": 10}, "warn", "expires on"),
    ({"ca": False, "sign": False}, "fail", "CA:TRUE"),
    ({"sign": False}, "fail", "keyCertSign")))
def test_certificate(config, tmp_path, made, verdict, words):
    finding = only("ca-cert", *config(ca=make_ca(tmp_path, **made)))
    assert finding["verdict"] == verdict, finding
    assert words in finding["text"]
    assert bool(finding["mend"]) == (verdict != "ok")


def test_files_that_are_none(config, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    text = tmp_path / "text"
    text.write_text("nothing\n")
    text.chmod(0o600)
    for file in (fifo, text, tmp_path, tmp_path / "missing"):
        seen = diagnose(*config(ca={"cert": str(file), "key": str(file)}), "--only", "ca-cert",
                        "--only", "ca-key")
        assert seen.one("ca-cert")["verdict"] == "fail", file
        assert seen.one("ca-key")["verdict"] == ("ok" if file == text else "fail"), file
    missing = diagnose(*config(ca={}), "--only", "ca-cert", "--only", "ca-key")
    assert [finding["verdict"] for finding in missing.findings] == ["fail", "fail"]
    incoming = {"listen": "127.0.0.1:1", "to": "127.0.0.1:2", "direction": "incoming"}
    for listeners, verdict in (([incoming], "ok"),
                               ([incoming, {"listen": "[::1]:1", "to": "original"}], "fail")):
        seen = diagnose(*config(ca={}, listeners=listeners), "--only", "ca-cert", "--only", "ca-key",
                        "--only", "ca-match")
        assert {finding["verdict"] for finding in seen.findings} == {verdict}


@pytest.mark.parametrize("mode,owner,verdict", (
    (0o600, 0, "ok"), (0o400, 0, "ok"), (0o640, 0, "warn"), (0o644, 0, "fail"),
    (0o602, 0, "fail"), (0o600, 65534, "warn")))
def test_key_that_others_can_use(config, tmp_path, mode, owner, verdict):
    files = make_ca(tmp_path)
    os.chown(files["key"], owner, 0)
    os.chmod(files["key"], mode)
    finding = only("ca-key", *config(ca=files))
    assert finding["verdict"] == verdict, finding
    if mode & 0o077:
        assert "%04o" % mode in finding["text"]
        run("sh", "-c", finding["mend"])
        assert only("ca-key", *config(ca=files))["verdict"] == "ok"


def test_key_of_the_user_that_ksplitd_becomes(config, tmp_path):
    files = make_ca(tmp_path)
    os.chown(files["key"], 65534, 0)
    assert only("ca-key", *config(ca=files, user="nobody"))["verdict"] == "ok"
    assert only("ca-key", *config(ca=files, user="daemon"))["verdict"] == "warn"


def test_paths_that_are_no_words(config, tmp_path):
    """A mend can be given to a shell whatever the file's name; what controls a terminal does not
    reach it."""
    folder = tmp_path / "it's a \x1b[31m Ordner \xfc"
    folder.mkdir()
    files = make_ca(folder)
    os.chmod(files["key"], 0o644)
    finding = only("ca-key", *config(ca=files))
    assert "\x1b" not in finding["subject"] + finding["mend"]
    assert "\xfc" in finding["subject"]
    plain = tmp_path / "it's a $(false) `x` Ordner"
    folder.rename(plain)
    files["key"] = str(plain / "doctor-ca.key")
    run("sh", "-c", only("ca-key", *config(ca=files))["mend"])
    assert only("ca-key", *config(ca=files))["verdict"] == "ok"


def test_key_of_another(config, tmp_path, pki):
    files = make_ca(tmp_path)
    assert only("ca-match", *config(ca=files))["verdict"] == "ok"
    finding = only("ca-match", *config(ca=dict(files, key=str(pki.ca.key))))
    assert finding["verdict"] == "fail" and "not the key of" in finding["text"]
    finding = only("ca-match", *config(ca=make_ca(tmp_path, password=b"secret")))
    assert finding["verdict"] == "fail" and "password" in finding["text"]
    finding = only("ca-match", *config(ca=dict(files, key=files["cert"])))
    assert finding["verdict"] == "fail" and "no PEM private key" in finding["text"]


def test_nobody_may_not_read_the_key(config, tmp_path, scratch):
    """Who may not read the key is told so, and its mode still."""
    scratch.chmod(0o711)
    folder = scratch / "doctor-key"
    folder.mkdir()
    tool = folder / "ksplit-doctor"
    shutil.copy(doctor.TOOL, tool)
    files = make_ca(folder)
    file = folder / "ksplit.json"
    file.write_text(json.dumps({"ca": files}))
    file.chmod(0o644)
    os.chmod(files["cert"], 0o644)
    folder.chmod(0o755)
    done = run("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", tool, "--json",
               "-c", file, *("--only=" + name for name in ("ca-cert", "ca-key", "ca-match")),
               check=False)
    verdicts = {finding["check"]: finding["verdict"]
                for finding in json.loads(done.stdout)["findings"]}
    assert verdicts == {"ca-cert": "ok", "ca-key": "ok", "ca-match": "not_tried"}


def test_trust_store(config, tmp_path):
    """The store is OpenSSL's own choice; what stands for it here is a file of the test's own."""
    files = make_ca(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    store = {"SSL_CERT_DIR": str(empty), "SSL_CERT_FILE": str(tmp_path / "none.pem")}
    finding = only("trust-store", *config(ca=files), env=store)
    assert finding["verdict"] == "warn", finding
    assert finding["mend"] == "ksplit-ca install --cert " + files["cert"]
    store["SSL_CERT_FILE"] = files["cert"]
    assert only("trust-store", *config(ca=files), env=store)["verdict"] == "ok"


# -- rules -------------------------------------------------------------------------------------


def rules(config, text, listener="127.0.0.1:8443", to="original", **members):
    """What is found in a network namespace that has these rules."""
    options = config(listeners=[{"listen": listener, "to": to}], **members)
    done = run("unshare", "--net", "sh", "-c", 'nft -f - && exec "$@"', "sh", doctor.TOOL, "--json",
               "--only", "rules", *options, stdin=text.encode(), check=False)
    assert done.stderr == b"", done.stderr
    return json.loads(done.stdout)["findings"]


def nat(match, verb="redirect to :9999"):
    return "table ip other { chain out { type nat hook output priority -100; %s %s; }; }" % (
        match, verb)


CAPTURE = {"outgoing": {"ports": [443, 8000]}}


@pytest.mark.needs("nft")
@pytest.mark.parametrize("match,meets", (
    ("tcp dport 443", True), ("tcp dport 8000", True), ("tcp dport 8001", False),
    ("tcp dport { 22, 443 }", True), ("tcp dport 400-500", True), ("tcp dport 444-7999", False),
    ("udp dport 443", False), ("meta l4proto tcp", True), ("meta l4proto udp", False),
    ("tcp dport != 443", True), ("ip daddr 192.0.2.1 tcp dport 443", True)))
def test_rules_of_others(config, match, meets):
    found = rules(config, nat(match), capture=CAPTURE)
    assert len(found) == 1
    if meets:
        assert found[0]["verdict"] == "warn", found
        assert found[0]["subject"] == "table ip other, chain out"
        assert "to port 9999 (redirect)" in found[0]["text"]
        assert "nft -a list chain ip other out" in found[0]["mend"]
    else:
        assert found[0]["verdict"] == "ok", found


@pytest.mark.needs("nft")
def test_other_kinds_of_rules(config):
    named = ("table inet other { set web { type inet_service; elements = { 80, 443 } }\n"
             "chain pre { type nat hook prerouting priority -100; "
             "tcp dport @web dnat ip to 192.0.2.1; }; }")
    assert "elsewhere (dnat)" in rules(config, named, capture=CAPTURE)[0]["text"]
    tproxy = ("table ip6 other { chain pre { type filter hook prerouting priority -150; "
              "tcp dport 443 tproxy to :7777 meta mark set 1; }; }")
    assert "port 7777 (tproxy)" in rules(config, tproxy, capture=CAPTURE)[0]["text"]
    assert rules(config, "table ip other { chain c { tcp dport 443 accept; }; }",
                 capture=CAPTURE)[0]["verdict"] == "ok"


@pytest.mark.needs("nft")
def test_own_rules(config):
    """ksplit's own table is none of the others'; an administrator's own rule that leads to ksplit
    is as it should be, unless ksplit sets rules itself."""
    own = nat("tcp dport 443", "redirect to :8443").replace("ip other", "inet ksplit")
    assert rules(config, own, capture=CAPTURE)[0]["verdict"] == "ok"
    theirs = nat("tcp dport 443", "redirect to :8443")
    finding, = rules(config, theirs)
    assert finding["verdict"] == "ok" and "to ksplit's port 8443" in finding["text"]
    finding, = rules(config, theirs, capture=CAPTURE)
    assert finding["verdict"] == "warn" and "too" in finding["text"]
    finding, = rules(config, "")
    assert finding["verdict"] == "warn" and "no rule leads" in finding["text"]
    assert rules(config, "", to="sni:443")[0]["verdict"] == "ok"


def namespace_find(config, commands, **members):
    """Findings in a namespace that these shell commands have been run in."""
    options = config(listeners=[{"listen": "127.0.0.1:8443", "to": "original"}], **members)
    done = run("unshare", "--net", "sh", "-c", commands + '\nexec "$@"', "sh", doctor.TOOL,
               "--json", "--only", "rules", *options, check=False)
    assert done.stderr == b"", done.stderr
    return {finding["subject"]: finding for finding in json.loads(done.stdout)["findings"]}


@pytest.mark.needs("iptables", "ip6tables")
def test_rules_of_iptables(config):
    """Whose targets nft does not tell: they are asked for by other means."""
    found = namespace_find(config, """
        iptables -t nat -A OUTPUT -p tcp --dport 443 -m comment --comment 'a -j \\" b' \\
            -j REDIRECT --to-ports 9999
        iptables -t nat -A INPUT -p tcp --dport 443 -j SNAT --to-source 192.0.2.9
        iptables -t nat -A PREROUTING -p tcp -m multiport --dports 80,443 \\
            -j DNAT --to-destination 192.0.2.1:8443
        iptables -t mangle -A PREROUTING -p tcp --dport 440:450 -j TPROXY --on-port 7777
        ip6tables -t nat -A OUTPUT -p udp --dport 443 -j REDIRECT --to-ports 9998
        ip6tables -t nat -A PREROUTING -p tcp ! --dport 80 -j DNAT --to-destination [2001:db8::1]:99
        """, capture=CAPTURE)
    assert {subject: finding["text"].partition(":")[0] for subject, finding in found.items()} == {
        "table iptables nat, chain OUTPUT": "takes port 443 to port 9999 (redirect)",
        "table iptables nat, chain PREROUTING": "takes ports 80, 443 to port 8443 (dnat)",
        "table iptables mangle, chain PREROUTING": "takes port 440-450 to port 7777 (tproxy)",
        "table ip6tables nat, chain PREROUTING": "takes any port to port 99 (dnat)"}
    assert {finding["verdict"] for finding in found.values()} == {"warn"}
    found = namespace_find(config, "iptables -t nat -A OUTPUT -p tcp --dport 443 "
                                   "-j DNAT --to-destination 127.0.0.1:8443")
    finding = found["table iptables nat, chain OUTPUT"]
    assert finding["verdict"] == "ok" and "to ksplit's port 8443" in finding["text"]


@pytest.mark.needs("iptables-legacy")
def test_rules_of_the_legacy_iptables(config):
    found = namespace_find(config, "iptables-legacy -t nat -A OUTPUT -p tcp --dport 443 "
                                   "-j REDIRECT --to-ports 9999", capture=CAPTURE)
    finding, = found.values()
    assert finding["verdict"] == "warn"
    assert finding["subject"] == "table iptables-legacy nat, chain OUTPUT"
    assert "iptables-legacy -t nat -S OUTPUT" in finding["mend"]


# -- limits, disk, daemon ----------------------------------------------------------------------


@pytest.mark.needs("prlimit")
@pytest.mark.parametrize("limit,verdict", ((100, "fail"), (1024, "warn"), (10000, "ok")))
def test_open_files(limit, verdict):
    finding = only("open-files", prefix=("prlimit", "--nofile=%d:%d" % (limit, limit)))
    assert finding["verdict"] == verdict, finding
    assert str(limit) in finding["text"]


@pytest.mark.needs("setpriv")
def test_root_without_a_capability():
    """As in a container that takes one from root."""
    found = diagnose("--only", "capabilities",
                     prefix=("setpriv", "--bounding-set", "-net_admin", "--inh-caps",
                             "-net_admin")).of("capabilities")
    assert [finding["verdict"] for finding in found if finding["subject"] == "CAP_NET_ADMIN"] == \
        ["warn"]
    # The machine itself may lack another one, but not this.
    found = diagnose("--only", "capabilities").of("capabilities")
    assert "CAP_NET_ADMIN" not in [finding["subject"] for finding in found]


def test_clock_says_what_the_kernel_says():
    room = ctypes.create_string_buffer(512)
    assert ctypes.CDLL(None, use_errno=True).syscall(SYS_ADJTIMEX, room) >= 0
    # struct timex: modes, offset, freq, maxerror, esterror, status (adjtimex(2)).
    status = int.from_bytes(room.raw[40:44], "little")
    assert only("clock")["verdict"] == ("warn" if status & STA_UNSYNC else "ok")


@pytest.mark.parametrize("size,verdict", (("4m", "fail"), ("64m", "warn"), ("2g", "ok")))
def test_room_for_the_access_log(config, tmp_path, size, verdict):
    folder = tmp_path / "log"
    folder.mkdir()
    options = config(access_log=str(folder / "access.json"))
    done = run("unshare", "--mount", "sh", "-c",
               'mount -t tmpfs -o size=%s tmpfs %s && exec "$@"' % (size, folder), "sh",
               doctor.TOOL, "--json", "--only", "access-log", *options, check=False)
    finding, = json.loads(done.stdout)["findings"]
    assert finding["verdict"] == verdict, finding


def test_access_log_without_a_folder(config, tmp_path):
    finding = only("access-log", *config(access_log=str(tmp_path / "away" / "access.json")))
    assert finding["verdict"] == "fail"
    run("sh", "-c", finding["mend"])
    options = config(access_log=str(tmp_path / "away" / "access.json"))
    assert only("access-log", *options)["verdict"] in ("ok", "warn")
    assert only("access-log", *config(access_log="-"))["verdict"] == "ok"


def test_daemon_that_is_not_well(config, serve, path):  # noqa: F811
    control = {"control": str(path)}
    assert only("control", *config(**control))["verdict"] == "not_tried"
    serve(answer(dict(SUMMARY, degraded="worker 1 has not moved for 12 s")))
    finding = only("control", *config(**control))
    assert finding["verdict"] == "warn"
    assert "worker 1 has not moved for 12 s" in finding["text"]


def test_socket_that_was_left_behind(config, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as gone:
        gone.bind(str(tmp_path / "control.sock"))
        gone.listen()
    finding = only("control", *config())
    assert finding["verdict"] == "warn" and "has died" in finding["text"]


def test_unit_where_there_is_no_systemd(config):
    finding = only("unit")
    if not os.path.isdir("/run/systemd/system"):
        assert finding["verdict"] == "not_tried"
        assert finding["text"] == "systemd does not run this host"
    else:
        assert finding["subject"] == "ksplit.service"
