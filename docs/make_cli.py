"""Write docs/cli.md: what every command of the command line understands.

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

Made by `docs/make_cli.py` from the dataclasses in `cli/options.py` and from those of the engine
that lend them their fields. Results go to standard output, progress to standard error; a mistake of
yours is one line and exit code 2, Ctrl+C exit code 130.
"""


def text_of(*arguments: str) -> str:
    """Help as a pipe gets it, 80 columns wide."""
    output = io.StringIO()
    os.environ["COLUMNS"] = "80"
    os.environ["TERMINAL_WIDTH"] = "80"
    with contextlib.redirect_stdout(output):
        app.run([*arguments, "--help"])
    return "\n".join(line.rstrip() for line in output.getvalue().strip().splitlines())


def reference() -> str:
    """The whole page."""
    parts = [_HEAD, f"```\n{text_of()}\n```\n"]
    parts += [f"## {name}\n\n```\n{text_of(name)}\n```\n" for name in app.COMMANDS]
    return "\n".join(parts)


if __name__ == "__main__":
    FILE.write_text(reference(), encoding="utf-8")
