"""What the rest of the window uses: threads, messages, settings, access to Qt and napari."""
