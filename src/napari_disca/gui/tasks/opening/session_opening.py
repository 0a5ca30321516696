"""Makes a session on a thread: loading a network takes a second, and a window cannot wait."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from qtpy.QtCore import QObject, Signal

from napari_disca.core.events import Job
from napari_disca.gui.toolkit.worker import JobWorker
from napari_disca.inference.reading import Reading
from napari_disca.networks import Network, load_network
from napari_disca.networks.compute import Compute
from napari_disca.raster import Raster
from napari_disca.session.session import Session

#: Keeps openings alive until they have ended.
_AT_WORK: set[Opening] = set()


def new_session(
    raster: Raster,
    weights: str,
    allowed: bool,
    reading: Reading,
    compute: Callable[[], Compute],
    returned: Callable[[Raster, Network, Reading], Session | None],
) -> Job[Session]:
    """Job that returns the session of an image and a network.

    Parameters
    ----------
    raster : Raster
    weights : str
        Name or file of the network.
    allowed : bool
        Whether a TorchScript network may run.
    reading : Reading
    compute : callable
        Returns where and how the network runs, or raises why it cannot run there.
    returned : callable
        Returns an earlier session that fits, or None.
    """
    network = load_network(weights, allow_torchscript=allowed)
    session = returned(raster, network, reading)
    if session is None:
        session = Session(
            raster,
            network,
            bands=reading.bands,
            factor=reading.factor,
            scaling=reading.scaling,
            find_fill=reading.find_fill,
            compute=compute(),
        )
    yield from ()  # makes it a job, which has no events
    return session


@dataclass(frozen=True, slots=True, eq=False)
class Resumed:
    """A session that was restored from its journal.

    Attributes
    ----------
    session : Session
    weights : str
        Name or file of its network.
    """

    session: Session
    weights: str

    def close(self) -> None:
        """Close the session and its journal."""
        self.session.close()


class Opening(QObject):
    """Makes a session on a thread; actions that need it wait in `then`.

    Signals: ``opened(made)`` or ``failed(exception)``; if it was dropped, ``dropped()`` once all
    that was made is closed again.

    Parameters
    ----------
    what : object
        What is opened, to be compared with another choice.
    job : Job
        Returns the session, or a `Resumed`.
    threads : Executor
        What `job_threads` gives.

    Attributes
    ----------
    what : object
    then : list of callables
        Called with the session once it is open.
    """

    opened = Signal(object)
    failed = Signal(object)
    dropped = Signal()

    def __init__(self, what: object, job: Job[Session | Resumed], threads: Executor) -> None:
        super().__init__()
        self.what = what
        self.then: list[Callable[[], object]] = []
        self._dropped = False
        self._worker = JobWorker(job, threads)
        self._worker.returned.connect(self._on_returned)
        self._worker.errored.connect(self._on_errored)
        self._worker.finished.connect(self._on_finished)

    def start(self) -> None:
        """Begin."""
        _AT_WORK.add(self)
        self._worker.start()

    def drop(self) -> None:
        """Drop the result: a session that is made nevertheless is closed."""
        self._dropped = True

    def _on_returned(self, made: Session | Resumed | None) -> None:
        if not self._dropped:
            self.opened.emit(made)
        elif made is not None:  # None where the window was closed before
            made.close()  # or its journal would stay locked

    def _on_errored(self, error: Exception) -> None:
        if not self._dropped:
            self.failed.emit(error)

    def _on_finished(self) -> None:
        _AT_WORK.discard(self)
        if self._dropped:
            self.dropped.emit()
