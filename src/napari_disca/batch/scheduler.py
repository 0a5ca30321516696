"""The connection to a Dask scheduler; `distributed` is imported when it is first needed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from napari_disca.core.errors import DiscaError
from napari_disca.storage.jsonfile import load_json

#: Bytes of the file that ``dask scheduler --scheduler-file`` writes, at most.
_LARGEST_FILE = 1 << 20


@contextmanager
def connected(scheduler: str, timeout: float) -> Iterator[tuple[Any, Any]]:
    """Return a context with a connection to a scheduler, which is closed at its end.

    Parameters
    ----------
    scheduler : str
        Address, or the path of the file that ``dask scheduler --scheduler-file`` writes.
    timeout : float
        Seconds to wait for it.

    Yields
    ------
    (module, Client)
        `distributed`, and its client.

    Raises
    ------
    DiscaError
        If Dask is not installed, no scheduler answers, or the connection is lost.
    """
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise DiscaError(
            f"--scheduler needs Dask ({error}); install it with pip install "
            '"napari-disca[distributed]"'
        ) from error
    with _quiet():
        address = scheduler_address(scheduler)
        try:
            # A `Client` that finds no scheduler stays half open and warns when it is collected.
            asyncio.run(_check_answer(distributed, address, timeout))
            client = distributed.Client(address, timeout=timeout, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise DiscaError(
                f"no Dask scheduler answers at {address}: {error_line(error)}; start one with "
                "'dask scheduler', or check the address"
            ) from error
        try:
            yield distributed, client
        except (distributed.comm.CommClosedError, distributed.client.ClosedClientError) as error:
            raise connection_lost() from error
        finally:
            client.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Dask's log, because all its errors also arrive as exceptions."""
    # Dask's default configuration gives both their own level.
    logs = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


def connection_lost() -> DiscaError:
    """Return the error to raise when the scheduler no longer answers."""
    return DiscaError(
        "the connection to the Dask scheduler was lost; run the same command again to continue"
    )


async def _check_answer(distributed: Any, address: str, timeout: float) -> None:
    options = distributed.Security().get_connection_args("client")
    comm = await distributed.comm.connect(address, timeout=timeout, **options)
    await comm.close()


def scheduler_address(scheduler: str) -> str:
    """Return the address of a scheduler.

    Parameters
    ----------
    scheduler : str
        Address, or the path of the file that ``dask scheduler --scheduler-file`` writes; it ends
        with ``.json``.

    Raises
    ------
    DiscaError
        If the file cannot be read.
    """
    if not scheduler.endswith(".json"):
        return scheduler
    try:
        return str(load_json(Path(scheduler), most_bytes=_LARGEST_FILE)["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DiscaError(
            f"{scheduler} is not a file of a Dask scheduler: {error_line(error)}"
        ) from error


def error_line(error: BaseException) -> str:
    """Return an error's message on one line, with the error's type unless it explains itself."""
    text = " ".join(str(error).split())
    expected = isinstance(error, DiscaError | OSError | ValueError)
    return text if expected and text else f"{type(error).__name__}: {text}"
