"""NERO: out-of-distribution scores for endoscopy networks, explained neuron by neuron.

The scoring library behind the dashboard; usable without any screen. Names are imported on first use,
so that ``import nero_core`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Classifier", "Reference", "__version__"]

if TYPE_CHECKING:
    from nero_core.network.classifier import Classifier
    from nero_core.reference.reference import Reference


def __getattr__(name: str) -> Any:
    if name == "Reference":
        from nero_core.reference.reference import Reference

        return Reference
    if name == "Classifier":
        from nero_core.network.classifier import Classifier

        return Classifier
    raise AttributeError(f"module 'nero_core' has no attribute {name!r}")
