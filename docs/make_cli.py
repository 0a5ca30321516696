"""Write docs/cli.md: the help of every command.

python docs/make_cli.py
"""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

from napari_disca.cli import app

FILE = Path(__file__).with_name("cli.md")

_HEAD = """\
# Command line

`docs/make_cli.py` makes this page from the dataclasses in `cli/options.py`, and from those of
recipes, cards, training plans and evaluation settings. Results go to standard output, progress to
standard error. After a wrong argument or input a command prints one line and ends with exit code 2,
after Ctrl+C with exit code 130.
"""


def text_of(*arguments: str) -> str:
    """Return the help of a command as plain text, 80 columns wide."""
    output = io.StringIO()
    os.environ["COLUMNS"] = "80"
    os.environ["TERMINAL_WIDTH"] = "80"
    with contextlib.redirect_stdout(output):
        app.run([*arguments, "--help"])
    return "\n".join(line.rstrip() for line in output.getvalue().strip().splitlines())


def reference() -> str:
    """Return the text of the page."""
    parts = [_HEAD, f"```\n{text_of()}\n```\n"]
    parts += [f"## {name}\n\n```\n{text_of(name)}\n```\n" for name in app.COMMANDS]
    return "\n".join(parts)


if __name__ == "__main__":
    FILE.write_text(reference(), encoding="utf-8")
