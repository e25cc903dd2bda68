# SPDX-License-Identifier: GPL-2.0-or-later
"""A bad origin stays bad: what clients say of it is what they say without ksplit; or it is refused,
or hidden, as a rule has it."""

import base64
import datetime
import hashlib
import json
import re
import socket
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lib import clients, env, stage as stages
from lib.bad_origins import NAME, bad_origins, serve
from lib.process import run
from lib.tls import client_context
from lib.visits import Trust, java_revocation

STATUS = env.BUILD / "ksplit-status"
GOOD = ("good", "good_staple", "unknown_staple", "forged_staple", "old_staple")
BAD = ("expired", "not_yet_valid", "wrong_host", "self_signed", "unknown_ca", "incomplete_chain",
       "expired_intermediate", "weak_key", "weak_signature", "revoked")
# RFC 8446 6.2
ALERTS = {"expired": "certificate_expired", "not_yet_valid": "certificate_expired",
          "wrong_host": "bad_certificate", "self_signed": "unknown_ca", "unknown_ca": "unknown_ca",
          "incomplete_chain": "unknown_ca", "expired_intermediate": "certificate_expired",
          "weak_key": "bad_certificate", "weak_signature": "bad_certificate",
          "revoked": "certificate_revoked",
          "pin": "certificate_unknown"}


class Street:
    """All of them, each with a listener of one daemon in front; `doors` has their ports."""

    def __init__(self, folder, pki):
        self.origins = bad_origins(folder, pki)
        self.programs = {name: serve(origin) for name, origin in self.origins.items()}
        self.both = pki.both_authorities()

    def to(self, name):
        return "127.0.0.1:%d" % self.port(name)

    def port(self, name):
        return self.programs[name].port

    def pin(self, name):
        """As curl --pinnedpubkey has it."""
        cert = x509.load_pem_x509_certificate(self.origins[name].cert.read_bytes())
        spki = cert.public_key().public_bytes(serialization.Encoding.DER,
                                              serialization.PublicFormat.SubjectPublicKeyInfo)
        return "sha256/" + base64.b64encode(hashlib.sha256(spki).digest()).decode()

    def close(self):
        for program in self.programs.values():
            program.end()


@pytest.fixture(scope="module")
def street(pki, tmp_path_factory):
    made = Street(tmp_path_factory.mktemp("street"), pki)
    yield made
    made.close()


class Doors:
    """A daemon with a listener for each origin of the street."""

    def __init__(self, daemon, names):
        self.daemon = daemon
        self.ports = dict(zip(names, daemon.ports))

def open_doors(ksplitd, street, names, **settings):
    return Doors(ksplitd([street.to(name) for name in names], settings), names)


def verify_code(port, authority, name=NAME):
    """What Python's ssl finds: X509_V_ERR_...; 0: nothing. An alert's name where one came."""
    context = client_context(authority)
    try:
        with stages.connect(("127.0.0.1", port)) as sock, \
                context.wrap_socket(sock, server_hostname=name) as tls:
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert tls.recv(4) == b"HTTP"
            return 0
    except ssl.SSLCertVerificationError as exc:
        return exc.verify_code
    except ssl.SSLError as exc:
        return exc.reason


def leaf_shown(port, name=NAME):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with stages.connect(("127.0.0.1", port)) as sock, \
            context.wrap_socket(sock, server_hostname=name) as tls:
        return x509.load_der_x509_certificate(tls.getpeercert(True))


@pytest.fixture(scope="module")
def mimic(street, pki, tmp_path_factory):
    """One daemon for all that it is asked of by default."""
    from lib.daemon import Ksplitd
    names = GOOD + BAD + ("wrong_purpose",)
    with Ksplitd(pki, [street.to(name) for name in names],
                 {"limits": {"learned_pass": 60000}}) as daemon:
        yield Doors(daemon, names)


def judged(doors, name, reason=None):
    """The access log's line of the last connection through a door."""
    def find():
        local = "127.0.0.1:%d" % doors.ports[name]
        return [line for line in doors.daemon.access_log() if line["local"] == local]
    line = env.wait_for(find, "a line about " + name)[-1]
    assert reason is None or line["reason"] == reason, line
    return line["origin_certificate"]


@pytest.mark.parametrize("name", GOOD)
def test_good_ones_are_intercepted(street, pki, mimic, name):
    """Among them staples that say nothing: unknown, of a stranger, out of date."""
    assert verify_code(street.port(name), pki.origin_ca) == 0
    assert verify_code(mimic.ports[name], pki.ca) == 0
    assert judged(mimic, name) == {"verify": "mimic", "rule": None, "faults": []}


