"""Trains a network on folders of images and masks."""
