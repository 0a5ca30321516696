"""Sessions from their journals: go on where somebody left off, or make the map again.

What the journal tells is done again with the verbs of `Session`, which checks it; nothing is
predicted or learned by that. Weights that a run had learned come from the cache of deltas, or are
learned again by the first job that needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.errors import DiscaError, JournalError
from napari_disca.core.version import __version__
from napari_disca.networks import DeltaCache, Network, bundled_weights, fingerprint, load_network
from napari_disca.networks.compute import Compute, DeviceName, Precision
from napari_disca.raster import Raster
from napari_disca.raster import fingerprint as image_fingerprint
from napari_disca.recipes import AdaptationResult, recipe_of_fields
from napari_disca.session.history import AdaptationRun, Edit
from napari_disca.session.journal import (
    DamagedLineError,
    Header,
    Journal,
    Record,
    new_journal,
    read_journal,
)
from napari_disca.session.session import Session

#: Clicks looked at in all steps together; a session of 10 000 clicks needs so many. A journal
#: made to keep the program busy would need more.
_MOST_WORK = 100_000_000
_FORMATS = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}


def header_of(session: Session, network_file: str) -> Header:
    """First line of the journal of a session.

    Parameters
    ----------
    session : Session
    network_file : str
        What its network was loaded by: the name of a bundled one, or a path.
    """
    inputs, compute = session.inputs, session.compute
    return Header(
        image=image_fingerprint(session.raster),
        image_name=session.raster.name,
        network=session.weights,
        network_name=inputs.card.name,
        network_file=network_file
        if network_file in bundled_weights()
        else str(Path(network_file).absolute())
        if network_file
        else "",
        classes=tuple(land.name for land in session.classes),
        bands=tuple(int(band) for band in inputs.bands),
        factor=float(inputs.factor),
        seed=session.seed,
        device=compute.device.type,
        precision=_FORMATS[compute.dtype],
        threads=torch.get_num_threads(),
        version=__version__,
        made=datetime.now().astimezone().isoformat(timespec="seconds"),
    )


def begin(session: Session, network_file: str) -> Journal:
    """Let a session that did nothing yet keep a journal, beside its image if that is possible.

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
    """The network that a journal was written with.

    Parameters
    ----------
    header : Header
    network_file : str, optional
        Where it is now; by default where it was.
    allow_torchscript : bool
        The user agrees that a TorchScript file, which is a program, is run. That it was run when
        the journal was written is no consent: whoever has sent the journal wrote it.

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
            f"{header.network_file or 'a script'}; choose that one, or start anew"
        )


def restored(
    record: Record,
    raster: Raster,
    network: Network,
    *,
    compute: Compute | None = None,
    cache: bool = True,
) -> Session:
    """Session as its journal tells; its maps are drawn by `Session.refine`.

    Parameters
    ----------
    record : Record
    raster : Raster
        The image it was made on.
    network : Network
        The network it was made with.
    compute : Compute, optional
        By default as then, or the best there is where that device is not there.
    cache : bool
        Whether learned weights may come from the cache; else they are learned again.

    Raises
    ------
    DamagedLineError
        If an event makes no sense; what is before it may.
    JournalError
        If it is another image or network.
    """
    header = record.header
    if image_fingerprint(raster) != header.image:
        raise JournalError(
            f"{record.path.name} was written for another image, {header.image_name!r}, or that "
            f"has changed since; {raster.name} has other pixels"
        )
    _check_network(header, network)
    session = Session(
        raster,
        network,
        bands=header.bands,
        factor=header.factor,
        compute=compute or compute_of(header),
        seed=header.seed,
    )
    if cache:
        session.learn_from_cache(DeltaCache())
    work = 0
    for number, event in zip(record.lines, record.events, strict=True):
        work += 1000 + len(session.clicks)
        if work > _MOST_WORK:
            raise JournalError(f"{record.path.name} tells too long a story to be a session")
        try:
            _EVENTS.get(event.get("do"), _unknown)(session, event)  # type: ignore[arg-type]
        except (DiscaError, KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            reason = " ".join(str(error).split())[:120]
            if isinstance(error, KeyError):
                reason = f"it lacks {reason}"
            raise DamagedLineError(
                f"line {number} of {record.path.name} cannot be done again: {reason}", number
            ) from error
    return session


def resume(
    path: Path,
    raster: Raster,
    network: Network,
    *,
    compute: Compute | None = None,
    before: int | None = None,
) -> Session:
    """Go on with a session and its journal.

    Parameters
    ----------
    path : Path
    raster : Raster
    network : Network
    compute : Compute, optional
        As for `restored`.
    before : int, optional
        Number of a damaged line; see `Journal.resume`.

    Raises
    ------
    DamagedLineError
        If a line is damaged, or makes no sense.
    JournalError
        If the journal is open elsewhere, or of another image or network.
    """
    try:
        journal, record = Journal.resume(path, before)
    except OSError as error:
        raise JournalError(f"{path} cannot be written: {error.strerror or error}") from error
    try:
        session = restored(record, raster, network, compute=compute)
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
) -> Session:
    """Session of a journal that goes on being written elsewhere, or not at all.

    Raises
    ------
    JournalError
        If the journal is damaged, or of another image or network.
    """
    return restored(read_journal(path), raster, network, compute=compute, cache=cache)


def compute_of(header: Header) -> Compute:
    """Device and precision of a journal, or the best there is where that is not there."""
    device: DeviceName = header.device  # type: ignore[assignment]
    precision: Precision = header.precision  # type: ignore[assignment]
    try:
        return Compute.choose(device, precision)
    except DiscaError:
        return Compute.choose()


def said(record: Record, now: datetime | None = None) -> str:
    """What a journal holds, in words: ``137 clicks, 3 adaptations, yesterday 18:02``."""
    clicks, runs, locks = record.counts
    counts = [
        f"{number} {what}{'s' * (number != 1)}"
        for number, what in ((clicks, "click"), (runs, "adaptation"), (locks, "locked area"))
        if number or what == "click"
    ]
    last = record.last
    if last is not None:
        counts.append(when(last, now or datetime.now().astimezone()))
    return ", ".join(counts)


def when(then: datetime, now: datetime) -> str:
    """A time as one would say it now."""
    days = (now.date() - then.date()).days
    time = f"{then:%H:%M}"
    if days == 0:
        return f"today {time}"
    if days == 1:
        return f"yesterday {time}"
    return f"{then.day} {then:%B} {time}" if then.year == now.year else f"{then:%Y-%m-%d} {time}"


# -------------------------------------------------------------------- events


def _on_clicks(session: Session, event: Mapping[str, Any]) -> None:
    if "set" in event:
        after = Clicks(tuple(_clicks(event["set"])))
    else:
        edit = Edit(
            changed=tuple((_click(old), _click(new)) for old, new in event.get("change", [])),
            removed=tuple(_clicks(event.get("remove", []))),
            added=tuple(_clicks(event.get("add", []))),
        )
        there = set(session.clicks)
        if not all(click in there for click in (*edit.removed, *(old for old, _ in edit.changed))):
            raise JournalError("it changes a click that is not there")
        after = edit.applied(session.clicks)
    session.set_clicks(after, _text(event, "title"))


def _on_adapt(session: Session, event: Mapping[str, Any]) -> None:
    run = _run(session, event, session.adapted)
    note = event.get("note", "")
    adaptation = replace(run.adaptation, note=note if isinstance(note, str) else "")
    session.handle(replace(run, adaptation=adaptation))


def _run(
    session: Session, fields: Mapping[str, Any], current: AdaptationRun | None
) -> AdaptationRun:
    if not isinstance(fields, Mapping):
        raise JournalError("a run is no object")
    recipe = recipe_of_fields(fields["recipe"])
    locks = session.locks
    if "locks" in fields:
        by_number = {lock.number: lock for lock in locks}
        locks = tuple(by_number[_whole(number)] for number in fields["locks"])
    base = current if getattr(recipe, "continues", True) else None
    if "base" in fields:
        base = None if fields["base"] is None else _run(session, fields["base"], None)
    clicks = session.clicks
    if "clicks" in fields:
        clicks = Clicks(tuple(_clicks(fields["clicks"])))
    if not clicks:
        raise JournalError("it learns from no clicks")
    return AdaptationRun(
        AdaptationResult(None),
        recipe,
        weights=_text(fields, "weights"),
        clicks=clicks,
        locks=locks,
        seed=_whole(fields["seed"]),
        base=base,
    )


def _on_learned(session: Session, event: Mapping[str, Any]) -> None:
    session.expect(_text(event, "run"), _text(event, "weights"))


def _on_go(session: Session, event: Mapping[str, Any]) -> None:
    session.go(_whole(event["to"]))


def _on_reset(session: Session, event: Mapping[str, Any]) -> None:
    session.reset_network()


def _on_lock(session: Session, event: Mapping[str, Any]) -> None:
    areas = [
        Area(tuple(tuple((_real(r), _real(c)) for r, c in ring) for ring in rings))
        for rings in event["areas"]
    ]
    session.lock(*areas, map=event["map"], title=_text(event, "title"))


def _on_unlock(session: Session, event: Mapping[str, Any]) -> None:
    by_number = {lock.number: lock for lock in session.locks}
    session.unlock(*(by_number[_whole(number)] for number in event["locks"]))


def _on_export(session: Session, event: Mapping[str, Any]) -> None:
    """Nothing to do again."""


def _unknown(session: Session, event: Mapping[str, Any]) -> None:
    raise JournalError(f"{str(event.get('do'))[:40]!r} is nothing this version can do")


_EVENTS: Mapping[str, Callable[[Session, Mapping[str, Any]], None]] = {
    "clicks": _on_clicks,
    "adapt": _on_adapt,
    "learned": _on_learned,
    "go": _on_go,
    "reset": _on_reset,
    "lock": _on_lock,
    "unlock": _on_unlock,
    "export": _on_export,
}


def _clicks(triples: Any) -> list[Click]:
    if not isinstance(triples, list):
        raise JournalError(f"{str(triples)[:40]!r} is no list of clicks")
    return [_click(triple) for triple in triples]


def _click(triple: Any) -> Click:
    row, col, label = triple
    return Click(_whole(row), _whole(col), _whole(label))


def _whole(value: Any) -> int:
    if type(value) is not int or abs(value) >= 2**40:
        raise JournalError(f"{str(value)[:40]} is no number that can be meant")
    return value


def _real(value: Any) -> float:
    if type(value) not in (int, float):
        raise JournalError(f"{str(value)[:40]} is no number")
    return float(value)


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str) or len(value) > 10_000:
        raise JournalError(f"{name} is no text")
    return value
