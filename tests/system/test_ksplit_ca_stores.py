# SPDX-License-Identifier: GPL-2.0-or-later
"""ksplit-ca in NSS databases and Java keystores, by their own programs."""

import os
import pwd
import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from lib.authority import ca, init, label, refused, show
from lib.process import ENV, run

NOBODY = pwd.getpwnam("nobody")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return init(tmp_path_factory.mktemp("ca"))


def options(authority, *more):
    return ("--no-system", "--dir", authority.cert.parent, *more)


def stores(authority, *more, code=0):
    return [(s["kind"], s["state"]) for s in show(authority.cert.parent, "--no-system", *more,
                                                  code=code)["stores"]]


# -- NSS -----------------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path):
    folder = tmp_path / "nss db"
    folder.mkdir()
    run("certutil", "-N", "--empty-password", "-d", "sql:%s" % folder)
    return folder


def rows(folder):
    """Everything that the database holds, trust included."""
    found = []
    for name, table in (("cert9.db", "nssPublic"), ("key4.db", "nssPrivate"),
                        ("key4.db", "metaData")):
        with sqlite3.connect(folder / name) as connection:
            found += [tuple(row[1:]) for row in connection.execute("select * from " + table)]
    return sorted(map(repr, found))


def nicknames(folder):
    lines = run("certutil", "-L", "-d", "sql:%s" % folder).stdout.decode().splitlines()
    return dict(line.rsplit(None, 1) for line in lines if line.rstrip().endswith(","))


@pytest.mark.needs("certutil")
def test_nss_life(authority, pki, database):
    other = ["certutil", "-A", "-d", "sql:%s" % database, "-n", "ksplit-other", "-t", "C,,", "-i"]
    run(*other, pki.ca.cert)
    before = rows(database)
    nss = options(authority, "--nss", database)
    assert stores(authority, "--nss", database) == [("nss", "absent")]
    assert ca("install", *nss).stdout == "nss     %s: installed\n" % database
    assert nicknames(database) == {"ksplit-other": "C,,", label(authority.cert): "C,,"}
    assert ca("install", *nss).stdout.endswith(": was installed already\n")
    assert stores(authority, "--nss", database) == [("nss", "installed")]
    leaf = pki.issue("nss-leaf", authority, san="DNS:nss.test")
    run("certutil", "-A", "-d", "sql:%s" % database, "-n", "leaf", "-t", ",,", "-i", leaf.cert)
    assert b"certificate is valid" in run("certutil", "-V", "-d", "sql:%s" % database, "-u", "V",
                                          "-n", "leaf").stdout
    run("certutil", "-D", "-d", "sql:%s" % database, "-n", "leaf")
    assert ca("remove", *nss).stdout.endswith(": removed\n")
    assert ca("remove", *nss).stdout.endswith(": was not there\n")
    assert rows(database) == before
    ca("install", *nss)
    assert ca("remove", "--all", "--no-system", "--nss", database).stdout.endswith(": removed\n")
    assert rows(database) == before


@pytest.mark.needs("certutil")
def test_nss_with_a_password(authority, tmp_path):
    folder, password = tmp_path / "locked", tmp_path / "password"
    folder.mkdir()
    password.write_text("secret 27\n")
    run("certutil", "-N", "-f", password, "-d", "sql:%s" % folder)
    refused_line = ca("install", *options(authority, "--nss", folder), code=2).stderr
    assert refused_line.startswith("ksplit-ca: ") and "certutil: exit code" in refused_line
    nss = options(authority, "--nss", folder, "--nss-password", password)
    ca("install", *nss)
    assert nicknames(folder) == {label(authority.cert): "C,,"}
    ca("remove", *nss)
    assert nicknames(folder) == {}


