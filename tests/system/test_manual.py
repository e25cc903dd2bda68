# SPDX-License-Identifier: GPL-2.0-or-later
"""Man pages: every option, command and key is described, and none that is not there."""

import json
import re

import pytest

from lib import env
from lib.process import run

PAGES = {"ksplitd": "docs/man/ksplitd.8", "ksplit-status": "tools/ksplit-status/ksplit-status.1",
         "ksplit-ca": "tools/ksplit-ca/ksplit-ca.8",
         "ksplit-doctor": "tools/ksplit-doctor/ksplit-doctor.8"}
KEYS = "docs/man/ksplit.json.5"
MEMBER = (r'(?:PART|MATCH)\(((?!name_)\w+), \w+\)|'
          r'\{(?:\.name = )?"(\w+)",\s+(?:\.read = )?(?:read_|config_reader_|config_rule_)')
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")


def source(page):
    """A page's text with plain hyphens, without comments."""
    text = (env.ROOT / page).read_text()
    return re.sub(r'^\.\\".*\n', "", text, flags=re.MULTILINE).replace(r"\-", "-")


def headings(text):
    """The line behind each .TP: what a paragraph is about, without macros and changes of font."""
    found = re.findall(r"^\.TP\n(.*)$", text, re.MULTILINE)
    return [re.sub(r"^\.[A-Z]+ |\\f[A-Z]|\\&", "", line).replace('"', "") for line in found]


def help_of(program):
    return run(env.BUILD / program, "--help").stdout.decode()


@pytest.mark.parametrize("program", PAGES)
def test_options_are_those_of_the_help(program):
    """A letter for an option may be in one alone: the page has -q beside --quiet."""
    lines = [line for line in help_of(program).splitlines() if re.match(r" +-", line)]
    told = {option for line in lines
            for option in OPTION.findall(re.split(r"\s{2,}", line.strip())[0])}
    described = {option for line in headings(source(PAGES[program]))
                 for option in OPTION.findall(line)}
    assert told - described == set(), "in the help alone"
    missing = {option for option in described - told if option.startswith("--")}
    assert missing == set(), "in %s alone" % PAGES[program]
    assert len(told) > 5


@pytest.mark.parametrize("program", ["ksplit-status", "ksplit-ca"])
def test_commands_are_those_of_the_help(program):
    told = set(re.findall(r"^  ([a-z]+) ", help_of(program), re.MULTILINE))
    text = source(PAGES[program])
    section = text[text.index("\n.SH COMMANDS"):text.index("\n.SH OPTIONS")]
    described = {line.split()[0] for line in headings(section)}
    assert told == described and len(told) > 4


def settings():
    """Keys of single values: the table of user/core/config_setting.c."""
    text = (env.ROOT / "user/core/config_setting.c").read_text()
    table = text[text.index("const struct config_setting config_settings[]"):]
    table = table[:table.index("\n};")]
    return set(re.findall(r'"([a-z_.]+\.[a-z_.]+|[a-z_]+)", ?(?:NULL|"|\n)', table)) | {
        "limits.deadlines_ms." + name for name in re.findall(r"DEADLINE\((\w+)\)", table)}


def members():
    """{name: file} of the members of sections: tables of struct config_field."""
    found = {}
    for path in (env.ROOT / "user/core").glob("config_*.c"):
        if path.name == "config_setting.c":
            continue
        text = path.read_text()
        for name in re.findall(MEMBER, text):
            found[name[0] or name[1]] = path.name
    return found


def described_keys():
    """Keys in headings of ksplit.json(5), as they stand there."""
    return [re.split(r"[ ,]", line)[0] for line in headings(source(KEYS))]


def test_every_key_is_described():
    keys = described_keys()
    assert len(settings()) > 40, settings()
    assert sorted(settings() - set(keys)) == []
    last_steps = {re.split(r"[.\[\]]", key)[-1] for key in keys}
    text = source(KEYS)
    missing = {name: where for name, where in members().items()
               if name not in last_steps and not re.search(r"\.I[RB]? .*\b%s\b" % name, text)}
    assert not missing
    assert len(members()) > 15, members()


def test_every_setting_is_in_the_table_of_configuration():
    """docs/configuration.md, "File and command line"; .b is another key of the section before."""
    text = (env.ROOT / "docs/configuration.md").read_text()
    table = text[text.index("| key in the file |"):text.index("\n## Which destination")]
    told = set()
    for cell in re.findall(r"^\| (.*?) \|", table, re.MULTILINE):
        section = ""
        for key in re.findall(r"`([\w.\[\]]+)`", cell):
            told.add(section + key if key.startswith(".") else key)
            section = section if key.startswith(".") else key.rpartition(".")[0]
    there = {key for key in settings() if not key.startswith("limits.deadlines_ms.")}
    assert sorted(there - told) == []


def nested(key):
    """{"a": {"b": null}} of a.b: a value that no key takes."""
    value = None
    for step in reversed(key.split(".")):
        value = {step: value}
    return value


def test_every_described_key_is_known(tmp_path):
    """ksplitd complains about the value, not about the key."""
    path = tmp_path / "ksplit.json"
    tried = 0
    for key in described_keys():
        key = key.replace("PART", "forwarded")
        if not re.fullmatch(r"[a-z_]+(\.[a-z_]+)*", key) or key in members():
            continue
        path.write_text(json.dumps(nested(key)))
        done = run(env.BUILD / "ksplitd", "-c", path, "--check", check=False)
        assert done.returncode == 2 and b"unknown key" not in done.stderr, done.stderr
        assert b'"%s"' % key.encode() in done.stderr, (key, done.stderr)
        tried += 1
    assert tried > 40


@pytest.mark.needs("groff")
@pytest.mark.parametrize("page", [*PAGES.values(), KEYS])
def test_pages_are_set_without_a_complaint(page):
    done = run("groff", "-man", "-ww", "-z", "-Tutf8", "-K", "utf8", env.ROOT / page)
    assert done.stderr == b"", done.stderr.decode()
