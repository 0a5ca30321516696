"""Files on disk: atomic writes, reserved space, caches, and the label pyramid."""
