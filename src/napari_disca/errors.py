"""What can go wrong, in words a user can act on.

Every message says what came, what was expected and what to do. The command line turns a
`DiscaError` into one line and exit code 2, the panel into a napari notification.
"""

from __future__ import annotations


class DiscaError(Exception):
    """Root of the errors that are the user's to mend (bad input, not a bug)."""


class RasterError(DiscaError, ValueError):
    """An image cannot be opened, read or used as it is."""


class CardError(DiscaError, ValueError):
    """A network file, its card, or its fit to an image is wrong."""


class ClickError(DiscaError, ValueError):
    """A click, or a file of clicks, is outside the image or names an unknown class."""


class AreaError(DiscaError, ValueError):
    """An area to lock, or a file of areas, is no polygon on the image."""


class JournalError(DiscaError, ValueError):
    """A journal cannot be read, is not of this image or network, or is in use."""


class RecipeError(DiscaError, ValueError):
    """A recipe is unknown, has an impossible field, or its result is not finite."""


class ExportError(DiscaError, OSError):
    """A result could not be written; whatever was there before is untouched."""


class DataError(DiscaError, ValueError):
    """A folder of images and masks is not what training or evaluation needs."""
