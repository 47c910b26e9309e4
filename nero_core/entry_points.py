"""What other installed packages add: modules named as entry points, whose import enters them in a registry."""

from __future__ import annotations

import importlib.metadata
import warnings


class PlugInWarning(UserWarning):
    """Something that another package adds could not be loaded, and is left out."""


def load_entry_points(group: str) -> list[str]:
    """Import what installed packages name under a group; importing it registers it.

    A package says so in its ``pyproject.toml``, ``[project.entry-points."nero.heatmaps"]`` with a line such as
    ``occlusion = "my_package.occlusion"``.

    Parameters
    ----------
    group : str
        "nero.heatmaps" or "nero.detectors".

    Returns
    -------
    list of str
        Names of the entry points that were loaded, sorted.

    Warns
    -----
    PlugInWarning
        One cannot be imported, whatever the reason: it is named with its package, and the others load.
    """
    loaded = []
    for point in sorted(importlib.metadata.entry_points(group=group)):
        try:
            point.load()
        except Exception as error:  # noqa: BLE001  the code of others may raise anything, and stops nothing here
            package = point.dist.name if point.dist is not None else "an unknown package"
            warnings.warn(
                f"{point.name!r}, which {package} adds to {group}, was left out: importing {point.value} gave "
                f"{error!r}. Mend or remove {package}.",
                PlugInWarning,
                stacklevel=2,
            )
        else:
            loaded.append(point.name)
    return loaded
