"""Layers, overlays and the camera: the session in the viewer, and back."""