@pytest.mark.parametrize("name", BAD)
def test_clients_find_the_same_fault(street, pki, mimic, name):
    """Twice: what a client refused is not passed through raw the next time."""
    origin = street.origins[name]
    assert verify_code(street.port(name), pki.origin_ca) == origin.direct
    for _ in range(2):
        assert verify_code(mimic.ports[name], pki.ca) == origin.shown
    assert judged(mimic, name, "bad_origin_refused") == {
        "verify": "mimic", "rule": None, "faults": [origin.fault]}
    assert mimic.daemon.summary()["origin_faults"][origin.fault] >= 2
    assert mimic.daemon.reason_count("learned") == 0


def curl(port, authority, *options):
    done = clients.curl(port, "/", authority, *options, check=False)
    return done.returncode, done.stderr.decode().strip()


# The twin cannot say by which of many ways a chain ended in nothing.
OWN_WORDS = {"self_signed", "weak_signature"}


@pytest.mark.parametrize("name", BAD)
def test_curl_says_the_same(street, mimic, name):
    options = ("--cert-status",) if name == "revoked" else ()
    code, said = curl(street.port(name), street.both, *options)
    code_through, said_through = curl(mimic.ports[name], street.both, *options)
    assert code == code_through == (91 if name == "revoked" else 60), (said, said_through)
    if name not in OWN_WORDS:
        assert said_through == said
    # A user's own choice to go on stays one, and no session of it makes the origin better.
    assert curl(mimic.ports[name], street.both, "--insecure", "--ciphers",
                "DEFAULT@SECLEVEL=0")[0] == 0
    assert curl(mimic.ports[name], street.both)[0] == 60


def trust_of(folder, port, authority):
    """For one client of one port."""
    place = folder / str(port)
    place.mkdir()
    return Trust(place, authority)


STATUS_LINE = re.compile(r"(Cert Status|Revocation (?:Time|Reason)): (.*)")


@pytest.mark.parametrize("version", ("-tls1_2", "-tls1_3"))
def test_a_revoked_one_is_revoked_for_who_asks(street, pki, mimic, version):
    """As of the same time and for the same reason, of a leaf that is good otherwise. A client that
    cannot be told so, since it does not ask, is shown what it will not trust."""
    told = []
    for port, authority in ((street.port("revoked"), pki.origin_ca),
                            (mimic.ports["revoked"], pki.ca)):
        text = run("openssl", "s_client", "-connect", "127.0.0.1:%d" % port, version,
                   "-servername", NAME, "-verify_hostname", NAME, "-CAfile", authority.cert,
                   "-verify_return_error", "-status", stdin=b"Q\n").stdout.decode()
        assert "Verify return code: 0 (ok)" in text
        told.append(STATUS_LINE.findall(text))
    direct, through = told
    assert direct == through
    assert [value.split(" ")[0] for _, value in direct[::2]] == ["revoked", "keyCompromise"]
    assert verify_code(mimic.ports["revoked"], pki.ca) == 20


@pytest.mark.needs("gnutls-cli")
def test_gnutls_says_that_it_is_revoked(street, pki, mimic):
    said = []
    for port, authority in ((street.port("revoked"), pki.origin_ca),
                            (mimic.ports["revoked"], pki.ca)):
        with clients.gnutls_cli(port, authority) as program:
            assert program.wait() != 0
            said.append(program.text())
    for text in said:
        assert "The certificate chain is revoked." in text


@pytest.mark.needs("tstclnt", "certutil")
def test_nss_says_that_it_is_revoked(street, pki, mimic, tmp_path):
    """Exit code 3 of `tstclnt -F`: there is a fresh answer, and it says so."""
    for port, authority in ((street.port("revoked"), pki.origin_ca),
                            (mimic.ports["revoked"], pki.ca)):
        done = run("tstclnt", "-4", "-h", "127.0.0.1", "-a", NAME, "-p", port, "-T", "-O", "-F",
                   "-d", "sql:%s" % trust_of(tmp_path, port, authority).nss(), stdin=b"",
                   check=False)
        assert done.returncode == 3, done.stderr


