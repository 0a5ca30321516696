"""Puts our writer before napari's own for Labels layers.

napari uses the first writer that fits, and whether that is its own depends on the order in which
Python lists the installed packages. Its own would write the stored values, class id + 1, without
a CRS. npe2 has no public way to set the order, so this file, and no other, uses its private one.
"""

from __future__ import annotations

from typing import Any

_OURS = "napari-disca"


def offer_our_writer_first() -> bool:
    """Put our writers first for every format of the table of exports.

    Returns
    -------
    bool
        Whether it was done; another version of npe2 may keep its writers elsewhere.
    """
    import npe2

    from napari_disca.exports import exports_of

    manager: Any = npe2.PluginManager.instance()
    suffixes = [suffix for export in exports_of("labels") for suffix in export.suffixes]
    try:
        # Rows of (layer type, least, most, writer); the sorting keeps the order of the others.
        writers = manager._contrib._writers
        writers.sort(key=lambda row: row[3].plugin_name != _OURS)
        ours = {id(row[3]): row[3] for row in writers if row[3].plugin_name == _OURS}
        for writer in ours.values():
            if writer.filename_extensions:
                writer.filename_extensions = suffixes
    except (AttributeError, IndexError, TypeError, ValueError):
        return False
    return bool(ours)
