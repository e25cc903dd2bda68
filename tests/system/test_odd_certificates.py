# SPDX-License-Identifier: GPL-2.0-or-later
"""Half a hundred odd certificates: each leaf field by field beside the origin's, and by other
people's verifiers, who must take every leaf whose origin they take."""

import ssl

import pytest

from lib import odd_certs, stage as stages, verifiers
from lib.odd_certs import Fields
from lib.tls import server_context

SERVER_ALONE = (False, odd_certs.oid_list(odd_certs.SERVER))
DIGITAL_SIGNATURE = (True, bytes.fromhex("03020780"))
LEAF_EXTENSIONS = {odd_certs.BASIC, odd_certs.KEY_USAGE, odd_certs.EXT_KEY_USAGE,
                   odd_certs.OWN_KEY, odd_certs.CA_KEY}


def show_by_name(contexts):
    """A context that shows each host's own certificate."""
    first = next(iter(contexts.values()))

    def choose(sock, host, context):
        sock.context = contexts.get(host, first)

    first.sni_callback = choose
    return first


def ask_for(address, host):
    """The certificate that a client which looks at nothing is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with stages.connect_tls(address, context, host) as sock:
        return sock.getpeercert(binary_form=True)


@pytest.fixture(scope="module")
def leaves(pki, stage, tmp_path_factory):
    """(CA of the leaves, CA of the origins, [(odd certificate, its file, leaf, leaf's file)])"""
    from lib.daemon import Ksplitd
    folder = tmp_path_factory.mktemp("odd")
    maker = odd_certs.make_all(pki.origin_ca, folder)
    contexts, found = {}, []
    for odd in maker.made:
        certificate, both = maker.files(odd)
        contexts[odd.host] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        contexts[odd.host].load_cert_chain(both)
    daemon = Ksplitd(pki, "127.0.0.1:%d" % stage.port).start()
    with stage.play_tls(show_by_name(contexts), lambda sock: None):
        for odd in maker.made:
            leaf = folder / (odd.host + ".leaf")
            der = ask_for(daemon.address, odd.host)
            leaf.write_text(ssl.DER_cert_to_PEM_cert(der))
            found.append((odd, folder / (odd.host + ".pem"), der, leaf))
    daemon.stop()
    return pki.ca, pki.origin_ca, found


def expected_extensions(odd):
    """What the leaf has beside its key's own."""
    theirs = odd.fields.extensions
    expected = {
        odd_certs.BASIC: (theirs.get(odd_certs.BASIC, (True,))[0], b"\x30\x00"),
        odd_certs.KEY_USAGE: DIGITAL_SIGNATURE,
        odd_certs.EXT_KEY_USAGE: odd.usage or theirs[odd_certs.EXT_KEY_USAGE],
    }
    if odd_certs.SAN in theirs:
        expected[odd_certs.SAN] = theirs[odd_certs.SAN]
    if odd_certs.POLICIES in theirs:
        expected[odd_certs.POLICIES] = odd.policies or theirs[odd_certs.POLICIES]
    return expected


def compare(odd, leaf, ca):
    mine, theirs = Fields(leaf), odd.fields
    assert mine.version == 3
    assert mine.subject == theirs.subject
    assert mine.issuer == ca.subject
    assert (mine.begin, mine.end) == (max(theirs.begin, ca.begin), min(theirs.end, ca.end))
    assert 0 < mine.serial < 1 << 159 and mine.serial != theirs.serial
    assert mine.key != theirs.key
    key_ids = (odd_certs.OWN_KEY, odd_certs.CA_KEY)
    assert ({oid: value for oid, value in mine.extensions.items() if oid not in key_ids} ==
            expected_extensions(odd))
    assert set(mine.extensions) >= LEAF_EXTENSIONS
    own = ca.extensions[odd_certs.OWN_KEY][1]
    assert mine.extensions[odd_certs.CA_KEY] == (
        False, odd_certs.wrap(0x30, b"\x80" + own[1:]))


def test_leaves_say_what_the_origins_say(leaves):
    authority, _, found = leaves
    ca = Fields(ssl.PEM_cert_to_DER_cert(authority.cert.read_text()))
    assert len(found) >= 40
    wrong = {}
    for odd, _, leaf, _ in found:
        try:
            compare(odd, leaf, ca)
        except AssertionError as error:
            wrong[odd.name] = str(error)
    assert not wrong


@pytest.mark.parametrize("kind", verifiers.ALL)
@pytest.mark.needs("openssl", "certtool", "vfychain", "javac", "go")
def test_verifiers_take_each_leaf_whose_origin_they_take(leaves, tmp_path, kind):
    ours, theirs, found = leaves
    questions = [(theirs.cert, certificate, odd.host) for odd, certificate, _, _ in found]
    questions += [(ours.cert, leaf, odd.host) for odd, _, _, leaf in found]
    answers = verifiers.ALL[kind](questions, tmp_path)
    origins, leaf_answers = answers[:len(found)], answers[len(found):]
    refused = {found[i][0].name: leaf_answers[i] for i in range(len(found))
               if leaf_answers[i] and not origins[i]}
    assert not refused
    taken = [found[i][0].name for i in range(len(found)) if not origins[i]]
    assert len(taken) >= 40, {found[i][0].name: origins[i] for i in range(len(found)) if origins[i]}
