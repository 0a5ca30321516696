"""napari's layers of a session."""
