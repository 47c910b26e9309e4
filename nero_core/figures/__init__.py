"""Arrays to figures: beside every figure the same content as a table and as a sentence; no torch, no screen."""
