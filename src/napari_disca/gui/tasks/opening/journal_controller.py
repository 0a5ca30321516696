"""Finds the journals of an image, offers to continue them, and begins new ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QObject, Signal

from napari_disca.core.errors import DiscaError
from napari_disca.core.events import Job
from napari_disca.gui.panels.image.resume_banner import ResumeBanner
from napari_disca.gui.tasks.opening.session_opening import Resumed
from napari_disca.gui.toolkit.waiting import run_on_thread
from napari_disca.inference.reading import Reading
from napari_disca.networks import Network, fingerprint, load_network, needs_consent
from napari_disca.raster import Raster
from napari_disca.session import restore
from napari_disca.session.journal.image_check import OtherImageError, georeference_changes
from napari_disca.session.journal.journal import copied
from napari_disca.session.journal.journal_format import (
    DamagedLineError,
    Header,
    JournalRecord,
    read_journal,
)
from napari_disca.session.journal.journal_lock import holder
from napari_disca.session.journal.journal_paths import find_journals
from napari_disca.session.session import Session

#: What each journal holds and its file, the latest first; and which window has the latest open.
Found: TypeAlias = tuple[list[tuple[str, Path]], str]

#: Earlier sessions of an image that are offered.
_EARLIER = 8


class JournalController(QObject):
    """Offers to continue a journal, and begins one for a new session.

    Signals: ``wanted(path)`` when the user wants to continue a journal.
    """

    wanted = Signal(object)

    def __init__(self, banner: ResumeBanner, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._banner = banner
        #: Journals of sessions that this window closed when another image was chosen.
        self._left: set[Path] = set()
        #: Damaged journals, and the line up to which they can be restored.
        self._damaged: dict[Path, int] = {}
        #: Journals of other pixels, which the user may take over.
        self._others: set[Path] = set()
        banner.accepted.connect(self.wanted)
        banner.declined.connect(self._decline)

    def show_journals(self, raster: Raster | None) -> None:
        """Offer the journals of an image; None withdraws the offer."""
        if raster is None:
            self.show_found(([], ""))
            self._damaged.clear()
        else:
            self.show_found(run_on_thread(lambda: self.find(raster)))

    def find(self, raster: Raster) -> Found:
        """Return what the journals of an image hold, the latest first; for any thread."""
        self._damaged.clear()
        try:
            paths = [path for path in find_journals(raster) if path not in self._left]
            summaries = [
                (said, path) for path in paths[: _EARLIER + 1] if (said := self._said(path))
            ]
            return summaries, holder(summaries[0][1]) if summaries else ""
        except DiscaError:
            return [], ""  # the user is told of the image's own error elsewhere

    def show_found(self, found: Found) -> None:
        """Offer to continue the latest of the journals found."""
        self._banner.withdraw()
        self._others.clear()
        summaries, who = found
        if not summaries:
            return
        (said, path), earlier = summaries[0], summaries[1:]
        if who:
            text = f"This image is being corrected in another window ({who}): {said}"
            self._banner.make(text, path, "Work on a copy", earlier)
        elif path in self._damaged:
            self._banner.make(said, path, "Continue", earlier)
        elif isinstance(said, _Unreadable):
            self._banner.make(
                f"The earlier session of this image cannot be read: {said}", None, "", earlier
            )
        else:
            self._banner.make(f"Continue where you left off ({said})", path, "Continue", earlier)

    def restored(self, raster: Raster, network: Network, reading: Reading) -> Session | None:
        """Return the session that this window had of an image, if it fits the choice; else None.

        May be called on another thread; a warning says why a session cannot be restored.
        """
        try:
            for path in find_journals(raster):
                header = read_journal(path).header
                same = header.network == fingerprint(network)
                if path in self._left and same and _reads_so(header, raster, network, reading):
                    session = restore.resume(path, raster, network)
                    self._left.discard(path)
                    return session
                return None
        except DiscaError as error:
            show_warning(f"The earlier session of this image cannot be restored: {error}")
        return None

    def begin(self, session: Session, weights: str) -> None:
        """Begin the journal of a new session; a warning says where there can be none."""
        if session.document.can_undo:
            return
        try:
            run_on_thread(lambda: restore.begin(session, weights))
        except DiscaError as error:
            show_warning(f"{error}; your work on this image is kept in no journal")

    def remember(self, session: Session) -> None:
        """Remember the journal of a session that is closed for another image."""
        if session.document.journal is not None:
            self._left.add(session.document.journal.path)

    def resume_job(
        self, path: Path, raster: Raster, weights: str, agreed: Callable[[str], bool]
    ) -> Job[Resumed] | None:
        """Return the job that restores a journal, or a copy of it where another window has it open.

        The offer is withdrawn; `failed` makes it again.

        Parameters
        ----------
        path : Path
        raster : Raster
        weights : str
            The network that is chosen; if the journal needs another, that is loaded.
        agreed : callable
            Asks whether the user lets a TorchScript network run.

        Returns
        -------
        Job or None
            None if it cannot be restored; the user was told why.
        """
        before = self._damaged.get(path)
        try:
            record = run_on_thread(lambda: read_journal(path, before))
            allowed = _allowed(record, weights, agreed)
            if run_on_thread(lambda: holder(path)):
                others, original = path in self._others, (path, before)
                path, before = run_on_thread(lambda: copied(*original)), None
                self._others |= {path} if others else set()
                show_info(f"Your work is kept in the copy {path.name}")
        except DiscaError as error:
            self.failed(path, raster, error)
            return None
        self._banner.withdraw()
        if changed := georeference_changes(record, raster):
            show_info(changed)
        return _resumed(path, before, raster, record, weights, allowed, path in self._others)

    def failed(self, path: Path, raster: Raster, error: DiscaError) -> None:
        """Tell why a journal could not be restored, and offer what can be."""
        if isinstance(error, DamagedLineError):
            damaged = error
            said = run_on_thread(lambda: self._until(path, damaged))
            self._banner.make(said, path if path in self._damaged else None, "Continue")
        elif isinstance(error, OtherImageError):
            said = str(error).partition("; open that image")[0]
            text = f"{said[:1].upper()}{said[1:]}. Take the work over to this image anyway?"
            self._others.add(path)
            self._banner.make(text, path, "Take over")
        else:
            show_error(str(error))
            self.show_journals(raster)

    def _said(self, path: Path) -> str:
        """Return what a journal holds, in words; empty if it holds no step."""
        try:
            record = read_journal(path)
        except DamagedLineError as error:
            return self._until(path, error)
        except DiscaError as error:
            return _Unreadable(error)
        return restore.record_summary(record) if record.events else ""

    def _until(self, path: Path, error: DamagedLineError) -> str:
        """Return the offer to continue with what a journal holds before a damaged line."""
        record = read_journal(path, error.line)
        if not record.events:
            return _Unreadable(error)
        self._damaged[path] = error.line
        reason, summary = str(error), restore.record_summary(record)
        return (
            f"{reason[:1].upper()}{reason[1:]}. Continue with what was done before that line "
            f"({summary})? The damaged journal is kept in a numbered file"
        )

    def _decline(self) -> None:
        self._banner.withdraw()
        show_info("The earlier session is kept; its journal gets a number once you begin")


class _Unreadable(str):
    """Why a journal cannot be read."""


def _allowed(record: JournalRecord, weights: str, agreed: Callable[[str], bool]) -> dict[str, bool]:
    """Return which of the networks that a journal may need the user allows to run.

    Parameters
    ----------
    weights : str
        The network that is chosen. A TorchScript network is tried only if the journal names it.
    agreed : callable
    """
    file = record.header.network_file
    tried = [weights] if weights and (weights == file or not needs_consent(weights)) else []
    return {name: agreed(name) for name in dict.fromkeys((*tried, file)) if name}


def _resumed(
    path: Path,
    before: int | None,
    raster: Raster,
    record: JournalRecord,
    weights: str,
    allowed: Mapping[str, bool],
    other_image: bool,
) -> Job[Resumed]:
    network, weights = _network(record, weights, allowed)
    session = restore.resume(path, raster, network, before=before, other_image=other_image)
    yield from ()  # makes it a job, which has no events
    return Resumed(session, weights)


def _reads_so(header: Header, raster: Raster, network: Network, reading: Reading) -> bool:
    """Whether the session of a journal reads the image as the choice does."""
    view = reading.view(raster, network.card)
    scaled = header.scaling is None or header.scaling.same_values(view.scale)
    return scaled and (header.bands, header.factor) == (view.bands, view.factor)


def _network(
    record: JournalRecord, weights: str, allowed: Mapping[str, bool]
) -> tuple[Network, str]:
    header, file = record.header, record.header.network_file
    if weights in allowed:
        network = load_network(weights, allow_torchscript=allowed[weights])
        if fingerprint(network) == header.network:
            return network, weights
    return restore.network_of(header, allow_torchscript=allowed.get(file, False)), file
