"""The command line; the same engine as the panel's.

Progress goes to standard error, results to standard output. A user's mistake is one line and exit
code 2.
"""

from __future__ import annotations

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
    from napari_disca.cli.parser import build_parser
    from napari_disca.errors import DiscaError
    from napari_disca.threads import keep_cores_free

    # Before torch is imported: waiting threads would slow down everything else.
    keep_cores_free()
    given = list(sys.argv[1:] if argv is None else argv)
    arguments = build_parser(given[0] if given else "").parse_args(given)
    try:
        return int(arguments.run(arguments) or 0)
    except DiscaError as error:
        return _mistake(str(error))
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as error:
        return _mistake(f"{error.filename or ''}: {error.strerror or error}".lstrip(": "))
    except KeyboardInterrupt:
        print("\nnapari-disca: interrupted", file=sys.stderr)  # noqa: T201
        return 130


def _mistake(line: str) -> int:
    print(f"napari-disca: {' '.join(line.split())}", file=sys.stderr)  # noqa: T201
    return 2
