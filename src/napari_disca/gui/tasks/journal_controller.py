"""Journals for the panel: found when an image is opened, begun with its session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QObject, Signal

from napari_disca.core.errors import DiscaError
from napari_disca.core.events import Job
from napari_disca.gui.panels.resume_banner import ResumeBanner
from napari_disca.gui.tasks.opening import Resumed
from napari_disca.gui.tasks.waiting import off_the_window
from napari_disca.inference.reading import Reading
from napari_disca.networks import Network, fingerprint, load_network, needs_consent
from napari_disca.raster import Raster
from napari_disca.session import restore
from napari_disca.session.image_check import OtherImageError, said_of_place
from napari_disca.session.journal import copied
from napari_disca.session.journal_format import DamagedLineError, Header, Record, read_journal
from napari_disca.session.journal_lock import holder
from napari_disca.session.journal_paths import find_journals
from napari_disca.session.session import Session

#: What each journal holds and its file, the latest first; and who has the latest open.
Found: TypeAlias = tuple[list[tuple[str, Path]], str]

#: Earlier sessions of an image that are offered.
_EARLIER = 8


class JournalController(QObject):
    """Offers to go on with a journal, and lets new sessions keep one.

    Signals: ``wanted(path)`` when the user wants to go on with a journal.
    """

    wanted = Signal(object)

    def __init__(self, offer: ResumeBanner, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._offer = offer
        #: Journals of sessions of this window that were left for another image.
        self._left: set[Path] = set()
        #: Damaged journals, and the line up to which they can be gone on with.
        self._damaged: dict[Path, int] = {}
        #: Journals of other pixels, which are taken over if the user wants that.
        self._others: set[Path] = set()
        offer.accepted.connect(self.wanted)
        offer.declined.connect(self._decline)

    def look(self, raster: Raster | None) -> None:
        """Offer to go on if the image has a journal; None withdraws the offer."""
        if raster is None:
            self.show(([], ""))
            self._damaged.clear()
        else:
            self.show(off_the_window(lambda: self.found(raster)))

    def found(self, raster: Raster) -> Found:
        """What the journals of an image hold, the latest first; may be called on any thread."""
        self._damaged.clear()
        try:
            paths = [path for path in find_journals(raster) if path not in self._left]
            told = [(said, path) for path in paths[: _EARLIER + 1] if (said := self._said(path))]
            return told, holder(told[0][1]) if told else ""
        except DiscaError:
            return [], ""  # the image's own error is told elsewhere

    def show(self, found: Found) -> None:
        """Offer to go on with what was found."""
        self._offer.withdraw()
        self._others.clear()
        told, who = found
        if not told:
            return
        (said, path), earlier = told[0], told[1:]
        if who:
            text = f"This image is being corrected in another window ({who}): {said}"
            self._offer.make(text, path, "Work on a copy", earlier)
        elif path in self._damaged:
            self._offer.make(said, path, "Continue", earlier)
        elif isinstance(said, _Unreadable):
            self._offer.make(f"What was done before cannot be read: {said}", None, "", earlier)
        else:
            self._offer.make(f"Continue where you left off ({said})", path, "Continue", earlier)

    def returned(self, raster: Raster, network: Network, reading: Reading) -> Session | None:
        """The session of an image that was left in this window, if it fits what is chosen.

        May be called on another thread; where it cannot be brought back, that is told.
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
            show_warning(f"What was done on this image before cannot be brought back: {error}")
        return None

    def keep(self, session: Session, weights: str) -> None:
        """Let a new session keep a journal; without one the work goes on, and that is told."""
        if session.can_undo:
            return
        try:
            off_the_window(lambda: restore.begin(session, weights))
        except DiscaError as error:
            show_warning(f"{error}; what you do here is not kept")

    def leave(self, session: Session) -> None:
        """Remember the journal of a session that makes room for another."""
        if session.journal is not None:
            self._left.add(session.journal.path)

    def resuming(
        self, path: Path, raster: Raster, weights: str, agreed: Callable[[str], bool]
    ) -> Job[Resumed] | None:
        """Return the job that goes on with a journal, or with a copy where another window has it.

        The offer is withdrawn; `failed` makes it again.

        Parameters
        ----------
        path : Path
        raster : Raster
        weights : str
            The network that is chosen; if the journal needs another, that is loaded.
        agreed : callable
            Whether the user lets a network run; asks where it is a program.

        Returns
        -------
        Job or None
            None if it cannot be, and was told.
        """
        before = self._damaged.get(path)
        try:
            record = off_the_window(lambda: read_journal(path, before))
            allowed = _allowed(record, weights, agreed)
            if off_the_window(lambda: holder(path)):
                others, original = path in self._others, (path, before)
                path, before = off_the_window(lambda: copied(*original)), None
                self._others |= {path} if others else set()
                show_info(f"What you do here is kept in {path.name}")
        except DiscaError as error:
            self.failed(path, raster, error)
            return None
        self._offer.withdraw()
        if changed := said_of_place(record, raster):
            show_info(changed)
        return _resumed(path, before, raster, record, weights, allowed, path in self._others)

    def failed(self, path: Path, raster: Raster, error: DiscaError) -> None:
        """Tell why a journal could not be gone on with, and offer what there is."""
        if isinstance(error, DamagedLineError):
            said = self._until(path, error)
            self._offer.make(said, path if path in self._damaged else None, "Continue")
        elif isinstance(error, OtherImageError):
            said = str(error).partition("; open that image")[0]
            text = f"{said[:1].upper()}{said[1:]}. Take the work over to this image all the same?"
            self._others.add(path)
            self._offer.make(text, path, "Take over")
        else:
            show_error(str(error))
            self.look(raster)

    def _said(self, path: Path) -> str:
        """What a journal holds; empty if that is nothing."""
        try:
            record = read_journal(path)
        except DamagedLineError as error:
            return self._until(path, error)
        except DiscaError as error:
            return _Unreadable(error)
        return restore.said(record) if record.events else ""

    def _until(self, path: Path, error: DamagedLineError) -> str:
        """Offer what a journal holds before a damaged line."""
        record = read_journal(path, error.line)
        if not record.events:
            return _Unreadable(error)
        self._damaged[path] = error.line
        told, held = str(error), restore.said(record)
        return (
            f"{told[:1].upper()}{told[1:]}. Continue with what was done before that line ({held})? "
            "The damaged journal is kept, under a number"
        )

    def _decline(self) -> None:
        self._offer.withdraw()
        show_info("What was done before stays where it is until you begin, and then gets a number")


