"""Errors whose messages a user can act on, and the messages made of other errors.

Every message says what came, what was expected and what to do. The command line turns a
`DiscaError` into one line and exit code 2, the panel into a napari notification.
"""

from __future__ import annotations

from unicodedata import category

#: Characters of another library's message that are quoted at most.
_LONGEST = 300
#: Unicode categories of characters that end a line or move the cursor.
_BREAKS = {"Cc", "Zl", "Zp"}


class DiscaError(Exception):
    """Base class of errors that the user can mend (bad input, not a bug).

    Its text is one line: line breaks in names that it quotes from a file become spaces.
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
    """An area to lock, a stroke, or a file of areas is not a valid area of the image."""


class OverlayError(DiscaError, ValueError):
    """A file of vectors cannot be read, or has no place on the image."""


class ClassTableError(DiscaError, ValueError):
    """A table of classes, or a file of one, does not fit the network or itself."""


class JournalError(DiscaError, ValueError):
    """A journal cannot be read, belongs to another image or network, or is in use."""


class RecipeError(DiscaError, ValueError):
    """A recipe is unknown, has an invalid field, does not fit the network, or fails."""


class NotFiniteError(RecipeError):
    """The weights or tensors that a recipe has learned are not finite."""


class ExportError(DiscaError, OSError):
    """A result could not be written; whatever was there before is untouched."""


class DataError(DiscaError, ValueError):
    """A folder of images and masks does not fit training or evaluation."""


def one_line(error: BaseException) -> str:
    """Message of a library's error as one short line, to be quoted in a message of our own.

    Libraries write several lines, and may quote any amount of the file.
    """
    return shortened(" ".join(str(error).split()) or type(error).__name__, _LONGEST)


def shortened(text: str, longest: int) -> str:
    """Return a text, or its beginning with "..." if it has more characters than `longest`."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def is_unicode(name: object) -> bool:
    """Whether a file's name is Unicode: on Linux it may be any bytes, which GDAL cannot open."""
    try:
        str(name).encode()
    except UnicodeEncodeError:
        return False
    return True


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the machine's or the graphics card's memory is full.

    Decided by the error's name and text, so that torch is not imported for it. torch raises an
    exception of its own on graphics cards and a plain `RuntimeError` elsewhere.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    words = str(error)
    return isinstance(error, RuntimeError) and (
        "out of memory" in words or "can't allocate memory" in words
    )


def user_message(error: BaseException) -> str | None:
    """One line that tells the user about an error; None if the error is a bug.

    Parameters
    ----------
    error : BaseException
        A `DiscaError`, an `OSError` (full disk, missing permission) and a full memory are not
        bugs; everything else is.
    """
    if isinstance(error, DiscaError):
        return " ".join(str(error).split())
    if out_of_memory(error):
        return "the memory is full; close other programs or images, or work on another device"
    if isinstance(error, OSError) and error.strerror:
        named = f"{error.filename}: " if error.filename else ""
        return f"{named}{error.strerror}"
    return None
