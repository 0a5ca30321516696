"""Prediction tile by tile: what a network reads of an image, and the labels that it gives."""
