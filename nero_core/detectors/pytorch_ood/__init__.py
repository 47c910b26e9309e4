"""Detectors of the library pytorch-ood (Kirchheim et al., 2022) over arrays that were extracted once.

The maths is the library's. What the false-alarm guarantee rests on is that nothing is learnt from the calibration
images: temperature scaling and KL-matching, for which their authors hold images out, learn from the training images
here.

Its detectors with an exact account are files of their own beside this folder, and those that see the images once more
are in `network_passes`.
"""