@pytest.mark.needs("java", "keytool")
def test_java_says_that_it_is_revoked(street, pki, mimic, tmp_path):
    """One that is told to ask, and to go by the answer."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 %s\n" % NAME)
    for port, authority in ((street.port("revoked"), pki.origin_ca),
                            (mimic.ports["revoked"], pki.ca)):
        answer = java_revocation(trust_of(tmp_path, port, authority), NAME, port, hosts)
        assert re.search(r"Certificate has been revoked, reason: KEY_COMPROMISE", answer.error), \
            answer


def test_revoked_and_more(ksplitd, street, pki):
    """All of it is there to be found: by who asks, as directly; by who does not, the twin."""
    names = ("revoked_expired", "revoked_wrong_host")
    doors = open_doors(ksplitd, street, names)
    for name in names:
        origin, port = street.origins[name], doors.ports[name]
        for to in (street.port(name), port):
            assert curl(to, street.both, "--cert-status")[0] == 60
            assert curl(to, street.both, "--cert-status", "--insecure")[0] == 91
        assert verify_code(street.port(name), pki.origin_ca) == origin.direct
        assert verify_code(port, pki.ca) == origin.shown
        assert judged(doors, name)["faults"] == origin.faults


def test_sessions_of_tls12_do_not_make_it_better(ksplitd, street, pki):
    """They are there before anybody has looked at the certificate's staple."""
    for name in ("unknown_ca", "revoked"):
        with serve(street.origins[name], "-tls1_2") as program:
            daemon = ksplitd("127.0.0.1:%d" % program.port)
            assert curl(daemon.port, street.both, "--insecure")[0] == 0
            assert verify_code(daemon.port, pki.ca) == 20
            assert daemon.summary()["sessions"]["upstream_stored"] == 0


