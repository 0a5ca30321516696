"""The command line; the same engine as the panel's.

Progress goes to standard error, results to standard output. A user's mistake is one line and exit
code 2.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process by default.

    Returns
    -------
    int
        0, or 2 for a mistake of the user's, or 130 after Ctrl+C.
    """
    from napari_disca.cli.app import UsageError, run
    from napari_disca.core.errors import user_message
    from napari_disca.core.threads import limit_spinning

    # Before torch is imported: waiting threads would slow down everything else.
    limit_spinning()
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        code = run(given)
        sys.stdout.flush()
        return code
    except UsageError as error:
        return _mistake(str(error))
    except BrokenPipeError:
        # The reader of our output has seen enough (`| head`); Python would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        _say("interrupted")
        # Python would look through all that torch has made, for longer than a user wants to wait.
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
