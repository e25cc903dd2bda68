# SPDX-License-Identifier: GPL-2.0-or-later
"""Blocks of the documentation that are no commands: configuration, units, source, lines of the
access log. Each is given to the program that it is for."""

import ast
import json
import os
import re

import pytest

from lib import docs, docs_scene, env
from lib.docs_machine import TREE

pytestmark = [pytest.mark.needs("nginx", "curl", "openssl", "nft", "socat", "promtool",
                                "systemd-analyze"),
              pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

BLOCKS = [block for path in docs.PAGES + docs.MANUALS for block in docs.read(path)]
PARTS = {"outgoing", "incoming", "forwarded", "hook"}
IDENTITIES = ("shop", "shop-rsa", "other")
UNITS = "/etc/systemd/system/"
# Their examples are whole programs; lib/docs.py has the other kinds.
CHECKED = {"json", "yaml", "ini", "nginx", "nft", "c", "python"}


def of_kind(kind):
    found = [block for block in BLOCKS if block.kind == kind]
    assert found, "no page has a block of the kind %s any more" % kind
    return found


@pytest.fixture(scope="module")
def scene(docs_world, tmp_path_factory):
    """ksplitd runs, and the files are there that examples name."""
    made = docs_scene.Scene(docs_world, tmp_path_factory.mktemp("scene"))
    made.start()
    for name in IDENTITIES:
        made.host.run("openssl req -x509 {ec} -subj /CN={name}.test -keyout /etc/ksplit/{name}.key "
                      "-out /etc/ksplit/{name}.pem".format(ec=docs_scene.EC, name=name))
    made.host.run("cp /etc/ksplit/shop.pem /etc/ksplit/corp.pem")  # a CA of the reader's
    # Both may be one file.
    made.host.run("cat /etc/ksplit/other.key >>/etc/ksplit/other.pem")
    yield made
    made.close()


def parsed(block):
    """(as an object, its text as a whole one); comments are allowed, as in the configuration."""
    text = block.text if block.text.startswith(("{", "//")) else "{%s}" % block.text
    plain = re.sub(r"(^|\s)//.*$|/\*.*?\*/", "", text, flags=re.MULTILINE)
    return json.loads(plain), text


def is_configuration(value):
    return "type" not in value and "command" not in value


def whole(value):
    """A configuration out of what a page shows of it."""
    if set(value) <= PARTS:
        value = {"capture": value}
    base = {name: docs_scene.CONFIGURATION[name] for name in ("ca", "listeners")}
    if any(listener.get("direction") == "incoming" for listener in value.get("listeners", ())):
        base["identities"] = [{"cert": "/etc/ksplit/shop.pem", "key": "/etc/ksplit/shop.key"}]
    return dict(base, **value)


def test_every_kind_is_checked():
    assert CHECKED == docs.KINDS - {"sh", "console", "output", "text"}


def test_configurations_are_good(scene):
    """By ksplitd --check, as the page has them: a part stands in an else minimal file."""
    for block in of_kind("json"):
        value, text = parsed(block)
        if not is_configuration(value):
            continue
        complete = whole(value)
        # Comments and all, where nothing had to be added.
        scene.host.write("/root/page.json", text if complete == value else json.dumps(complete))
        done = scene.host.run("ksplitd -c /root/page.json --check", check=False)
        assert done.returncode == 0, "%s: %s" % (block, done.text)


def test_lines_of_the_access_log_are_as_shown(scene):
    """The same members; of a member that is an object, too, where it is not null in either."""
    lines = env.wait_for(lambda: by_type(scene), "lines of both types")
    for block in of_kind("json"):
        value, _ = parsed(block)
        if "type" in value:
            printed = lines.pop(value["type"])
            assert set(value) == set(printed), block
            for name in value:
                if isinstance(value[name], dict) and isinstance(printed[name], dict):
                    assert set(value[name]) == set(printed[name]), (block, name)
    assert not lines, "no page shows lines of type %s" % list(lines)


def by_type(scene):
    text = scene.host.path("/var/log/ksplit/access.json").read_text()
    found = {line["type"]: line for line in map(json.loads, text.splitlines())}
    return found if len(found) > 1 else None


def test_requests_of_the_control_socket_are_answered(scene):
    for block in of_kind("json"):
        value, text = parsed(block)
        if "command" in value:
            scene.host.write("/root/request", text + "\n")
            said = scene.host.run("socat - UNIX:/run/ksplit/control.sock </root/request").stdout
            assert json.loads(said)["ok"], (block, said)


def test_rules_are_those_that_are_printed(scene):
    """capture.md says for which configuration, in the sentence before them."""
    (block,) = of_kind("nft")
    page = (env.ROOT / "docs" / block.page).read_text()
    part = re.search(r"This is `(\{.*\})`:\n\n```nft", page)[1]
    scene.host.write("/root/page.json", json.dumps(whole({"capture": json.loads(part)})))
    printed = scene.host.run("ksplitd -c /root/page.json --print-rules=nft").stdout.decode()
    lines = [line for line in printed.splitlines() if not line.startswith("#")]
    assert "\n".join(lines).strip() == block.text, block
    scene.host.write("/root/page.nft", block.text)
    # Where no ksplitd owns a table of this name.
    scene.host.run("unshare --net nft -c -f /root/page.nft")


def test_prometheus_takes_its_configuration(scene):
    for block in of_kind("yaml"):
        scene.host.write("/root/prometheus.yml", block.text)
        scene.host.run("promtool check config /root/prometheus.yml")


def test_nginx_takes_its_configuration(scene):
    for block in of_kind("nginx"):
        scene.host.write("/root/nginx.conf", "events {}\nhttp { server {\n%s\n} }\n" % block.text)
        scene.host.run("nginx -t -c /root/nginx.conf")


def test_systemd_takes_units(scene):
    """A unit by itself; what is no whole one is for ksplit's own, as a drop-in."""
    for path in (env.ROOT / "packaging/systemd").iterdir():
        if path.suffix in (".service", ".socket"):
            scene.host.write(UNITS + path.name,
                             re.sub("@s?bindir@", "/usr/local/sbin", path.read_text()))
    for number, block in enumerate(of_kind("ini")):
        kind = "socket" if "[Socket]" in block.text else "service"
        if "[Unit]" in block.text:
            name = UNITS + "page%d.%s" % (number, kind)
            scene.host.write(name, block.text)
        else:
            name = UNITS + "ksplit." + kind
            scene.host.write("%s.d/page%d.conf" % (name, number), block.text)
        done = scene.host.run("systemd-analyze verify --man=no " + name)
        assert not done.stderr, "%s: %s" % (block, done.text)


def test_programs_compile_and_pass(scene):
    """contributing.md shows a whole unit test. It is built as the page says."""
    for block in of_kind("c"):
        scene.host.write("%s/tests/unit/test_page.c" % TREE, block.text + "\n")
        scene.host.run("make -s build/tests/test_page && build/tests/test_page")


def test_python_is_python():
    for block in of_kind("python"):
        tree = ast.parse(block.text)
        functions = [each.name for each in tree.body if isinstance(each, ast.FunctionDef)]
        assert any(name.startswith("test_") for name in functions), block


def test_findings_of_the_doctor_are_its_own(scene):
    """The example of doctor.md is of another host: there are checks of those names."""
    (block,) = [each for each in BLOCKS if each.page == "doctor.md" and each.kind == "text"]
    shown = set(re.findall(r"^(?:ok|warn|fail) +(\S+)", block.text, re.MULTILINE))
    listed = set(scene.host.run("ksplit-doctor --list").stdout.decode().split())
    assert shown and shown <= listed
