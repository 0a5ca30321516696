"""Colours of the classes."""
