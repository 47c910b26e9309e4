"""Detectors that see the images once more: through a gradient, a feature map or the maps of stages."""
