from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actgrad.workbench import results
from actgrad.workbench.folder import RESULTS, write_json
from actgrad.workbench.train import Options, Run

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str | None:
    """Where it is: $CHROMIUM, one on the path, or Playwright's own."""
    if found := os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None):
        return found
    with pytest.importorskip("playwright.sync_api").sync_playwright() as p:
        path = p.chromium.executable_path
    return path if Path(path).exists() else None


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless. Not longer than a module: while Playwright runs, its event loop is this thread's."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as p:
        running = p.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield running
        running.close()


def rows(start: float, *, breaks: bool = False) -> list[dict[str, float]]:
    found = [
        {
            "train_loss": start / epoch,
            "train_accuracy": 1 - 0.3 / epoch,
            "loss": 1.1 * start / epoch,
            "accuracy": 1 - 0.4 / epoch,
            "seconds": 0.25,
        }
        for epoch in range(1, 7)
    ]
    if breaks:
        found = [*found[:3], found[3] | {"train_loss": float("nan"), "loss": float("nan")}]
    return found


@pytest.fixture(scope="session")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `actgrad train` writes about two seeds, of which one broke off."""
    options = Options("mlp", epochs=6, seeds=2, batch_size=32, learning_rate=3e-4)
    broke = Run("own", "spiky", 1, rows(1.2, breaks=True), broke={"epoch": 4, "step": 7})
    runs = {
        "own": [Run("own", "spiky", 0, rows(0.9)), broke],
        "relu": [Run("relu", "ReLU", seed, rows(0.8 + 0.1 * seed)) for seed in (0, 1)],
    }
    folder = tmp_path_factory.mktemp("run")
    settings = {"data": "digits", "backend": "tensorflow", "activation": {"name": "spiky"}}
    content = {"settings": settings, **results.as_json(options, runs, 45)}
    write_json(folder / RESULTS, content)
    return folder
