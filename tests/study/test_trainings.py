"""`make trainings` in short, on the digits."""

import json

import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")


def test_a_table_is_made_and_nothing_is_done_twice(tmp_path, capsys):
    import torch

    from benchmarks import trainings

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    arguments = ["--data", "digits", "--tables", "b", "--output", str(tmp_path), "--epochs", "2"]
    try:
        trainings.main([*arguments, "--seeds", "1", "--most", "1400"])
        first = (tmp_path / "runs.jsonl").read_text()
        trainings.main([*arguments, "--seeds", "1", "--most", "1400"])
    finally:
        torch.set_num_threads(threads)
    assert (tmp_path / "runs.jsonl").read_text() == first
    rows = [json.loads(line) for line in first.splitlines()]
    assert [row["row"] for row in rows] == ["plain, SGD", "plain, Adam", "repaired", "ReLU"]
    assert [row["accuracy"] > 0.3 for row in rows[2:]] == [True, True]
    table = (tmp_path / "README.md").read_text()
    assert "| repaired |" in table
    assert (tmp_path / "table_b.png").stat().st_size > 1000


def test_every_job_has_a_network():
    from benchmarks import trainings

    jobs = trainings.jobs()
    assert {job.table for job in jobs} == set("abcd")
    assert len([job for job in jobs if job.table == "c"]) == 25
    shapes = {trainings.network(job).__class__.__name__ for job in jobs}
    assert shapes == {"Sequential"}
