"""What can go wrong, in words a user can act on.

Every message says what came, what was expected and what to do. The command line turns a
`DiscaError` into one line and exit code 2, the panel into a napari notification.
"""

from __future__ import annotations

from unicodedata import category

#: Characters of somebody else's words.
_LONGEST = 300
#: Kinds of characters that end a line or move the cursor: of Unicode's categories.
_BREAKS = {"Cc", "Zl", "Zp"}


class DiscaError(Exception):
    """Root of the errors that are the user's to mend (bad input, not a bug).

    Its text is one line, whatever the names hold that it quotes from a file.
    """

    def __str__(self) -> str:
        text = super().__str__()
        return "".join(" " if category(c) in _BREAKS else c for c in text)


class RasterError(DiscaError, ValueError):
    """An image cannot be opened, read or used as it is."""


class CardError(DiscaError, ValueError):
    """A network file, its card, or its fit to an image is wrong."""


class ClickError(DiscaError, ValueError):
    """A click, or a file of clicks, is outside the image or names an unknown class."""


class AreaError(DiscaError, ValueError):
    """An area to lock, or a file of areas, is no polygon on the image."""


class ClassTableError(DiscaError, ValueError):
    """A table of classes, or a file of one, does not fit the network or itself."""


class JournalError(DiscaError, ValueError):
    """A journal cannot be read, is not of this image or network, or is in use."""


class RecipeError(DiscaError, ValueError):
    """A recipe is unknown, has an impossible field, does not fit the network, or fails."""


class NotFiniteError(RecipeError):
    """What a recipe has learned is not finite."""


class ExportError(DiscaError, OSError):
    """A result could not be written; whatever was there before is untouched."""


class DataError(DiscaError, ValueError):
    """A folder of images and masks is not what training or evaluation needs."""


def brief(error: BaseException) -> str:
    """What a library says of a file, as a part of our one line.

    It may go over several lines, and quote from the file as much as there is.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def is_unicode(name: object) -> bool:
    """Whether the name of a file is text; on Linux it may be any bytes, which GDAL cannot open."""
    try:
        str(name).encode()
    except UnicodeEncodeError:
        return False
    return True


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a memory is full, the machine's or the graphics card's.

    By its name and words, because torch, which has an exception of its own on graphics cards and
    a plain `RuntimeError` elsewhere, must not be imported to know.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    words = str(error)
    return isinstance(error, RuntimeError) and (
        "out of memory" in words or "can't allocate memory" in words
    )


def explained(error: BaseException) -> str | None:
    """One line for the user about an error that is not a bug; None if it is one.

    Parameters
    ----------
    error : BaseException
        Ours, or the operating system's (a full disk, a missing right), or a full memory.
    """
    if isinstance(error, DiscaError):
        return " ".join(str(error).split())
    if out_of_memory(error):
        return "the memory is full; close other programs or images, or work on another device"
    if isinstance(error, OSError) and error.strerror:
        named = f"{error.filename}: " if error.filename else ""
        return f"{named}{error.strerror}"
    return None
