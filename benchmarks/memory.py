"""Memory of fits and scores on many rows and classes: ``python -m benchmarks.memory``. Needs Linux's /proc."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.measure import Row, table
from nero_core.records import Activations, Head

ROWS, WIDTH, CLASSES = 100_000, 512, 3
SCORED = 1_000
MANY_CLASSES, MANY_CLASSES_ROWS = 1_000, 10_000
FEW_IMAGES, MANY_IMAGES = 1_000, 10_000
STAGES = {"layer1": 128, "layer2": 256, "layer3": 512}
"""Width of the statistics of ResNet-18's first stages."""
CHUNK = 5_000
NOISE = 0.3
"""Of a row about its class's centre, whose coordinates are about 1: most rows are predicted rightly."""

Work = Callable[[], object]

# In a process of its own ---------------------------------------------------------------------------------------


def resident_megabytes(kind: str = "VmRSS") -> float:
    """Resident memory of this process; "RssAnon" leaves mapped files out."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {kind}")


def peak_growth(work: Work) -> tuple[float, float]:
    """By how much resident and anonymous memory grow at most while something runs, in MB."""
    before = resident_megabytes(), resident_megabytes("RssAnon")
    peak = list(before)
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            peak[0] = max(peak[0], resident_megabytes())
            peak[1] = max(peak[1], resident_megabytes("RssAnon"))
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return peak[0] - before[0], peak[1] - before[1]


def spool(folder: Path, rows: int, classes: int, maps: bool) -> tuple[Callable[[], Activations], Head]:
    """Random rows about the centres of classes in files, as an extraction leaves them, and how to open them."""
    rng = np.random.default_rng(0)
    centres = np.abs(rng.normal(size=(classes, WIDTH))).astype(np.float32)
    weight = (centres - centres.mean(axis=0)) / np.sqrt(WIDTH, dtype=np.float32)
    head = Head(weight, rng.normal(0, 0.1, classes).astype(np.float32))
    labels = np.arange(rows) % classes
    widths = {"features": WIDTH, "logits": classes, **({"peaks": WIDTH, **STAGES} if maps else {})}
    arrays = {name: np.memmap(folder / name, np.float32, "w+", shape=(rows, width)) for name, width in widths.items()}
    for start in range(0, rows, CHUNK):
        some = slice(start, start + CHUNK)
        part = np.abs(centres[labels[some]] + NOISE * rng.normal(size=(len(labels[some]), WIDTH))).astype(np.float32)
        arrays["features"][some] = part
        arrays["logits"][some] = part.astype(np.float64) @ head.weight.T.astype(np.float64) + head.bias
        if maps:
            arrays["peaks"][some] = 2 * part
            for name, width in STAGES.items():
                arrays[name][some] = np.abs(rng.normal(size=(len(part), width)))
    for array in arrays.values():
        array.flush()
    del arrays, array

    def opened() -> Activations:
        mapped = {name: np.memmap(folder / name, np.float32, "r", shape=(rows, widths[name])) for name in widths}
        stages = {name: mapped[name] for name in STAGES} if maps else None
        return Activations(mapped["features"], mapped["logits"], labels, mapped.get("peaks"), stages)

    return opened, head


def of_fit(name: str, folder: Path) -> str:
    """Peak growth of a fit on many rows."""
    from nero_core.detectors import make_detector

    opened, head = spool(folder, ROWS, CLASSES, maps=False)
    make_detector(name).fit(opened()[:SCORED], head)  # loads what is loaded once
    return "{} {}".format(*peak_growth(lambda: make_detector(name).fit(opened(), head)))


def of_score(name: str, folder: Path) -> str:
    """Peak growth of scoring, on many rows beforehand fitted."""
    from nero_core.detectors import make_detector

    opened, head = spool(folder, ROWS, CLASSES, maps=False)
    train = opened()
    detector = make_detector(name).fit(train, head)
    some = train[:SCORED]
    detector.score(train[:1])
    return "{} {}".format(*peak_growth(lambda: detector.score(some)))


def of_many_classes(folder: Path) -> str:
    """The largest peak growth of fits and scores of each detector on arrays, and the detector."""
    from nero_core.detectors import DETECTORS, make_detector

    opened, head = spool(folder, MANY_CLASSES_ROWS, MANY_CLASSES, maps=True)
    train = opened()
    some = train[:SCORED]
    make_detector("energy").fit(some, head).score(some)
    peaks = {}
    for name, detector in DETECTORS.items():
        if detector.info.needs <= {"peaks", "stages"}:

            def work(name: str = name) -> None:
                make_detector(name).fit(train, head).score(some)

            peaks[name] = peak_growth(work)[1]
    largest = max(peaks, key=lambda name: peaks[name])
    return f"{peaks[largest]} {len(peaks)} {largest}"


def of_mean_relevance(count: int, folder: Path) -> str:
    """Peak growth while rows are spooled batch by batch and the mean relevance of each class is taken."""
    from nero_core.network.extraction import BATCH_SIZE, Batch, Rows
    from nero_core.neurons.sample import ORDINARY_KEPT, chosen_rows, sample_neurons
    from nero_core.relevance import DEFAULT_EPSILON

    rng = np.random.default_rng(0)
    head = Head(rng.normal(0, 0.05, (CLASSES, WIDTH)), np.zeros(CLASSES))
    names = [f"class {number}" for number in range(CLASSES)]

    def work(count: int = count) -> None:
        rows = Rows(count, folder)
        for start in range(0, count, BATCH_SIZE):
            positions = np.arange(start, min(start + BATCH_SIZE, count))
            features = np.abs(rng.normal(size=(len(positions), WIDTH)))
            stages = {name: np.abs(rng.normal(size=(len(positions), width))) for name, width in STAGES.items()}
            activations = Activations(features, features @ head.weight.T, peaks=features, stages=stages)
            rows.add(Batch(positions, activations, None, None))
        held_out = rows.activations(np.arange(count) % CLASSES)
        kept = [chosen_rows(count, ORDINARY_KEPT)]
        sample = sample_neurons(names, head, DEFAULT_EPSILON, held_out, {}, kept)
        assert sum(moments.count for moments in sample.moments) == count

    work(BATCH_SIZE)
    return "{} {}".format(*peak_growth(work))


WORK: dict[str, Callable[[Path], str]] = {
    **{f"fit-{name}": partial(of_fit, name) for name in ("nero", "knn", "nnguide")},
    **{f"score-{name}": partial(of_score, name) for name in ("knn", "nnguide")},
    "many-classes": of_many_classes,
    **{f"mean-relevance-{count}": partial(of_mean_relevance, count) for count in (FEW_IMAGES, MANY_IMAGES)},
}


# From outside ----------------------------------------------------------------------------------------------------


def alone(name: str) -> list[str]:
    """What a process of its own found."""
    command = [sys.executable, "-m", "benchmarks.memory", name]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def main() -> list[Row]:
    """Every row measured in a process of its own."""
    resident, anonymous = map(float, alone("fit-nero"))
    rows = [
        Row(
            f"NERO fit on {ROWS:,} × {WIDTH} rows, peak resident memory",
            "400 MB",
            f"{resident:.0f} MB",
            f"of which {anonymous:.0f} MB not mapped from the spool file",
        )
    ]
    bank = ROWS * WIDTH * 4 / 2**20
    for name, title in (("knn", "KNN"), ("nnguide", "NNGuide")):
        fit, score = (float(alone(f"{what}-{name}")[1]) for what in ("fit", "score"))
        rows.append(
            Row(
                f"{title}, which keeps all {ROWS:,} × {WIDTH} rows: peak memory of a fit, and of scoring",
                "stated",
                f"{fit:.0f} MB, {score:.0f} MB",
                f"the rows themselves are {bank:.0f} MB of the fit; {SCORED:,} images scored at once",
            )
        )
    largest, count, name = alone("many-classes")
    table_size = MANY_CLASSES**2 * WIDTH * 4 / 2**20
    rows.append(
        Row(
            f"{count} detectors on a head of {MANY_CLASSES:,} classes, {MANY_CLASSES_ROWS:,} rows: largest peak memory",
            "no K×K×d",
            f"{float(largest):.0f} MB",
            f"{name}; K×K×d alone would be {table_size:.0f} MB",
        )
    )
    few, many = (float(alone(f"mean-relevance-{count}")[1]) for count in (FEW_IMAGES, MANY_IMAGES))
    rows.append(
        Row(
            f"mean relevance of {MANY_IMAGES:,} images over that of {FEW_IMAGES:,}, peak memory",
            "equal",
            f"{many:.0f} MB, {few:.0f} MB",
            "what is not mapped from the spool files",
        )
    )
    return rows


if __name__ == "__main__":
    if len(sys.argv) > 1:
        with tempfile.TemporaryDirectory() as folder:
            print(WORK[sys.argv[1]](Path(folder)))
    else:
        print(table(main()))
