# SPDX-License-Identifier: GPL-2.0-or-later
"""Every command of the documentation is run, as it stands, page by page, on a machine of the page's
own (lib/docs_machine.py); what a page shows of the output has to be printed. Configurations are
checked by their programs. What cannot be run is listed with its reason (lib/docs_pages.py)."""

import os
import re

import pytest

from lib import docs, docs_pages, docs_scene, env
from lib.process import run

pytestmark = [pytest.mark.needs("nginx", "curl", "openssl", "nft", "jq", "socat", "ip", "nsenter"),
              pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

BLOCKS = {docs.name_of(path): docs.read(path) for path in docs.PAGES + docs.MANUALS}
COMMANDS = {page: [command for block in blocks for command in block.commands]
            for page, blocks in BLOCKS.items()}
TRIED = sorted(page for page, commands in COMMANDS.items()
               if any((page, command.text) not in docs_pages.not_run() for command in commands))
# Begins like a command line, and is no synopsis.
HIDDEN = re.compile(r" *(?:[#$] )?(?:sudo |build/)?(?:ksplit\S*|curl|make|nft|ip|openssl|systemctl"
                    r"|apt\S*|tests/\S+|tools/\S+) (?!\[|-* )\S")


@pytest.fixture
def scene(docs_world, tmp_path):
    made = docs_scene.Scene(docs_world, tmp_path)
    yield made
    made.close()


# -- nothing is left out ---------------------------------------------------------------------------


def test_every_block_says_what_it_is():
    """A fence has one of the known words, and no command hides in a picture."""
    for blocks in BLOCKS.values():
        for block in blocks:
            assert block.kind in docs.KINDS, "%s: a fence without a kind (lib/docs.py)" % block
            if block.kind == "text":
                hidden = [line for line in block.text.splitlines() if HIDDEN.match(line)]
                assert not hidden, "%s: commands in a text: %s" % (block, hidden)


def test_list_of_what_is_not_run_is_current():
    there = {(page, command.text) for page, commands in COMMANDS.items() for command in commands}
    gone = [entry for entry in docs_pages.not_run() if entry not in there]
    assert not gone, "no page has these commands any more: %s" % gone
    unknown = [page for page in docs_pages.PAGES if page not in BLOCKS]
    assert not unknown, "no such pages: %s" % unknown


def test_what_is_said_of_a_page_is_of_use():
    """Each word that is filled in, each beginning of a command, is on its page."""
    for name, page in docs_pages.PAGES.items():
        for word in [*page.fill, *page.before, *page.after, *page.codes]:
            assert any(word in command.text for command in COMMANDS[name]), (name, word)


LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")


def anchors(path):
    """Of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_lead_somewhere():
    for path in docs.PAGES:
        for name, anchor in LINK.findall(path.read_text()):
            target = path.parent / name if name else path
            assert target.exists(), "%s: no %s" % (path, name)
            assert not anchor or anchor in anchors(target), "%s: no %s#%s" % (path, name, anchor)


def test_index_has_every_page():
    index = docs.ROOT / "docs" / "README.md"
    linked = {name for name, _ in LINK.findall(index.read_text())}
    pages = {path.name for path in docs.PAGES if path.parent == index.parent and path != index}
    assert pages - linked == set()


# -- what is told in a sentence --------------------------------------------------------------------

MENTION = re.compile(r"`(?:build/)?(ksplitd|ksplit-\w+|make|tests/run)((?: [^`|]+)?)`")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def known_words(program):
    """Commands of a program, targets, parts: the first words of the lines of its help."""
    command = {"make": ["make", "-s", "-C", env.ROOT, "help"],
               "tests/run": [env.ROOT / "tests/run", "--help"]}.get(
                   program, [env.BUILD / program, "--help"])
    text = run(*command).stdout.decode()
    return text, set(re.findall(r"^ +(?:make )?([a-z][a-z0-9-]*)\b", text, re.MULTILINE))


def test_mentions_are_of_what_there_is():
    """Commands within a sentence: their options and first words are in the program's help."""
    helps, wrong = {}, []
    for path in docs.PAGES:
        sentences = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
        for program, rest in MENTION.findall(sentences):
            if program not in helps and (program.startswith(("make", "tests")) or
                                         (env.BUILD / program).exists()):
                helps[program] = known_words(program)
            if program not in helps:
                continue  # ksplit-keeper and such, which nobody starts by hand
            text, words = helps[program]
            given = rest.split(" -- ")[0].split()
            wrong += [(path.name, program, option) for option in OPTION.findall(" ".join(given))
                      if option not in text]
            first = next((word for word in given if not word.startswith("-")), "")
            if (program not in ("ksplitd", "ksplit-doctor") and first not in words and
                    re.fullmatch("[a-z][a-z0-9-]*", first)):
                wrong.append((path.name, program, first))
    assert not wrong
    assert len(helps) > 4


# -- commands --------------------------------------------------------------------------------------


def missing(page, command, done):
    return sorted(set(docs.words_missing(command.output, done.text)) - page.elsewhere)


def run_command(scene, page, command):
    text = page.filled(scene, command.text)
    before = docs_pages.begins(page.before, command.text)
    if before:
        before(scene, command)
    if "--watch" in text:
        scene.watch(text)
        return
    if command.block.terminal:
        scene.serve(text, command.block.at)
        return
    done = scene.machine(command.block.at).run(text, check=False)
    codes = docs_pages.begins(page.codes, command.text, {0})
    assert done.returncode in codes, "%s\nexit code %d\n%s" % (command, done.returncode, done.text)
    if command.output and missing(page, command, done) and "ksplit-status" in text:
        # Calls are counted when they are over; who types is slower than that.
        env.wait_for(lambda: not missing(page, command, scene.machine(command.block.at).run(text)),
                     lambda: "what %s shows" % command)
    elif command.output:
        assert not missing(page, command, done), (
            "%s\nthe page shows words that were not printed: %s\n%s" % (
                command, missing(page, command, done), done.text))
    after = docs_pages.begins(page.after, command.text)
    if after:
        after(scene, command)


@pytest.mark.parametrize("name", TRIED)
def test_commands_do_what_the_page_says(scene, name):
    page = docs_pages.PAGES.get(name, docs_pages.Page())
    page.scene(scene)
    for command in COMMANDS[name]:
        if (name, command.text) not in docs_pages.not_run():
            run_command(scene, page, command)
