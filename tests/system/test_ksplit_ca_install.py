# SPDX-License-Identifier: GPL-2.0-or-later
"""ksplit-ca install and remove in the host's own kind of store, in a mount namespace that has
one of its own; and in another system's root folder."""

import os

import pytest

from lib import env
from lib.authority import ca, host_store, in_own_store, init, label, refused
from lib.process import ServerProgram

pytestmark = [pytest.mark.needs("update-ca-certificates", "unshare"),
              pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]


@pytest.fixture(autouse=True)
def _host_store_stays():
    before = host_store()
    yield
    assert host_store() == before


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return init(tmp_path_factory.mktemp("ca"), "--name", "ksplit install test")


LIFE = """
cat >/etc/ca-certificates/update.d/spy <<-END
	#!/bin/sh
	cat >>{scratch}/heard
END
chmod 755 /etc/ca-certificates/update.d/spy
update-ca-certificates >/dev/null
: >{scratch}/heard
snapshot >{scratch}/before
$ca install --dir {folder}
$ca install --dir {folder}
$ca show --dir {folder} | grep debian
curl -sS -o /dev/null --connect-to www.test:{port}:127.0.0.1:{port} https://www.test:{port}/
SSL_CERT_DIR=/etc/ssl/certs openssl verify -CApath /etc/ssl/certs {leaf}
ls -l /usr/local/share/ca-certificates/{label}.crt | cut -c1-10
$ca remove --dir {folder}
$ca remove --dir {folder}
curl -sS -o /dev/null --connect-to www.test:{port}:127.0.0.1:{port} https://www.test:{port}/ \
	2>/dev/null || echo "curl $?"
snapshot >{scratch}/after
"""


@pytest.mark.needs("curl")
def test_debian_trusts_it_and_forgets_it(pki, authority, tmp_path):
    leaf = pki.issue("install-leaf", authority, san="DNS:www.test")
    port = env.free_port()
    with ServerProgram("s_server", port, "openssl", "s_server", "-accept", "127.0.0.1:%d" % port,
                       "-cert", leaf.cert, "-key", leaf.key, "-www", "-quiet"):
        said = in_own_store(tmp_path, LIFE.format(scratch=tmp_path, folder=authority.cert.parent,
                                             port=port, leaf=leaf.cert,
                                             label=label(authority.cert)))
    name = label(authority.cert)
    where = "debian  /usr/local/share/ca-certificates/%s.crt: " % name
    assert said.splitlines() == [
        where + "installed", where + "was installed already", "Stores        " + where + "installed",
        "%s: OK" % leaf.cert, "-rw-r--r--", where + "removed", where + "was not there", "curl 60"]
    assert (tmp_path / "after").read_text() == (tmp_path / "before").read_text()
    assert (tmp_path / "heard").read_text().split() == ["+/etc/ssl/certs/%s.pem" % name,
                                                        "-/etc/ssl/certs/%s.pem" % name]


def test_all_takes_out_ours_alone(pki, authority, tmp_path):
    """Two CAs of one name, whose links are numbered; the file of one is gone, from both places; a
    link of somebody's that leads nowhere, and a file whose name begins as ours do."""
    second = init(tmp_path / "second", "--name", "ksplit install test")
    leaf = pki.issue("install-second", second, san="DNS:www.test")
    said = in_own_store(tmp_path, """
cp {other} /usr/local/share/ca-certificates/ksplit-mine.crt
update-ca-certificates >/dev/null 2>&1
snapshot >{scratch}/before
$ca install --dir {folder} >/dev/null
$ca install --dir {scratch}/second >/dev/null
ln -s gone /etc/ssl/certs/of-somebody.pem
rm {scratch}/second/ca.pem
$ca remove --dir {scratch}/second 2>/dev/null || echo "exit $?"
$ca remove --dir {folder} >/dev/null
openssl verify -CApath /etc/ssl/certs {leaf}
rm /usr/local/share/ca-certificates/{second}.crt
$ca remove --all
$ca remove --all
rm -f /etc/ssl/certs/of-somebody.pem
snapshot >{scratch}/after
""".format(scratch=tmp_path, folder=authority.cert.parent, second=label(second.cert), leaf=leaf.cert,
           other=init(tmp_path / "other").cert))
    assert said.splitlines() == ["exit 2", "%s: OK" % leaf.cert,
                                 "debian  /usr/local/share/ca-certificates: removed",
                                 "debian  /usr/local/share/ca-certificates: was not there"]
    before = (tmp_path / "before").read_text()
    assert (tmp_path / "after").read_text() == before
    assert "ksplit-mine.pem" in before


