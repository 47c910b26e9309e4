"""Files, zip archives, tables and locks: written whole or not at all, and checked when they are read."""
