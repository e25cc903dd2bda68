# SPDX-License-Identifier: GPL-2.0-or-later
"""Blocks of the documentation: commands, what they print, configuration.

An indented block, or one in a ```sh fence, is commands for a shell. What is something else stands
in a fence that says so: ```console is a session (lines behind "# " or "$ " are commands, the others
what they print), ```output what the command before it prints, and ```json, ```yaml, ```ini,
```nginx, ```nft, ```c, ```python are what they are called. ```text is for pictures and for what
nobody types.

In front of a block may stand, invisible on the page, how its commands are run:
<!-- at: client -->   on another machine of the scene
<!-- terminal -->     in a terminal of its own: the command goes on while the page does

Of a man page the examples are read: what stands between .nf and .fi in the section EXAMPLES or
EXAMPLE. There .\\" terminal is that directive.
"""

import functools
import re
import subprocess
import textwrap
from dataclasses import dataclass, field

from .env import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MANUALS = [*sorted((ROOT / "docs/man").glob("*.[1-9]")), *sorted(ROOT.glob("tools/*/*.[1-9]"))]
FENCE = re.compile(r"^( *)```(\w*)")
DIRECTIVE = re.compile(r"<!-- (?:at: (?P<at>\w+)|(?P<terminal>terminal)) -->")
COMMENT = re.compile(r"(^|\s+)# .*$")
KINDS = {"sh", "console", "output", "json", "yaml", "ini", "nginx", "nft", "c", "python", "text"}


def commands(page, name):
    """The indented blocks behind each <!-- NAME --> of docs/PAGE, joined."""
    text = (ROOT / "docs" / page).read_text()
    blocks = re.findall(r"<!-- %s -->\n((?: {4}.*\n|\n)+)" % re.escape(name), text)
    assert blocks, "%s has no block %s" % (page, name)
    lines = "".join(blocks).rstrip().splitlines()
    return "\n".join(re.sub("^ {4}", "", line) for line in lines) + "\n"


@dataclass
class Block:
    """`kind`: the fence's word, "sh" of an indented block. `line`: where it begins, from 1."""
    page: str
    line: int
    kind: str
    text: str
    at: str = "host"
    terminal: bool = False
    commands: list = field(default_factory=list)

    def __str__(self):
        return "%s:%d" % (self.page, self.line)


@dataclass
class Command:
    """`output`: what the page says that it prints; None: nothing is said."""
    text: str
    block: Block
    output: str = None

    def __str__(self):
        return "%s: %s" % (self.block, self.text)


def indent_of(line):
    return len(line) - len(line.lstrip(" "))


def is_item(line):
    """Of a list, whose text, and so its paragraphs, is indented by itself."""
    return re.match(r"^ *([-*]|\d+\.) +", line)


def name_of(path):
    """docs/README.md alone has a folder in its name."""
    return path.name if path == ROOT / "README.md" or path.name != "README.md" else "docs/README.md"


def blocks_of(path):
    """All blocks of a page, in order."""
    page, lines = name_of(path), path.read_text().splitlines()
    found, number, item, after_blank, how = [], 0, 0, True, {}
    while number < len(lines):
        line = lines[number]
        fence, start = FENCE.match(line), number
        directive = DIRECTIVE.fullmatch(line.strip())
        if directive:
            how = {"at": directive["at"] or "host", "terminal": bool(directive["terminal"])}
        elif fence:
            number += 1
            while not lines[number].startswith(fence[1] + "```"):
                number += 1
            text = "\n".join(each[len(fence[1]):] for each in lines[start + 1:number])
            found.append(Block(page, start + 1, fence[2], text, **how))
            how = {}
        elif after_blank and line.strip() and indent_of(line) >= item + 4:
            while number + 1 < len(lines) and (not lines[number + 1].strip() or
                                               indent_of(lines[number + 1]) >= item + 4):
                number += 1
            text = textwrap.dedent("\n".join(lines[start:number + 1])).rstrip()
            found.append(Block(page, start + 1, "sh", text, **how))
            how = {}
        elif line.strip() and not line.startswith("<!--"):
            marker = is_item(line)
            if marker:
                item = marker.end()
            elif indent_of(line) < item and after_blank:
                item = 0
            how = {}
        after_blank = not lines[number].strip() or bool(directive) or line.startswith("<!--")
        number += 1
    return found


def examples_of(path):
    """Blocks of a man page's examples: commands of a shell, or a configuration."""
    found, how, start, section = [], {}, 0, ""
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines, 1):
        if line.startswith(".SH "):
            section = line[4:]
        elif line == '.\\" terminal':
            how = {"terminal": True}
        elif line == ".nf":
            start = number
        elif line == ".fi" and section.startswith("EXAMPLE"):
            text = "\n".join(lines[start:number - 1]).replace("\\-", "-").replace("\\e", "\\")
            kind = "json" if text.startswith(("//", "{")) else "sh"
            found.append(Block(path.name, start, kind, text, **how))
            how = {}
    return found


def is_complete(text):
    """Would bash take it as it is, or read on?"""
    if text.endswith("\\"):
        return False
    said = subprocess.run(["bash", "-n"], input=text.encode(), capture_output=True, check=False)
    return said.returncode == 0 and b"here-document" not in said.stderr


def split(lines):
    """Command lines of a shell, each as it would be typed, comments left out."""
    found, text = [], ""
    for line in lines:
        if not text and (not line.strip() or line.startswith("# ")):
            continue
        text += ("\n" if text else "") + line
        if is_complete(text):
            found.append(COMMENT.sub("", text) if "\n" not in text else text)
            text = ""
    assert not text, "a command that does not end: " + text
    return found


def session(block):
    """Commands of a ```console block, each with what it prints."""
    for line in block.text.splitlines():
        if line[:2] in ("# ", "$ "):
            block.commands.append(Command(COMMENT.sub("", line[2:]), block, ""))
        else:
            block.commands[-1].output += line + "\n"
    for command in block.commands:
        command.output = command.output or None


@functools.cache
def read(path):
    """Blocks of a page with their commands; "output" belongs to the last command before it."""
    found, last = examples_of(path) if path in MANUALS else blocks_of(path), None
    for block in found:
        if block.kind == "sh":
            block.commands = [Command(text, block) for text in split(block.text.splitlines())]
        elif block.kind == "console":
            session(block)
        elif block.kind == "output":
            assert last and last.output is None, "%s: of which command?" % block
            last.output = block.text
        if block.commands:
            last = block.commands[-1]
    return found


# -- what is printed -------------------------------------------------------------------------------

WORD = re.compile(r"[A-Za-z_]{3,}|\bo[nk]\b")
CUT = re.compile(r"\S*\.\.\.\S*")


def words(text):
    return set(WORD.findall(re.sub(r"\b[0-9a-fA-F]{8,}\b", " ", text)))


def words_missing(shown, printed):
    """Words of three letters and more ("on" and "ok", too) that a page shows and a program did not
    print; numbers are of no matter, nor is what "..." stands for."""
    return sorted(words(CUT.sub(" ", shown)) - words(printed))