def test_a_store_that_does_not_follow_is_left_as_it_was(authority, tmp_path):
    said = in_own_store(tmp_path, """
printf '#!/bin/sh\\necho "no space left" >&2\\nexit 3\\n' >{scratch}/broken
chmod 755 {scratch}/broken
snapshot >{scratch}/before
mount --bind {scratch}/broken "$(readlink -f "$(command -v update-ca-certificates)")"
$ca install --dir {folder} 2>&1 || echo "exit $?"
printf '#!/bin/sh\\nexit 0\\n' >{scratch}/broken
$ca install --dir {folder} 2>&1 || echo "exit $?"
snapshot >{scratch}/after
""".format(scratch=tmp_path, folder=authority.cert.parent))
    lines = said.splitlines()
    assert "exit code 3: no space left" in lines[0] and lines.count("exit 2") == 2
    assert "does not have the certificate; taken out again" in said
    assert (tmp_path / "after").read_text() == (tmp_path / "before").read_text()


# Another system: this one's /usr, all else its own.
ROOT = """
root={scratch}/root
mkdir -p $root/usr $root/sbin $root/tmp $root/dev $root/etc/ssl/certs $root/etc/ca-certificates/update.d
for name in bin lib lib32 lib64; do
	[ ! -e /usr/$name ] || ln -s usr/$name $root/$name
done
mount --bind /usr $root/usr
mount -t tmpfs tmpfs $root/usr/local/share
mount -t tmpfs tmpfs $root/dev
mknod -m 666 $root/dev/null c 1 3
cp -a /etc/ca-certificates.conf $root/etc/
"""


def test_root_is_another_system(authority, tmp_path):
    """Debian's store by its own program; the CA is the host's file."""
    said = in_own_store(tmp_path, ROOT.format(scratch=tmp_path) + """
mkdir $root/usr/local/share/ca-certificates
$ca install --dir {folder} --root $root
grep -c BEGIN $root/etc/ssl/certs/ca-certificates.crt >/dev/null
readlink $root/etc/ssl/certs/{label}.pem
$ca remove --all --root $root
find $root/usr/local/share/ca-certificates $root/etc/ssl -name '*ksplit*'
""".format(folder=authority.cert.parent, label=label(authority.cert)))
    path = "/usr/local/share/ca-certificates/%s.crt" % label(authority.cert)
    assert said.splitlines() == ["debian  %s: installed" % path, path,
                                 "debian  /usr/local/share/ca-certificates: removed"]


OTHERS = [
    # folder, program, its arguments, bundle
    ("fedora", "etc/pki/ca-trust/source/anchors", "update-ca-trust", "extract",
     "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
    ("suse", "etc/pki/trust/anchors", "update-ca-certificates", "",
     "var/lib/ca-certificates/ca-bundle.pem"),
    ("arch", "etc/ca-certificates/trust-source/anchors", "update-ca-trust", "",
     "etc/ca-certificates/extracted/tls-ca-bundle.pem"),
]


@pytest.mark.parametrize("kind,folder,program,argument,bundle", OTHERS, ids=[o[0] for o in OTHERS])
def test_layouts_of_other_distributions(authority, tmp_path, kind, folder, program, argument,
                                        bundle):
    """Folder, program and bundle are theirs; the program is this test's, since it is not
    packaged here: it makes the bundle from the folder, as theirs do."""
    said = in_own_store(tmp_path, ROOT.format(scratch=tmp_path) + """
mkdir -p $root/{folder} $root/$(dirname {bundle}) $root/usr/local/share/x
mount -t tmpfs tmpfs $root/usr/local/share
mount -t tmpfs tmpfs $root/usr/local/sbin
cat >$root/usr/local/sbin/{program} <<-END
	#!/bin/sh
	echo "\\$*" >>/asked
	cat /{folder}/*.crt >/{bundle} 2>/dev/null || : >/{bundle}
END
chmod 755 $root/usr/local/sbin/{program}
$ca install --dir {ca} --root $root
$ca install --dir {ca} --root $root
cmp {ca}/ca.pem $root/{folder}/{label}.crt
cmp {ca}/ca.pem $root/{bundle}
$ca remove --dir {ca} --root $root
find $root/{folder} $root/{bundle} -type f -size +0
""".format(folder=folder, program=program, bundle=bundle, ca=authority.cert.parent,
           label=label(authority.cert)))
    where = "%-7s /%s/%s.crt: " % (kind, folder, label(authority.cert))
    assert said.splitlines() == [where + "installed", where + "was installed already",
                                 where + "removed"]
    assert (tmp_path / "root" / "asked").read_text() == (argument + "\n") * 2


def test_no_store_at_all(authority, tmp_path):
    root = tmp_path / "empty"
    root.mkdir()
    assert "install the package ca-certificates" in refused(
        "install", "--dir", authority.cert.parent, "--root", root)
    assert ca("remove", "--all", "--root", root).stdout.startswith("There is no trust store here")
    assert "cannot be entered" in refused("remove", "--all", "--root", tmp_path / "none")
    assert list(root.iterdir()) == []


def test_only_a_valid_ca_is_installed(pki, tmp_path):
    assert "not a CA" in refused("install", "--cert", pki.origin.cert)
    assert "make one with `ksplit-ca init`" in refused("install", "--dir", tmp_path)
