"""``python -m napari_disca`` is ``napari-disca``."""

from __future__ import annotations

import sys

from napari_disca.cli import main

if __name__ == "__main__":
    sys.exit(main())
