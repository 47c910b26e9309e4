"""Work that goes on when a window is closed."""
