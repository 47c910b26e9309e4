"""Every error this package raises on purpose.

::

    NeroError
    ├── InputError             an image, an array or a parameter cannot be used
    ├── NotFittedError         a detector was asked to score before it was fitted
    ├── UnknownDetectorError   no detector of that name is registered
    ├── ArtefactError          a file or folder of ours is missing, damaged, foreign or newer
    └── Cancelled              the caller asked for the work to stop

Each message says what was looked at, what was seen, what was wanted and what to do.
"""


class NeroError(Exception):
    """Base of all errors of this package."""


class InputError(NeroError, ValueError):
    """An image, an array or a parameter cannot be used."""


class NotFittedError(NeroError):
    """A detector was asked to score before it was fitted."""


class UnknownDetectorError(NeroError, LookupError):
    """No detector of that name is registered."""


class ArtefactError(NeroError):
    """A file or folder written by this package is missing, damaged, foreign or newer."""


class Cancelled(NeroError):
    """The caller asked for the work to stop; nothing was left half-done."""
