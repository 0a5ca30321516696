"""What napari's plugin manifest names: reader, writer, samples, application."""
