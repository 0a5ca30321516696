"""What the processes that read files for this program have in common.

GDAL and its codecs are C libraries: a damaged file can make them crash, hang or fill the memory,
which Python code cannot catch. Files are therefore read by another process with limits. This
module has both sides: the program that starts such a process, and the process itself. It imports
nothing large, because the process waits for it.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from contextlib import suppress
from typing import Any, BinaryIO

#: Beginning of the code for ``python -P -c``. The first line of the process's input is this
#: program's `sys.path`, so that the same modules are imported; -P keeps those of the current folder
#: out.
USE_SYS_PATH = "import json, sys; sys.path[:] = json.loads(sys.stdin.readline()); "
_RUN_SCRIPT = USE_SYS_PATH + "import runpy; runpy.run_path(sys.argv[1], run_name='__main__')"


def can_start_python() -> bool:
    """Whether `sys.executable` is an interpreter; in a bundled application it is that itself."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)


def sys_path_line() -> bytes:
    """Return the line of input that `USE_SYS_PATH` reads."""
    return json.dumps([entry for entry in sys.path if entry]).encode() + b"\n"


def answer_of_script(script: str, request: object, *, seconds: float) -> bytes:
    """Run a script in another process and return what it writes.

    Parameters
    ----------
    script : str
        Its file. It takes the request from `taken_request` and writes to `taken_output`.
    request : object
        A value that JSON can hold.
    seconds : float
        After which the process is ended.

    Returns
    -------
    bytes
        Incomplete or empty if the script has crashed.

    Raises
    ------
    subprocess.TimeoutExpired
        If it takes longer.
    OSError
        If the process cannot be started.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-c", _RUN_SCRIPT, script],
        # Names that are not Unicode are written as JSON's escapes of lone surrogates.
        input=sys_path_line() + json.dumps(request).encode() + b"\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=seconds,
        check=False,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # Windows shows a console else
    )
    return done.stdout


# -------------------------------------------------------------------- in the other process


def taken_request() -> Any:
    """Return the request of `answer_of_script`."""
    return json.loads(sys.stdin.readline())


def taken_output() -> BinaryIO:
    """Return standard output for the answer alone; whatever else is printed there is dropped.

    GDAL and its codecs may print.
    """
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return answers


def limit_process(memory: int) -> None:
    """Limit this process's memory, and suppress core dumps and the dialogs of crashes.

    Parameters
    ----------
    memory : int
        Bytes of address space; not limited on Windows.
    """
    if sys.platform == "win32":
        import ctypes

        # No critical-error, crash-report or missing-file dialogs.
        ctypes.windll.kernel32.SetErrorMode(0x0001 | 0x0002 | 0x8000)
        return
    import resource

    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        wanted = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))


def json_value(value: Any, longest: int) -> str | int | float | bool | None:
    """Return a value of an attribute table as JSON can hold it.

    Parameters
    ----------
    value : object
        Also a NumPy scalar.
    longest : int
        Characters of a text that are kept.

    Returns
    -------
    str, int, float, bool or None
        None for numbers that are not finite; integers of more than 64 bits and all other objects
        as text.
    """
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or (isinstance(value, bool | int) and abs(value) < 1 << 63):
        return value
    return str(value)[:longest]
