"""The figures of docs/learnable.md: python benchmarks/learnable/run.py [PICTURE] [--only NAME ...]

Some minutes on two cores. Every figure but the times follows from the seeds.
"""

from __future__ import annotations

import argparse

import fitted
import kan
import quantisers
import spikes
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

STUDIES = {"spikes": spikes, "quantisers": quantisers, "fitted": fitted, "kan": kan}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", nargs="?", help="a PNG of what was found")
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES))
    asked = parser.parse_args()
    figure = Figure(figsize=(11, 8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2).ravel()
    threads = torch.get_num_threads()
    for name, place in zip(asked.only, axes, strict=False):
        torch.set_num_threads(threads if name == "kan" else 1)  # the others' tensors are small
        STUDIES[name].draw(place, STUDIES[name].run())
    if asked.picture:
        figure.savefig(asked.picture, dpi=110)


if __name__ == "__main__":
    main()
