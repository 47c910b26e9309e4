"""Which images there are, and which of them trains, fits, calibrates and tests."""
