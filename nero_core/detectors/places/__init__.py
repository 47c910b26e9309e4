"""Detectors that score places of an image: a small finding is not washed out by a mean over the whole."""
