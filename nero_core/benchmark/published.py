"""Published figures of a protocol beside ours, and whether the two may be compared."""

from __future__ import annotations

from typing import Any

from nero_core.benchmark.result import BenchmarkResult
from nero_core.data.protocols.protocol import FOLDERS, Protocol, named_protocol, plain


def published_beside(name: str | None, result: BenchmarkResult) -> dict[str, Any]:
    """What `BenchmarkResult.published` holds: published figures, and whether these may be held against them.

    Parameters
    ----------
    name : str or None
        The protocol that the run followed.
    """
    if name in (None, FOLDERS):
        reason = "these are not the images of a published protocol, so figures of papers say nothing about them."
        return {"protocol": FOLDERS, "comparable": False, "reason": reason, "source": "", "rows": []}
    protocol = named_protocol(str(name))
    architectures = protocol.published["architectures"]
    reasons = list(_differences(protocol, result))
    if result.architecture not in architectures:
        reasons.append(f"figures are published for {' and '.join(architectures)}, not for {result.architecture}")
    same = (
        "the same classes and as many images. The paper's own split and weights are not used, so that small "
        "differences mean nothing."
    )
    return {
        "protocol": protocol.name,
        "comparable": not reasons,
        "reason": " ".join([f"{'; '.join(reasons)}." if reasons else same, protocol.note]).strip(),
        "source": protocol.published["source"],
        "rows": architectures.get(result.architecture, []),
    }


def _differences(protocol: Protocol, result: BenchmarkResult) -> list[str]:
    found = []
    if {plain(name) for name in result.classes} != {plain(name) for name in protocol.id}:
        found.append(f"the classifier's classes are not those of {protocol.title}")
    if {plain(name) for name in result.ood_sets} != {plain(name) for name in protocol.ood}:
        found.append(f"the OOD sets are not the {len(protocol.ood)} classes of {protocol.title}")
    for role, wanted in protocol.images.items():
        seen = sum(each.images for each in result.sets if each.role == role)
        if wanted is not None and seen != wanted:
            found.append(f"{seen} {role.upper()} images are scored where the paper has {wanted}")
    return found
