"""Benchmarks as jobs: a plan on disk, the rows that are done so far, and a result that stays until it is removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nero_core.data.guarantee import DEFAULT_ALPHA
from nero_core.errors import Cancelled
from nero_core.jobs import job as jobs
from nero_core.jobs.job import Job, JobRequest, Kind, write_record
from nero_core.storage.files import make_private_folder
from nero_core.storage.json_files import read_json
from nero_core.storage.typed import check

if TYPE_CHECKING:
    from nero_core.benchmark.plan import Plan
    from nero_core.benchmark.result import DetectorResult
    from nero_core.jobs.queue import Reporter

ROWS, RESULT = "rows.json", "result"


@dataclass(frozen=True)
class BenchmarkRequest(JobRequest):
    """A :class:`~nero_core.benchmark.plan.Plan` as JSON: every path a text, and whole.

    Attributes
    ----------
    title : str
        Of the reference.
    reference, id, ood, train, calibration, detectors, ablate, protocol, alpha, seed, group, out
        As in the plan.
    """

    reference: str = ""
    id: str = ""
    ood: Mapping[str, str] = field(default_factory=dict)
    train: str | None = None
    calibration: str | None = None
    detectors: Sequence[str] = ("all",)
    ablate: Sequence[str] = ()
    protocol: str | None = None
    alpha: float = DEFAULT_ALPHA
    seed: int = 0
    group: str | None = None
    out: str | None = None

    @classmethod
    def of(cls, title: str, plan: Plan) -> BenchmarkRequest:
        """A plan as it is kept; a folder that is named from here is named from the top."""

        def whole(value: Any) -> Any:
            return str(value.absolute()) if isinstance(value, Path) else value

        fields = {name: whole(value) for name, value in vars(plan).items()}
        return cls(title, **fields | {"ood": {name: whole(folder) for name, folder in plan.ood.items()}})

    def plan(self) -> Plan:
        """What was asked for."""
        from nero_core.benchmark.plan import Plan

        asked = {name: value for name, value in vars(self).items() if name != "title"}
        plan: Plan = check(asked, Plan, "")
        return plan


def run(job: Job[BenchmarkRequest], report: Reporter) -> None:
    """Do the work of one job; its folder then holds a report, of all detectors or of those finished before a stop.

    Raises
    ------
    NeroError
        Why there is none.
    Cancelled
        Somebody asked for it; a report of what is finished was written before.
    """
    from nero_core.network.activation_cache import default_folder
    from nero_core.reference.reference import Reference
    from nero_core.reports.benchmark import write_report

    report.stage("comparing")
    asked = job.request.plan()
    plan = asked.settled()
    report.begin("Loading the reference")
    reference = Reference.load(plan.reference)
    report.stop_if_asked()
    division = plan.divide(reference, report.begin("Looking through the folders"))
    report.stop_if_asked()
    # What is finished is kept in the job's folder, where nobody asked for another.
    benchmark = replace(plan, out=plan.out or job.folder).benchmark(reference, division, default_folder())
    read = sum(part is not None for part in (division.fit, division.calibration, division.id)) + len(division.ood)
    report.steps(read + 1)
    rows: list[DetectorResult] = []

    def add(row: DetectorResult) -> None:
        rows.append(row)
        write_record(job.folder / ROWS, {"planned": len(benchmark.contenders), "rows": [asdict(each) for each in rows]})

    stopped: Cancelled | None = None
    try:
        benchmark.run(report.begin, add)
    except Cancelled as error:
        if not benchmark.finished:
            raise
        stopped = error
    result = asked.completed(benchmark.result())
    make_private_folder(job.result)
    for folder in filter(None, (job.result, asked.out)):
        write_report(result, folder)
    if stopped is not None and benchmark.finished < len(benchmark.contenders):
        raise stopped


BENCHMARK = Kind(
    name="benchmark",
    request=BenchmarkRequest,
    running=("comparing",),
    work=run,
    result=RESULT,
    contents={"": "the detectors that are finished"},
    prefix="benchmark-",
)
BenchmarkJob = Job[BenchmarkRequest]


def submit(home: Path, title: str, plan: Plan) -> Path:
    """Put a benchmark at the end of the queue; returns its folder.

    Parameters
    ----------
    home : Path
        The folder that references are written to.
    title : str
        Of the reference.
    plan : Plan

    Raises
    ------
    UnknownDetectorError, InputError, ArtefactError
        The plan cannot be followed (see :meth:`~nero_core.benchmark.plan.Plan.settled`), or the folder not be written.
    """
    plan.settled()
    return jobs.submit(home, BENCHMARK, BenchmarkRequest.of(title, plan))


def rows_so_far(job: BenchmarkJob) -> tuple[list[DetectorResult], int]:
    """The detectors that are done or refused so far, and how many there will be; 0 before that is known.

    Raises
    ------
    ArtefactError
        The record is damaged.
    """
    from nero_core.benchmark.reading import RowsSoFar

    try:
        found = read_json(
            job.folder / ROWS, RowsSoFar, "It is damaged; go on, or remove the benchmark and run it again."
        )
    except FileNotFoundError:
        return [], 0
    return found["rows"], found["planned"]
