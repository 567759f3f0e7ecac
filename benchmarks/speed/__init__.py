"""The parts of `benchmarks/run.py`. Each has TITLE, NOTE, HEADS, FRAMEWORKS and cells(framework, quick)."""
