"""Tells the user in one line what went wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable

from napari.utils.notifications import show_error

from napari_disca.core.errors import user_message
from napari_disca.gui.toolkit.bug_report import tell_bug
from napari_disca.gui.toolkit.waiting import run_on_thread

_log = logging.getLogger(__name__)


def tell_error(error: Exception) -> None:
    """Show why something failed; a bug is logged with its traceback."""
    line = user_message(error)
    if line is not None:
        show_error(line)
    else:
        _log.error("a job failed", exc_info=error)
        line = (str(error).splitlines() or [""])[0]
        tell_bug(
            error,
            f"Something went wrong ({type(error).__name__}: {line}); the clicks are kept. "
            "Copy the report for the developers",
        )


def guarded(action: Callable[[], object], *, file: bool = False) -> bool:
    """Call a function, and show an error that is not a bug in one line.

    Parameters
    ----------
    action : callable
    file : bool
        Run it on another thread, because it reads or writes a file.

    Returns
    -------
    bool
        Whether it returned without an error.
    """
    try:
        run_on_thread(action) if file else action()
    except Exception as error:
        line = user_message(error)
        if line is None:
            raise  # a bug, which napari shows
        show_error(line)
        return False
    return True
