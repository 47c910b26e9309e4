"""Named benchmarks of papers: their classes and splits, their published figures, and where their images are.

What a protocol consists of is data: one JSON file each beside this one, with its sources.
"""
