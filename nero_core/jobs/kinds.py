"""The kinds of jobs there are."""

from typing import Any

from nero_core.jobs.benchmarks import BENCHMARK
from nero_core.jobs.builds import BUILD
from nero_core.jobs.job import Kind

KINDS: dict[str, Kind[Any]] = {BUILD.name: BUILD, BENCHMARK.name: BENCHMARK}
