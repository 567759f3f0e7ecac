"""What a comparison costs beside the training itself: 200 short runs on two workers.

    python benchmarks/compare_overhead.py [RUNS]

The overhead is all the time of the two workers in which neither trained: starting them, loading Keras and
the data, sending tasks, storing rows.
"""

import sys
import tempfile
import time
from pathlib import Path

from actgrad.workbench.compare import show
from actgrad.workbench.compare.design import Asked, make
from actgrad.workbench.compare.engine import engine
from actgrad.workbench.compare.job import final
from actgrad.workbench.compare.store import FILE, Store

WORKERS = 2

if __name__ == "__main__":
    import itertools

    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    asked = Asked(("relu", "gelu"), rates=(1e-3,), seeds=runs // 2, epochs=5)
    design = make(asked, "tensorflow", print)
    tasks, _ = final(design, [], itertools.count())
    rows, begun, first = [], time.perf_counter(), 0.0
    with (
        tempfile.TemporaryDirectory() as folder,
        Store(Path(folder) / FILE, design) as store,
        engine("loky", None, WORKERS) as local,
    ):
        for row in local.rows(tasks, print):
            store.add(row)
            rows.append(row)
            if len(rows) == WORKERS:
                first = time.perf_counter()
        print("in all:        ", show.overhead(rows, begun, WORKERS))
        print("once started:  ", show.overhead(rows[WORKERS:], first, WORKERS))
