"""A benchmark in a thread of its own: whoever started it goes on working, and it ends when nobody holds it any more."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nero_core.errors import Cancelled

if TYPE_CHECKING:
    from nero_core import Reference
    from nero_core.benchmark.plan import Plan
    from nero_core.benchmark.result import BenchmarkResult, DetectorResult
    from nero_core.records import Progress

LOOK = 0.5  # seconds between two looks whether it is one's turn, or was stopped
_turn = threading.Lock()  # benchmarks run one at a time: two would hold up each other and everybody else


@dataclass(frozen=True)
class Standing:
    """How far a run is: `done` of `total` in step `step` of `steps`.

    The step began at `since`, and so much of it was done at `at`, by a monotonic clock.
    """

    what: str
    step: int = 0
    steps: int = 0
    done: int = 0
    total: int = 0
    since: float = field(default_factory=time.monotonic)
    at: float = field(default_factory=time.monotonic)

    @property
    def share(self) -> float:
        """Of all steps, as if each took equally long."""
        within = self.done / self.total if self.total else 0.0
        return min(1.0, (self.step - 1 + within) / self.steps) if self.step else 0.0

    def seconds_left(self) -> float | None:
        """In this step at its pace so far; None before it has one."""
        if not 0 < self.done < self.total:
            return None
        left = (self.at - self.since) / self.done * (self.total - self.done)
        return max(0.0, left - (time.monotonic() - self.at))


class _Work:
    """What the thread does, and what it lets others see."""

    def __init__(self, plan: Plan, reference: Future[Reference]) -> None:
        self.plan, self.reference = plan, reference
        self.standing = Standing("Loading the reference")
        self.rows: tuple[DetectorResult, ...] = ()
        self.planned = self.steps = 0
        self.stop = threading.Event()
        self.outcome: Future[BenchmarkResult] = Future()

    def run(self) -> None:
        try:
            with self._one_at_a_time():
                self.outcome.set_result(self._benchmark())
        except BaseException as error:  # noqa: BLE001  # raised again where the outcome is asked for
            self.outcome.set_exception(error)

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        while not _turn.acquire(timeout=LOOK):
            self.standing = Standing("Waiting for another benchmark on this computer to end")
            self._go_on()
        try:
            yield
        finally:
            _turn.release()

    def _go_on(self) -> None:
        if self.stop.is_set():
            raise Cancelled("The benchmark was stopped before any detector was done.")

    def _benchmark(self) -> BenchmarkResult:
        from nero_core.network.activation_cache import default_folder
        from nero_core.reports.benchmark import write_report

        plan, reference = self.plan.settled(), self.reference.result()
        self._go_on()
        division = plan.divide(reference, self._begin("Looking through the folders"))
        self._go_on()
        self.steps = sum(part is not None for part in (division.fit, division.calibration, division.id))
        self.steps += len(division.ood) + 1
        benchmark = plan.benchmark(reference, division, default_folder())
        self.planned = len(benchmark.contenders)
        try:
            benchmark.run(self._begin, self._add)
        except Cancelled:
            if not benchmark.finished:
                raise
        result = self.plan.completed(benchmark.result())
        if plan.out is not None:
            write_report(result, plan.out)
        return result

    def _begin(self, what: str) -> Progress:
        self.standing = Standing(what, self.standing.step + 1 if self.steps else 0, self.steps)

        def progress(done: int, total: int) -> None:
            self._go_on()
            self.standing = replace(self.standing, done=done, total=total, at=time.monotonic())

        return progress

    def _add(self, row: DetectorResult) -> None:
        self.rows = (*self.rows, row)


class Run:
    """One benchmark under way, for as long as somebody holds this object: then it is stopped.

    Parameters
    ----------
    plan : Plan
    reference : Future
        That of the plan, loaded or on its way.
    """

    def __init__(self, plan: Plan, reference: Future[Reference]) -> None:
        self._work = work = _Work(plan, reference)
        weakref.finalize(self, work.stop.set)
        threading.Thread(target=work.run, name="benchmark", daemon=True).start()

    @property
    def plan(self) -> Plan:
        """What it runs."""
        return self._work.plan

    @property
    def standing(self) -> Standing:
        """How far it is."""
        return self._work.standing

    @property
    def rows(self) -> tuple[DetectorResult, ...]:
        """The detectors that are done or refused so far."""
        return self._work.rows

    @property
    def planned(self) -> int:
        """How many detectors there will be; 0 before that is known."""
        return self._work.planned

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._work.stop.is_set()

    def stop(self) -> None:
        """Ask it to stop; what is finished is kept."""
        self._work.stop.set()

    @property
    def done(self) -> bool:
        """Whether it has come to an end, a good one or another."""
        return self._work.outcome.done()

    def result(self) -> BenchmarkResult:
        """What it gave, all or what was finished when it was stopped; waits for it.

        Raises
        ------
        NeroError
            Why there is none.
        """
        return self._work.outcome.result()