class _Unreadable(str):
    """Why a journal cannot be read."""


def _allowed(record: Record, weights: str, agreed: Callable[[str], bool]) -> dict[str, bool]:
    """Whether the networks that a journal may need may run, if they are programs.

    Parameters
    ----------
    weights : str
        The network that is chosen. A program is tried only if the journal names it.
    agreed : callable
    """
    file = record.header.network_file
    tried = [weights] if weights and (weights == file or not needs_consent(weights)) else []
    return {name: agreed(name) for name in dict.fromkeys((*tried, file)) if name}


def _resumed(
    path: Path,
    before: int | None,
    raster: Raster,
    record: Record,
    weights: str,
    allowed: Mapping[str, bool],
    other_image: bool,
) -> Job[Resumed]:
    network, weights = _network(record, weights, allowed)
    session = restore.resume(path, raster, network, before=before, other_image=other_image)
    yield from ()  # a job, though it has nothing to tell meanwhile
    return Resumed(session, weights)


def _reads_so(header: Header, raster: Raster, network: Network, reading: Reading) -> bool:
    """Whether a journal's session reads its image as is chosen."""
    view = reading.view(raster, network.card)
    scaled = header.scaling is None or header.scaling.same_values(view.scale)
    return scaled and (header.bands, header.factor) == (view.bands, view.factor)


def _network(record: Record, weights: str, allowed: Mapping[str, bool]) -> tuple[Network, str]:
    header, file = record.header, record.header.network_file
    if weights in allowed:
        network = load_network(weights, allow_torchscript=allowed[weights])
        if fingerprint(network) == header.network:
            return network, weights
    return restore.network_of(header, allow_torchscript=allowed.get(file, False)), file
