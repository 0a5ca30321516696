"""The command line; it uses the same engine as the panel.

Progress goes to standard error, results to standard output. A user's mistake is reported in one
line, with exit code 2.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the program's exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process by default.

    Returns
    -------
    int
        That of the command, 2 after a user's mistake, 130 after Ctrl+C, 141 if the reader of
        standard output has ended.
    """
    from napari_disca.cli.app import UsageError, run
    from napari_disca.core.errors import user_message
    from napari_disca.core.threads import limit_spinning

    # Before torch is imported.
    limit_spinning()
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = run(arguments)
        sys.stdout.flush()
        return code
    except UsageError as error:
        return _mistake(str(error))
    except BrokenPipeError:
        # The reader has ended (`| head`). Python would print an error when it flushes the output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        _say("interrupted")
        # At its end Python collects garbage, which takes seconds after torch was imported.
        atexit.register(gc.freeze)
        return 130
    except Exception as error:
        line = user_message(error)
        if line is None:
            raise  # a bug
        return _mistake(line)


def _mistake(line: str) -> int:
    _say(" ".join(line.split()))
    return 2


def _say(line: str) -> None:
    print(f"napari-disca: {line}", file=sys.stderr)  # noqa: T201
