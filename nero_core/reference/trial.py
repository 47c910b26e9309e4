"""A reference from elsewhere, tried in a process of its own before anybody can use it.

Everything that a file says is checked when it is read, but what a network does is seen only when it runs: it may take
all memory, or all day, for one image. So one image is scored and explained by a process that is ended at a limit, and
takes nothing with it. ``python -m nero_core.reference.trial`` is that process; :func:`try_reference` starts it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from nero_core.errors import ArtefactError, NeroError
from nero_core.storage.dashboard import environment_of_child
from nero_core.wording import message

GIBIBYTE = 2**30
BASE_MEMORY = 8 * GIBIBYTE
"""The bundled reference takes 1.3 GiB, 0.9 of them PyTorch and the other libraries; a heatmap of ResNet-50 at 1,024 ×
1,024 pixels, the most that is in use, 7.6."""
MEMORY_PER_BYTE = 4
"""Of the reference's files: weights in half precision are twice as long in memory, which holds two copies of them."""
SHARE_OF_MACHINE = 0.75
"""Of its memory, at most: the server that asked for the trial goes on beside it."""
SECONDS = 120
"""Of the processor, and by the clock. The bundled reference takes 7 of a busy processor, 5 of them to import PyTorch;
ViT-L, of 1.1 GB of weights, 24; a heatmap of ResNet-50 at 1,024 × 1,024 pixels 46."""
FRAME_KIND, FRAME_SEED, FRAME_PIXELS = "polyp", 0, 320
"""The image: a rendered one, so that none of a patient is needed."""
OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "bad_alloc", "Unable to allocate")
"""What PyTorch and NumPy say where memory is refused."""

memory_is_limited = sys.platform.startswith("linux")
"""Elsewhere the system limits no memory of a process; then the clock alone ends it."""
LIMITS_NOTE = (
    ""
    if memory_is_limited
    else message("This system cannot limit the memory that this takes; only its time was limited.")
)


def try_reference(folder: Path, what: str) -> None:
    """Load a reference, score and explain one rendered image with every detector, and make one heatmap.

    Parameters
    ----------
    folder : Path
        Of the reference.
    what : str
        What it is called in messages.

    Raises
    ------
    ArtefactError
        It does not load, gives no finite score, or takes more memory or time than a reference of its size may.
    """
    memory = _memory_for(folder)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "nero_core.reference.trial", str(folder.resolve()), str(memory), str(SECONDS)],
            env=environment_of_child(1, CUDA_VISIBLE_DEVICES=""),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        reason: str | None = _too_slow()
    else:
        reason = _reason(ended.returncode, ended.stdout, memory)
    if reason is not None:
        raise ArtefactError(f"{what} holds a reference that cannot be used: {reason}")


def _memory_for(folder: Path) -> int:
    """Bytes that a reference of this size may take here."""
    wanted = BASE_MEMORY + MEMORY_PER_BYTE * sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    if not hasattr(os, "sysconf"):
        return wanted
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(wanted, int(SHARE_OF_MACHINE * machine))


def _too_slow() -> str:
    return f"opening it and scoring one image takes more than {SECONDS} s."


def _reason(code: int, output: bytes, memory: int) -> str | None:
    """Why the trial failed; None where it did not."""
    if code == 0:
        said = json.loads(output)
        if said["memory"]:
            return f"opening it and scoring one image takes more than {memory / GIBIBYTE:.1f} GiB of memory."
        error: str | None = said["error"]
        return error
    if sys.platform != "win32" and code == -signal.SIGXCPU:
        return _too_slow()
    return f"the process that scored one image with it broke off (code {code}), as it does where memory is refused."


# The process itself ----------------------------------------------------------------------------------------------


def _limit(memory: int, seconds: int) -> None:
    """Nothing to do on a system without limits: then the clock of whoever started this process ends it."""
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))  # also where whoever started it was killed
    if memory_is_limited:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        with suppress(OSError):  # where a machine has no more all the same, this process is the first to go
            Path("/proc/self/oom_score_adj").write_text("1000")


def score_one_image(folder: Path) -> None:
    """Load a reference, score and explain one rendered image with every detector, and make one heatmap; no limits.

    Raises
    ------
    NeroError
        Something of it cannot be used. Libraries may raise anything else on a network that is none.
    """
    from nero_core.data import scenes
    from nero_core.detectors import ExplainedDetector
    from nero_core.reference.model_card import model_card
    from nero_core.reference.reference import Reference
    from nero_core.relevance import relevance_of

    model_card(folder)
    Reference.open(folder).read_without_network()
    reference = Reference.load(folder)
    frame = scenes.render(FRAME_KIND, FRAME_SEED, FRAME_PIXELS)
    again = any("source" in detector.info.needs for detector in reference.detectors.values())
    activations = reference.classifier.extract([frame], keep_source=again)
    relevance_of(activations, reference.classifier.head)
    for name, detector in reference.detectors.items():
        reference.calibrations[name].p_values(reference.score(activations, name), activations.logits.argmax(axis=1))
        if isinstance(detector, ExplainedDetector):
            reference.explain(activations, name)
    reference.heatmaps(frame, [0])


def main(arguments: list[str]) -> None:
    """Try one reference within limits, and answer in one line of JSON; libraries may print what they like."""
    folder, memory, seconds = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123  a device
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    _limit(memory, seconds)
    error, refused = None, False
    try:
        score_one_image(folder)
    except Exception as caught:  # noqa: BLE001  whatever a file brings about, it is a reason to refuse the file
        ours = isinstance(caught, NeroError)
        error = str(caught) if ours else f"{type(caught).__name__}: {caught}"
        cause = caught.__cause__ if ours else caught
        refused = isinstance(cause, MemoryError) or any(words in error for words in OUT_OF_MEMORY)
    with answer:
        json.dump({"error": error, "memory": refused}, answer)


if __name__ == "__main__":
    main(sys.argv[1:])
