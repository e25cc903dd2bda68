# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands as the documentation gives them."""

import re

from .env import ROOT


def commands(page, name):
    """The indented blocks behind each <!-- NAME --> of docs/PAGE, joined."""
    text = (ROOT / "docs" / page).read_text()
    blocks = re.findall(r"<!-- %s -->\n((?:    .*\n|\n)+)" % re.escape(name), text)
    assert blocks, "%s has no block %s" % (page, name)
    lines = "".join(blocks).rstrip().splitlines()
    return "\n".join(re.sub("^ {4}", "", line) for line in lines) + "\n"
