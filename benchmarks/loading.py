"""How long data of many rows takes to load, split and tokenize, and in how much memory: `python -m benchmarks.loading`.

Each format is read in a process of its own with an empty cache, on one core. Memory is the peak above what the process
has before it opens the file, with all libraries and the tokenizer loaded. Pages of files that are mapped into memory
are left out, because the system takes them back when it needs them. Seconds of the CPU do not count other programs.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import multiprocessing
import os
import platform
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TEXT = """
the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which you
were all her she there would their we him been has when who will no more if out so said what up its about river bridge
harbour storm mayor field rain night team match coach model learns task question answer result
"""
WORDS = TEXT.split()
FORMATS = ("csv", "jsonl", "jsonl.gz", "json", "parquet")


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loading", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--formats", nargs="*", default=FORMATS)
    parser.add_argument("--train", type=int, help="examples to keep for train; all by default")
    parser.add_argument("--group", action="store_true", help="read groups too")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, one core, {options.rows:,} rows of about 75 words\n")
    print("| format | MB | read s | split s | all s | all, CPU s | peak memory above the libraries, MB | examples |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for kind in options.formats:
            path = write_rows(Path(folder), kind, options.rows)
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                cache = Path(folder) / f"cache-{kind}"
                cells = pool.submit(measure, path, options.train, options.group, cache).result()
            print(f"| {kind} | {path.stat().st_size / 1e6:.0f} | {' | '.join(cells)} |", flush=True)


def iterate_rows(count: int) -> Iterator[dict[str, Any]]:
    """Yield rows that all differ; three of a group."""
    draw = random.Random(0)
    for i in range(count):
        source = " ".join(draw.choices(WORDS, k=60))
        yield {"id": i, "source": f"{i} {source}.", "target": " ".join(draw.choices(WORDS, k=15)), "doc": i // 3}


def write_rows(folder: Path, kind: str, count: int) -> Path:
    """Write the rows in a format."""
    path = folder / f"rows.{kind}"
    rows = iterate_rows(count)
    if kind == "parquet":
        import datasets

        datasets.Dataset.from_list(list(rows)).to_parquet(path)
    elif kind == "json":
        path.write_text(json.dumps(list(rows)))
    elif kind == "csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["id", "source", "target", "doc"])
            writer.writeheader()
            writer.writerows(rows)
    else:
        with gzip.open(path, "wt") if kind.endswith("gz") else path.open("w") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def measure(path: Path, train: int | None, has_groups: bool, cache: Path) -> list[str]:
    """Load a file in this process; return the cells of its row."""
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    os.environ["TUNEOFF_CACHE"], os.environ["TOKENIZERS_PARALLELISM"] = str(cache), "false"
    import datasets

    from tuneoff.config.data import FileText
    from tuneoff.config.model import ModelOptions
    from tuneoff.data import load
    from tuneoff.data.reading import read_rows
    from tuneoff.models.loading import load_tokenizer
    from tuneoff.models.sources import find_source

    datasets.config.HF_DATASETS_CACHE = cache
    os.environ.pop("TUNEOFF_CACHE")
    model = ModelOptions(name="smollm2-135m-instruct")
    tokenizer = load_tokenizer(find_source(model), model)
    os.environ["TUNEOFF_CACHE"] = str(cache)
    fields = {"group": "doc"} if has_groups else {}
    sizes = {"train": train, "validation": 500, "test": 500}
    options = FileText.model_validate({"source": "files", "files": str(path), "fields": fields, "sizes": sizes})
    tokenizer(["warm up"])
    seconds: dict[str, float] = {}
    load.read_rows = timed(load.read_rows, "read", seconds)
    load.draw_splits = timed(load.draw_splits, "split", seconds)
    assert read_rows is not load.read_rows
    with sample_memory() as peak:
        start, processor_start = time.perf_counter(), time.process_time()
        data = load.load_text(options, tokenizer)
        total, processor = time.perf_counter() - start, time.process_time() - processor_start
    examples = len(data.train) + len(data.validation) + len(data.test)
    times = (seconds["read"], seconds["split"], total, processor)
    return [*(f"{each:.1f}" for each in times), f"{peak[0] / 1e6:.0f}", f"{examples:,}"]


def timed(function: Any, name: str, into: dict[str, float]) -> Any:
    """Return the function with a clock around it."""

    def call(*args: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*args)
        finally:
            into[name] = time.perf_counter() - start

    return call


@contextmanager
def sample_memory() -> Iterator[list[int]]:
    """Give the peak memory of the block in bytes, above that at its beginning, read every 20 ms."""
    peak, start, done = [0], read_memory(), threading.Event()

    def sample() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], read_memory() - start)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def read_memory() -> int:
    """Return the memory of this process in bytes, without mapped files."""
    status = Path("/proc/self/status").read_text()
    return sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(("RssAnon", "RssShmem")))


if __name__ == "__main__":
    main()
