"""Pairs images with their masks by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_disca.core.errors import DataError

_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2", ".bmp")
#: Names of the two subfolders in a single folder.
_CONVENTIONS = (("imgs", "gts"), ("images", "masks"))
#: Most names in a message.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its mask: two files of one name."""

    name: str
    image: Path
    mask: Path


@dataclass(frozen=True, slots=True)
class Pairing:
    """The pairs of two folders, and files without a partner.

    Attributes
    ----------
    pairs : list of Pair
        Sorted by name.
    lone_images, lone_masks : list of Path
        Files without a partner of the same name.
    """

    pairs: list[Pair]
    lone_images: list[Path]
    lone_masks: list[Path]

    def describe(self) -> str:
        """Return one line: the number of pairs, and which files are left out."""
        total = len(self.pairs) + len(self.lone_images)
        parts = [f"{len(self.pairs)} of {total} images have a mask"]
        for files, what in (
            (self.lone_images, "left out, without a mask of the same name"),
            (self.lone_masks, "masks without an image"),
        ):
            if files:
                first = ", ".join(path.name for path in files[:_NAMED])
                more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
                parts.append(f"{what}: {first}{more}")
        return "; ".join(parts)


def pairs(images: str | Path, masks: str | Path | None = None) -> list[Pair]:
    """Return the pairs of images and masks with equal names; see `paired`."""
    return paired(images, masks).pairs


def paired(images: str | Path, masks: str | Path | None = None) -> Pairing:
    """Return images and masks in pairs of equal names, whatever their suffixes.

    Parameters
    ----------
    images : str or path
        Folder of the images; or, without `masks`, a folder that holds ``imgs/`` and ``gts/`` (the
        paper's convention) or ``images/`` and ``masks/``.
    masks : str or path, optional
        Folder of the masks.

    Raises
    ------
    DataError
        If a folder is missing, holds two files of one name, or no pair is found.
    """
    images = Path(images)
    if masks is None:
        for names in _CONVENTIONS:
            if all((images / name).is_dir() for name in names):
                return paired(images / names[0], images / names[1])
        raise DataError(
            f"{images} has no folders imgs and gts, nor images and masks; name the folder of the "
            "masks"
        )
    masks = Path(masks)
    pictures, references = _by_stem(images), _by_stem(masks)
    common = sorted(pictures.keys() & references.keys())
    if not common:
        for found, folder in ((pictures, images), (references, masks)):
            if not found:
                raise DataError(f"{folder} holds no file that ends with {', '.join(_SUFFIXES)}")
        first = ", ".join(min(found.values()).name for found in (pictures, references))
        raise DataError(
            f"none of the {len(pictures)} images in {images} has a mask of the same name among "
            f"the {len(references)} in {masks} ({first}, ...); equal names belong together "
            "(a.jpg, a.png)"
        )
    return Pairing(
        [Pair(name, pictures[name], references[name]) for name in common],
        [pictures[name] for name in sorted(pictures.keys() - references.keys())],
        [references[name] for name in sorted(references.keys() - pictures.keys())],
    )


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in found:
            raise DataError(
                f"{folder} holds both {found[path.stem].name} and {path.name}; keep one of them"
            )
        found[path.stem] = path
    return found


def hold_out(found: Iterable[Pair], patterns: Sequence[str]) -> tuple[list[Pair], list[Pair]]:
    """Split pairs into those for training and those held out.

    Parameters
    ----------
    found : iterable of Pair
    patterns : sequence of str
        A pair whose name contains one of them is held out. Hold out whole areas: parts of one
        area adjoin.

    Returns
    -------
    two lists of Pair
        Kept, and held out.

    Raises
    ------
    DataError
        If a pattern fits no name, which is probably a typing error.
    """
    found = list(found)
    for pattern in patterns:
        if not pattern or not any(pattern in pair.name for pair in found):
            raise DataError(f"no image's name contains {pattern!r}, so it cannot be held out")
    held_out = [pair for pair in found if any(pattern in pair.name for pattern in patterns)]
    return [pair for pair in found if pair not in held_out], held_out
