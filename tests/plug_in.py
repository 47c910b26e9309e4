"""A package as another group would install it: a module, and a dist-info that names it as an entry point."""

from __future__ import annotations

from pathlib import Path

OCCLUSION = """
import numpy as np
import torch

from nero_core.attribution import HeatmapMethod, OverallMap, register_method


@register_method
class Occlusion(HeatmapMethod):
    title = "occlusion"
    meaning = "how far the answer falls where a square is greyed out"
    single_neurons = False

    def __init__(self, classifier):
        super().__init__(classifier)
        self._network = classifier.private_copy()

    def _open(self, image):
        return OverallMap(self.title, self.size, lambda: self._map(image))

    @torch.no_grad()
    def _map(self, image, side=16):
        whole = self._network(image)[0].softmax(0)
        found = np.zeros(self.size, np.float32)
        for y in range(0, self.size[0], side):
            for x in range(0, self.size[1], side):
                greyed = image.clone()
                greyed[:, :, y : y + side, x : x + side] = 0
                fallen = whole - self._network(greyed)[0].softmax(0)
                found[y : y + side, x : x + side] = float(fallen[whole.argmax()])
        return found
"""


def install(folder: Path, package: str, group: str, modules: dict[str, str]) -> Path:
    """Write a package with one entry point for each module, {name: source}; the folder goes on the path."""
    home, metadata = folder / package, folder / f"{package}-1.0.dist-info"
    home.mkdir(parents=True)
    metadata.mkdir()
    (home / "__init__.py").write_text("")
    for name, source in modules.items():
        (home / f"{name}.py").write_text(source)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    points = "\n".join(f"{name} = {package}.{name}" for name in modules)
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{points}\n")
    return folder
