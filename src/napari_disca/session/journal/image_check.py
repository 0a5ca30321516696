"""Checks whether a journal belongs to an image, and names what has changed since."""

from __future__ import annotations

from napari_disca.core.errors import JournalError
from napari_disca.raster import Raster, file_fingerprint, fingerprint
from napari_disca.raster.gdal.identity import pixel_changes, place_changes
from napari_disca.session.journal.journal_format import Header, JournalRecord


class OtherImageError(JournalError):
    """A journal was written for an image with other pixels; its work may be taken over."""


def is_image_of(header: Header, raster: Raster) -> bool:
    """Whether a journal was written for an image, even if its file was moved or rewritten."""
    if header.image == fingerprint(raster):
        return True
    # As version 0.1.0 named an image: by its file's size and its georeference, too.
    return not header.image.startswith("p-") and header.image == file_fingerprint(raster)


def check_image(record: JournalRecord, raster: Raster, *, other_image: bool = False) -> None:
    """Refuse an image that a journal was not written for.

    Raises
    ------
    OtherImageError
        If its pixels differ; the message names what has changed.
    JournalError
        If it has another size, so that clicks would lie elsewhere, though that was agreed to.
    """
    header = record.header
    if is_image_of(header, raster):
        return
    facts = header.image_facts
    changes = pixel_changes(facts, raster) if facts else ["the file is not as it was"]
    said = (
        f"{record.path.name} was written for another image, {header.image_name!r}: "
        f"{', '.join(changes) or 'its pixels differ'}"
    )
    if not other_image:
        raise OtherImageError(
            f"{said}; open that image, or take the work over to {raster.name} knowingly "
            "(--other-image)"
        )
    if facts and facts.get("shape") != list(raster.shape):
        raise JournalError(f"{said}; the clicks would lie elsewhere")


def georeference_changes(record: JournalRecord, raster: Raster) -> str:
    """Return the changes of an image's georeference since a journal was begun, in one line."""
    changes = place_changes(record.header.image_facts, raster)
    return f"{raster.name}: {', '.join(changes)}; clicks stay on their pixels" if changes else ""
