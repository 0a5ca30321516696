"""Panels to review the map."""
