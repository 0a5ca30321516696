"""Restores sessions from their journals, to continue them or to make their maps again.

The events are repeated with the actions of `Session`, which check them; nothing is predicted or
learned by that. Weights that a run had learned come from the cache of deltas, or are learned again
by the first job that needs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from napari_disca.core.errors import DiscaError, JournalError
from napari_disca.core.version import __version__
from napari_disca.networks import DeltaCache, Network, bundled_weights, fingerprint, load_network
from napari_disca.networks.compute import Compute, DeviceName, Precision
from napari_disca.raster import Raster
from napari_disca.raster import fingerprint as image_fingerprint
from napari_disca.raster.gdal.identity import image_facts
from napari_disca.session.journal.image_check import check_image, is_image_of
from napari_disca.session.journal.journal import Journal, new_journal
from napari_disca.session.journal.journal_format import (
    COUNTED,
    DamagedLineError,
    Header,
    JournalRecord,
    read_journal,
)
from napari_disca.session.session import Session
from napari_disca.session.steps.action_table import ACTIONS
from napari_disca.session.steps.actions import Adopt
from napari_disca.session.steps.journal_fields import text_field, whole_field

#: Most clicks compared in all steps together, enough for a session of 10 000 clicks: a hostile
#: journal cannot keep the program busy for longer.
_MOST_WORK = 100_000_000
_FORMATS = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}


def header_of(session: Session, network_file: str) -> Header:
    """Return the header of the journal of a session.

    Parameters
    ----------
    session : Session
    network_file : str
        Name of the bundled network, or path, from which the network was loaded.
    """
    network_view, compute = session.network_view, session.compute
    return Header(
        image=image_fingerprint(session.raster),
        image_name=session.raster.name,
        image_facts=image_facts(session.raster),
        network=session.weights,
        network_name=network_view.card.name,
        network_file=network_file
        if network_file in bundled_weights()
        else str(Path(network_file).absolute())
        if network_file
        else "",
        classes=tuple(land.name for land in session.document.classes),
        bands=tuple(int(band) for band in network_view.bands),
        factor=float(network_view.factor),
        seed=session.seed,
        device=compute.device.type,
        precision=_FORMATS[compute.dtype],
        threads=torch.get_num_threads(),
        version=__version__,
        made=datetime.now().astimezone().isoformat(timespec="seconds"),
        scaling=network_view.scale,
    )


def begin(session: Session, network_file: str) -> Journal:
    """Return the journal of a new session, beside its image if that is possible.

    Raises
    ------
    JournalError
        If none of the folders can be written.
    """
    journal = new_journal(session.raster, header_of(session, network_file))
    try:
        session.keep(journal)
    except BaseException:
        journal.close()
        raise
    return journal


def network_of(
    header: Header, network_file: str | None = None, *, allow_torchscript: bool = False
) -> Network:
    """Return the network that a journal was written with.

    Parameters
    ----------
    header : Header
    network_file : str, optional
        Its present name or path; by default that in the header.
    allow_torchscript : bool
        Whether the user agrees that a TorchScript file, which is a program, is run. The journal
        cannot give this consent: it may come from somebody else.

    Raises
    ------
    CardError
        If there is no network of that name.
    JournalError
        If it is another network.
    """
    name = network_file or header.network_file
    if not name:
        raise JournalError(
            f"the journal does not say where its network {header.network_name!r} is; name it"
        )
    network = load_network(name, allow_torchscript=allow_torchscript)
    _check_network(header, network)
    return network


def _check_network(header: Header, network: Network) -> None:
    if fingerprint(network) != header.network:
        raise JournalError(
            f"the journal was written with another network, {header.network_name!r} of "
            f"{header.network_file or 'a script'}; choose that one, or start a new session"
        )


def restored(
    record: JournalRecord,
    raster: Raster,
    network: Network,
    *,
    compute: Compute | None = None,
    cache: bool = True,
    other_image: bool = False,
) -> Session:
    """Return the session of a journal; `Session.refine` computes its maps.

    Parameters
    ----------
    record : JournalRecord
    raster : Raster
        The image of the session.
    network : Network
        The network of the session.
    compute : Compute, optional
        As in the header by default, or the best available if that device is missing.
    cache : bool
        Whether learned weights may come from the cache; else they are learned again.
    other_image : bool
        Whether the user takes the work over to an image with other pixels.

    Raises
    ------
    DamagedLineError
        If an event makes no sense; the lines before it may be used.
    OtherImageError
        If the image has other pixels, and `other_image` is False.
    JournalError
        If it is another network, or an image of another size.
    """
    header = record.header
    check_image(record, raster, other_image=other_image)
    _check_network(header, network)
    session = Session(
        raster,
        network,
        bands=header.bands,
        factor=header.factor,
        scaling=header.scaling,
        compute=compute or compute_of(header),
        seed=header.seed,
    )
    if cache:
        session.learn_from_cache(DeltaCache())
    _redo_all(session, record)
    return session


def _redo_all(session: Session, record: JournalRecord) -> None:
    """Repeat all events of a journal."""
    work = 0
    for number, event in zip(record.lines, record.events, strict=True):
        work += 1000 + len(session.document.clicks)
        if work > _MOST_WORK:
            raise JournalError(
                f"{record.path.name} has more clicks and steps than a session can have"
            )
        try:
            _redo(session, event)
        except (DiscaError, KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            reason = " ".join(str(error).split())[:120]
            if isinstance(error, KeyError):
                reason = f"it lacks {reason}"
            raise DamagedLineError(
                f"line {number} of {record.path.name} cannot be repeated: {reason}", number
            ) from error


def resume(
    path: Path,
    raster: Raster,
    network: Network,
    *,
    compute: Compute | None = None,
    before: int | None = None,
    other_image: bool = False,
) -> Session:
    """Return the session of a journal that continues the journal.

    Parameters
    ----------
    path : Path
    raster : Raster
    network : Network
    compute : Compute, optional
        As for `restored`.
    before : int, optional
        Number of a damaged line; see `Journal.resume`.
    other_image : bool
        As for `restored`. The journal continues as one of this image; with the first event the old
        file gets a number.

    Raises
    ------
    DamagedLineError
        If a line is damaged, or makes no sense.
    OtherImageError
        If the image has other pixels, and `other_image` is False.
    JournalError
        If the journal is open elsewhere, or of another network.
    """
    try:
        journal, record = Journal.resume(path, before)
    except OSError as error:
        raise JournalError(f"{path} cannot be written: {error.strerror or error}") from error
    try:
        session = restored(record, raster, network, compute=compute, other_image=other_image)
        if not is_image_of(record.header, raster):
            journal.begin_again(
                replace(
                    record.header,
                    image=image_fingerprint(raster),
                    image_name=raster.name,
                    image_facts=image_facts(raster),
                )
            )
    except BaseException:
        journal.close()
        raise
    session.attach(journal)
    return session


def replay(
    path: Path,
    raster: Raster,
    network: Network,
    *,
    compute: Compute | None = None,
    cache: bool = True,
    other_image: bool = False,
) -> Session:
    """Return the session of a journal without continuing the journal.

    Raises
    ------
    JournalError
        If the journal is damaged, or of another image or network.
    """
    return restored(
        read_journal(path), raster, network, compute=compute, cache=cache, other_image=other_image
    )


def compute_of(header: Header) -> Compute:
    """Return device and precision of a journal, or the best available if they are missing."""
    device: DeviceName = header.device  # type: ignore[assignment]
    precision: Precision = header.precision  # type: ignore[assignment]
    try:
        return Compute.choose(device, precision)
    except DiscaError:
        return Compute.choose()


def record_summary(record: JournalRecord, now: datetime | None = None) -> str:
    """Return what a journal holds in words: ``137 clicks, 3 adaptations, yesterday 18:02``."""
    counted = list(zip(record.counts, COUNTED, strict=True))
    counts = [f"{number} {what}{'s' * (number != 1)}" for number, what in counted if number]
    if not counts:
        counts = ["no clicks"]
    last = record.last
    if last is not None:
        counts.append(time_text(last, now or datetime.now().astimezone()))
    return ", ".join(counts)


def time_text(then: datetime, now: datetime) -> str:
    """Return a time in words, relative to now."""
    days = (now.date() - then.date()).days
    time = f"{then:%H:%M}"
    if days == 0:
        return f"today {time}"
    if days == 1:
        return f"yesterday {time}"
    return f"{then.day} {then:%B} {time}" if then.year == now.year else f"{then:%Y-%m-%d} {time}"


# -------------------------------------------------------------------- events


def _redo(session: Session, event: Mapping[str, Any]) -> None:
    """Repeat one event of a journal."""
    kind = event.get("do")
    if isinstance(kind, str) and kind in ACTIONS:
        action = ACTIONS[kind].read(event, session.document.step)
        if isinstance(action, Adopt):
            session.handle(action.run)
        else:
            session.document.do(action)
    elif kind == "go":
        session.document.go(whole_field(event["to"]))
    elif kind == "learned":
        session.expect(text_field(event, "run"), text_field(event, "weights"))
    elif kind != "export":  # nothing to repeat
        raise JournalError(f"{str(kind)[:40]!r} is not an action of this version")
