"""The connection to a Dask scheduler; `distributed` is imported when it is asked for."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from napari_disca.core.errors import DiscaError


@contextmanager
def connected(scheduler: str, timeout: float) -> Iterator[tuple[Any, Any]]:
    """Connect to a scheduler, and close the connection at the end.

    Parameters
    ----------
    scheduler : str
        Address, or the path of the scheduler's file.
    timeout : float
        Seconds to wait for it.

    Yields
    ------
    (module, Client)
        `distributed`, and its client.

    Raises
    ------
    DiscaError
        If Dask is not installed, nobody answers, or the connection is lost.
    """
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise DiscaError(
            f'--scheduler needs Dask ({error}); pip install "napari-disca[distributed]"'
        ) from error
    with _quiet():
        address = scheduler_address(scheduler)
        try:
            # A `Client` that finds nobody stays half-open and complains when it is collected.
            asyncio.run(_knock(distributed, address, timeout))
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
    """Keep Dask's log silent: what goes wrong arrives in exceptions."""
    # Loggers of their own, by Dask's default configuration.
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
    """The error to raise when the scheduler has gone."""
    return DiscaError(
        "the connection to the Dask scheduler was lost; run the same command again to go on"
    )


async def _knock(distributed: Any, address: str, timeout: float) -> None:
    options = distributed.Security().get_connection_args("client")
    comm = await distributed.comm.connect(address, timeout=timeout, **options)
    await comm.close()


def scheduler_address(scheduler: str) -> str:
    """Address, also from the file that ``dask scheduler --scheduler-file`` writes."""
    if not scheduler.endswith(".json"):
        return scheduler
    try:
        return str(json.loads(Path(scheduler).read_text("utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DiscaError(
            f"{scheduler} is not a file of a Dask scheduler: {error_line(error)}"
        ) from error


def error_line(error: BaseException) -> str:
    """An error on one line."""
    text = " ".join(str(error).split())
    known = isinstance(error, DiscaError | OSError | ValueError)
    return text if known and text else f"{type(error).__name__}: {text}"
