"""Telling the user what went wrong, in one line."""

from __future__ import annotations

import logging
from collections.abc import Callable

from napari.utils.notifications import show_error

from napari_disca.core.errors import user_message
from napari_disca.gui.tasks.bug_report import tell_bug
from napari_disca.gui.tasks.waiting import off_the_window

_log = logging.getLogger(__name__)


def tell_error(error: Exception) -> None:
    """Tell why something has failed; a bug goes to the log as a whole."""
    told = user_message(error)
    if told is not None:
        show_error(told)
    else:
        _log.error("a job failed", exc_info=error)
        line = (str(error).splitlines() or [""])[0]
        tell_bug(
            error,
            f"Something went wrong ({type(error).__name__}: {line}); the clicks are kept. "
            "The report tells whoever can mend it",
        )


def guarded(action: Callable[[], object], *, file: bool = False) -> bool:
    """Do something short, off the window if it is about a file; tell a user's error.

    Returns
    -------
    bool
        Whether it was done.
    """
    try:
        off_the_window(action) if file else action()
    except Exception as error:
        told = user_message(error)
        if told is None:
            raise  # a bug, which napari shows
        show_error(told)
        return False
    return True
