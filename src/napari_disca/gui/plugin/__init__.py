"""The contributions that napari's plugin manifest names: reader, writers, samples, commands."""
