"""Panels to correct the map."""
