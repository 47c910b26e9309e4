"""Benchmarks: every detector on the same images from one extraction, with intervals.

``division`` says which images do what, ``line_up`` which detectors run, ``loop`` runs them, ``kept`` keeps what is
finished, and ``result`` is what a benchmark gives. A result is read without a network: ``result`` imports no torch.
"""
