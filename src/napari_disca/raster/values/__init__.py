"""Pixel values: how they are scaled, and which of them are no data."""
