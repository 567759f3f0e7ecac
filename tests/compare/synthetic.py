"""A comparison that nobody trained: a store with known numbers, for tests of what reads one."""

from __future__ import annotations

from pathlib import Path

from actgrad.workbench.compare.design import Asked, Design, make
from actgrad.workbench.compare.store import FAILED, FILE, FINAL, OK, TUNE, Row, Store

VERSIONS = {"actgrad": "0.1.0", "python": "3.11", "keras": "3.15.1", "tensorflow": "2.21.0"}
LEVEL = {"relu": 0.90, "gelu": 0.94, "tanh": 0.90}


def write(path: Path, plan: Design, rows: list[Row]) -> Path:
    """A whole store at once, in a folder."""
    with Store(path / FILE, plan) as store:
        for row in rows:
            store.add(row)
        return store.file


def design(**changes: object) -> Design:
    asked = dict(activations=("relu", "gelu", "tanh"), rates=(1e-3, 3e-4), seeds=5, epochs=3)
    return make(Asked(**{**asked, **changes}), "tensorflow", lambda _: None)


def synthetic_rows(plan: Design) -> list[Row]:
    """Every run of the design: gelu above relu by 0.04, tanh equal to it, and gelu's seed 4 is nan."""
    rows = []
    for choice in plan.activations:
        for network, data in plan.places:
            common = dict(
                activation=choice.label,
                network=network,
                data=data,
                hash=choice.hash,
                versions=VERSIONS,
                settings={"epochs": plan.epochs, "batch_size": 32},
            )
            for chosen in plan.tries:
                rows.append(_row(TUNE, 0, LEVEL[choice.label] - chosen.rate, chosen, common))
            for seed in range(plan.seeds):
                level = LEVEL[choice.label] + 0.002 * seed + 0.0005 * (seed % 2) * len(choice.label)
                row = _row(FINAL, seed, level, plan.tries[-1], common)
                if (choice.label, seed) == ("gelu", 4):
                    cause = "the loss became nan in epoch 2, step 7 of 45"
                    row = Row(
                        **{
                            **vars(row),
                            "status": FAILED,
                            "cause": cause,
                            "accuracy": None,
                            "loss": None,
                            "losses": [2.0, float("nan")],
                        }
                    )
                rows.append(row)
    return rows


def _row(stage: str, seed: int, level: float, chosen: object, common: dict) -> Row:
    return Row(
        stage=stage, seed=seed, optimizer=chosen.optimizer, rate=chosen.rate, status=OK,
        accuracy=level, loss=1 - level, curve=[level - 0.2, level - 0.1, level],
        losses=[2.0, 1.0, 0.5], seconds=1.5, **common,
    )  # fmt: skip


def write_synthetic_study(folder: Path) -> Path:
    """The folder of a finished comparison, without training. Returns it."""
    plan = design()
    write(folder, plan, synthetic_rows(plan))
    return folder