@pytest.mark.needs("certutil")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_nss_of_a_user_stays_the_users(authority, tmp_path):
    """Both databases of a user, found below the home folder; root's hand is the user's there."""
    home = tmp_path / "home"
    folders = [home / ".pki" / "nssdb", home / ".mozilla" / "firefox" / "x.default"]
    for folder in folders:
        folder.mkdir(parents=True)
        run("certutil", "-N", "--empty-password", "-d", "sql:%s" % folder)
    (home / ".mozilla" / "firefox" / "evil").symlink_to(tmp_path / "roots")
    roots = tmp_path / "roots"
    shutil.copytree(folders[0], roots)
    tmp_path.chmod(0o755)
    for path in [home, *home.rglob("*")]:
        os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid, follow_symlinks=False)
    passwd = tmp_path / "passwd"
    passwd.write_text("root:x:0:0::/root:/bin/sh\nkscauser:x:%d:%d::%s:/bin/sh\n" % (
        NOBODY.pw_uid, NOBODY.pw_gid, home))
    inside = ("unshare", "--mount", "--propagation", "private", "sh", "-c",
              'mount --bind "$0" /etc/passwd && exec "$@"', passwd)
    # Folders above that only root may enter are others' business: pytest's are such.
    for above in tmp_path.parents:
        if not above.stat().st_mode & 0o001:
            above.chmod(above.stat().st_mode | 0o011)
    done = ca("install", *options(authority, "--nss-of", "kscauser"), code=1, prefix=inside)
    assert done.stdout.count(": installed\n") == 2 and "does not belong to that user" in done.stderr
    for folder in folders:
        assert nicknames(folder) == {label(authority.cert): "C,,"}
        assert {path.stat().st_uid for path in folder.iterdir()} == {NOBODY.pw_uid}
    assert nicknames(roots) == {}
    ca("remove", *options(authority, "--nss-of", "kscauser"), code=1, prefix=inside)
    assert all(nicknames(folder) == {} for folder in folders)
    assert "no such user" in refused("install", *options(authority, "--nss-of", "nobody-here"))


@pytest.mark.needs("certutil")
def test_one_of_two_stores_fails(authority, database, tmp_path):
    (tmp_path / "none").mkdir()
    done = ca("install", *options(authority, "--nss", tmp_path / "none", "--nss", database), code=1)
    assert "no NSS database (cert9.db) in it; make one with" in done.stderr
    assert done.stdout.splitlines() == ["nss     %s/none: failed" % tmp_path,
                                        "nss     %s: installed" % database]
    assert stores(authority, "--nss", tmp_path / "none", code=1) == [("nss", "unknown")]


# -- Java ----------------------------------------------------------------------------------------


# A Java that starts fast; ksplit-ca passes its environment on.
JAVA = dict(ENV, JAVA_TOOL_OPTIONS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
            ASAN_OPTIONS="exitcode=99")
CACERTS = Path("/etc/ssl/certs/java/cacerts")  # of ca-certificates-java


def entries(keystore):
    """{alias: PEM} of the CAs in it."""
    text = run("keytool", "-list", "-rfc", "-keystore", keystore, "-storepass", "changeit",
               env=JAVA).stdout.decode()
    return dict(re.findall(r"Alias name: (\S+)\n.*?(-----BEGIN.*?END CERTIFICATE-----)", text, re.S))


@pytest.mark.needs("keytool")
def test_java_life(authority, tmp_path):
    """A copy of the host's keystore, behind a link as Debian's; each step is a Java that starts."""
    keystore, link = tmp_path / "store", tmp_path / "cacerts"
    shutil.copyfile(CACERTS, keystore)
    keystore.chmod(0o604)
    link.symlink_to(keystore)
    java = options(authority, "--java", link)
    assert ca("install", *java, env=JAVA).stdout == "java    %s: installed\n" % link
    found = entries(keystore)
    ours = found.pop(label(authority.cert))
    assert ours.split() == authority.cert.read_text().split() and len(found) > 50
    assert ca("install", *java, env=JAVA).stdout.endswith(": was installed already\n")
    assert ca("remove", "--all", "--no-system", "--java", link,
              env=JAVA).stdout.endswith(": removed\n")
    assert entries(keystore) == found
    assert link.is_symlink() and keystore.stat().st_mode & 0o777 == 0o604
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cacerts", "store"]


@pytest.mark.needs("keytool")
def test_java_failures_leave_the_keystore(authority, tmp_path):
    broken = tmp_path / "broken"
    broken.write_text("no keystore")
    done = ca("install", *options(authority, "--java", broken), code=2, env=JAVA)
    assert "keytool: exit code 1: " in done.stderr
    assert broken.read_text() == "no keystore"
    assert "No such file" in ca("install", *options(authority, "--java", tmp_path / "none"),
                                code=2).stderr
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]
