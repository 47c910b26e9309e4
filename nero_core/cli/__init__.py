"""Commands with a module of their own, and what all commands share; with ``__main__`` the only place that prints."""
