"""docs/cli.md says what the commands say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_page_is_what_the_commands_say():
    # In a process of its own: other tests add recipes and architectures.
    script = (
        f"import sys; sys.path.insert(0, {str(DOCS)!r})\n"
        "import make_cli; sys.stdout.reconfigure(encoding='utf-8')\n"
        "print(make_cli.reference(), end='')"
    )
    made = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, timeout=120
    ).stdout.decode()
    assert made.replace("\r\n", "\n") == (DOCS / "cli.md").read_text(encoding="utf-8"), (
        "run python docs/make_cli.py"
    )
