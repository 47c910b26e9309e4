"""Run by test_building: works on the queue of a folder, and says when each epoch of a training is safely on disk."""

import sys
from pathlib import Path

from nero_core.jobs.build_steps import build
from nero_core.jobs.builds import BUILD
from nero_core.jobs.queue import Reporter, run_queue


class Telling(Reporter):
    def history(self, epochs):
        super().history(epochs)
        sys.stdout.write(f"{len(epochs)}\n")
        sys.stdout.flush()


run_queue(Path(sys.argv[1]), BUILD, lambda job, report: build(job, Telling(job)))