def test_leaf_repeats_what_can_be_repeated(street, pki, mimic):
    ca = x509.load_pem_x509_certificate(pki.ca.cert.read_bytes())
    # No leaf begins before its CA does, or ends before it begins.
    leaf = leaf_shown(mimic.ports["expired_intermediate"])
    assert leaf.not_valid_after <= leaf.not_valid_before + datetime.timedelta(seconds=1)
    names = leaf_shown(mimic.ports["wrong_host"]).extensions.get_extension_for_class(
        x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    assert names == ["other.test"]
    assert leaf_shown(mimic.ports["weak_key"]).public_key().key_size == 1024
    twin = leaf_shown(mimic.ports["unknown_ca"])
    assert twin.issuer == ca.subject
    with pytest.raises(Exception):
        ca.public_key().verify(twin.signature, twin.tbs_certificate_bytes, None)


def test_for_clients_alone(street, pki, mimic):
    """No CA signs a leaf that servers may not show: the client is shown the origin's own."""
    name = "wrong_purpose"
    assert verify_code(street.port(name), street.both) == 26
    assert verify_code(mimic.ports[name], street.both) == 26
    assert judged(mimic, name) is None
    assert mimic.daemon.reason_count("unforgeable") == 1


@pytest.mark.parametrize("name", ("incomplete_chain", "wrong_host", "good"))
def test_without_a_name(street, pki, mimic, name):
    """A client that calls an address sends no SNI: it alone knows the name it wants."""
    expected = {"incomplete_chain": 20}.get(name, 64)
    for port, authority in ((street.port(name), pki.origin_ca), (mimic.ports[name], pki.ca)):
        assert verify_code(port, authority, "127.0.0.1") == expected


def test_require_refuses_with_the_alert_that_fits(ksplitd, street, pki):
    doors = open_doors(ksplitd, street, BAD + GOOD, upstream={"verify": "require",
                                                              "ca": str(pki.origin_ca.cert)})
    for name in BAD:
        said = verify_code(doors.ports[name], pki.ca)
        assert said and ALERTS[name].upper() in said.replace("SSLV3_ALERT_", "").replace(
            "TLSV1_ALERT_", ""), (name, said)
        assert judged(doors, name, "upstream_unverified") == {
            "verify": "require", "rule": None, "faults": [street.origins[name].fault]}
        assert "the origin's certificate: %s; refused" % street.origins[
            name].fault in doors.daemon.stderr()
    for name in GOOD:
        assert verify_code(doors.ports[name], pki.ca) == 0, name
    assert doors.daemon.reason_count("upstream_unverified") == len(BAD)


def test_off_hides_it_for_these_alone(ksplitd, street, pki):
    ports = [street.port(name) for name in BAD]
    names = BAD + ("good",)
    doors = open_doors(ksplitd, street, names, upstream={
        "verify": "require", "ca": str(pki.origin_ca.cert),
        "rules": [{"sni": NAME, "ports": ports, "verify": "off"}]})
    for name in BAD:
        assert verify_code(doors.ports[name], pki.ca) == 0, name
        assert judged(doors, name) == {"verify": "off", "rule": 0, "faults": []}
    assert verify_code(doors.ports["good"], pki.ca) == 0
    assert judged(doors, "good") == {"verify": "require", "rule": None, "faults": []}
    # The rule is for one name.
    assert isinstance(verify_code(doors.ports["unknown_ca"], pki.ca, "www." + NAME), str)


def test_anchors_of_a_rule(ksplitd, street, pki, tmp_path):
    """They take the place of the section's; a certificate that is no root is good enough."""
    own = street.origins["self_signed"].cert
    between = tmp_path / "between.pem"
    between.write_bytes(street.origins["good_chain"].intermediates.read_bytes())
    names = ("self_signed", "good", "good_chain")
    doors = open_doors(ksplitd, street, names, upstream={
        "ca": str(pki.origin_ca.cert), "verify": "require",
        "rules": [{"ports": street.port("self_signed"), "ca": str(own)},
                  {"ports": street.port("good"), "ca": str(own), "verify": "mimic"},
                  {"ports": street.port("good_chain"), "ca": str(between)}]})
    assert verify_code(doors.ports["self_signed"], pki.ca) == 0
    assert verify_code(doors.ports["good"], pki.ca) == 20
    assert judged(doors, "good") == {"verify": "mimic", "rule": 1, "faults": ["untrusted"]}
    assert verify_code(doors.ports["good_chain"], pki.ca) == 0


@pytest.mark.parametrize("verify", ("mimic", "require", "off"))
def test_pins(ksplitd, street, pki, verify):
    names = ("good", "self_signed", "unknown_ca", "good_chain")
    pins = {name: street.pin(name) for name in ("good", "self_signed")}
    ca_pin = run("sh", "-c", "openssl x509 -in %s -pubkey -noout | openssl pkey -pubin -outform der "
                 "| openssl dgst -sha256 -binary | base64" % pki.origin_ca.cert)
    doors = open_doors(ksplitd, street, names, upstream={
        "ca": str(pki.origin_ca.cert), "verify": verify, "rules": [
            {"ports": street.port("good"), "pins": [pins["self_signed"], pins["good"]]},
            {"ports": street.port("self_signed"), "pins": pins["self_signed"]},
            {"ports": street.port("unknown_ca"), "pins": [pins["good"]]},
            # The key of a CA above it counts where the chain is verified.
            {"ports": street.port("good_chain"),
             "pins": "sha256/" + ca_pin.stdout.decode().strip()}]})
    got = {name: verify_code(doors.ports[name], pki.ca) for name in names}
    assert got["good"] == 0
    assert judged(doors, "good")["faults"] == []
    assert "pin_mismatch" in judged(doors, "unknown_ca")["faults"]
    if verify == "mimic":
        assert (got["self_signed"], got["unknown_ca"], got["good_chain"]) == (20, 20, 0)
    else:
        alert = "SSLV3_ALERT_CERTIFICATE_UNKNOWN"
        assert got["unknown_ca"] == alert
        assert got["self_signed"] == (0 if verify == "off" else "TLSV1_ALERT_UNKNOWN_CA")
        assert got["good_chain"] == (alert if verify == "off" else 0)


def test_reload_changes_a_rule(ksplitd, street, pki):
    name = "expired"
    doors = open_doors(ksplitd, street, (name,))
    assert verify_code(doors.ports[name], pki.ca) == 10
    for rule, expected in (({"verify": "off"}, 0),
                           ({"verify": "require"}, "SSLV3_ALERT_CERTIFICATE_EXPIRED"),
                           ({"verify": "mimic"}, 10)):
        doors.daemon.config["upstream"]["rules"] = [dict(rule, sni=NAME)]
        doors.daemon.config_path.write_text(json.dumps(doors.daemon.config))
        assert doors.daemon.ask("reload")["reloaded"]
        assert verify_code(doors.ports[name], pki.ca) == expected, rule


def test_status_tells_how_it_was_judged(street, mimic):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", mimic.ports["wrong_host"])) as sock, \
            context.wrap_socket(sock, server_hostname=NAME):
        text = env.wait_for(lambda: told(mimic), "an open connection to be told of")
    assert "cert    wrong_name (verify mimic)" in text


def told(doors):
    text = run(STATUS, "--control", doors.daemon.control_path, "connections").stdout.decode()
    return text if "wrong_name" in text else None
