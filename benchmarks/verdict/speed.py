"""Seconds and memory of judging a large comparison from records in memory."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass, replace

import numpy as np

from tests.report.synthetic import make_synthetic_run
from tuneoff.analysis.comparison import judge
from tuneoff.analysis.verdict import decide_verdict
from tuneoff.metrics import METRICS
from tuneoff.records.record import Prediction, Record
from tuneoff.runs import Run


@dataclass(frozen=True, kw_only=True)
class Judging:
    """What judging took, without making the records."""

    judge_seconds: float  # the leaderboard
    verdict_seconds: float  # all pairs and chances, by every metric
    records_bytes: int  # peak resident memory of the process before judging
    peak_bytes: int  # and after


def measure_judging(*, methods: int, seeds: int, examples: int) -> Judging:
    """Judge synthetic records, whose texts are empty."""
    run = make_large_run(methods=methods, seeds=seeds, examples=examples)
    records_bytes = _measure_peak_bytes()
    start = time.perf_counter()
    comparison = judge(run)
    judged = time.perf_counter()
    for metric in METRICS.values():
        decide_verdict(comparison, metric)
    end = time.perf_counter()
    return Judging(
        judge_seconds=judged - start,
        verdict_seconds=end - judged,
        records_bytes=records_bytes,
        peak_bytes=_measure_peak_bytes(),
    )


def make_large_run(*, methods: int, seeds: int, examples: int) -> Run:
    """Make a run of LoRA under several labels."""
    labels = {f"lora-{i}": {"method": "lora", "rank": 2 + i} for i in range(methods)}
    run = make_synthetic_run(methods=labels, seeds=list(range(seeds)))
    generator = np.random.default_rng(0)
    difficulty_E = generator.normal(0, 0.08, size=examples)
    return replace(run, records=tuple(_replace_predictions(r, generator, difficulty_E) for r in run.records))


def _replace_predictions(record: Record, generator: np.random.Generator, difficulty_E: np.ndarray) -> Record:
    scores_E = np.clip(0.25 + difficulty_E + generator.normal(0, 0.06, size=len(difficulty_E)), 0, 1)
    predictions = tuple(
        Prediction.model_construct(
            row=row,
            source="",
            reference="",
            prediction="",
            loss=24 * (3 - score),
            target_tokens=24,
            scores={"rouge1": score, "rouge2": score / 2, "rougeL": score, "rougeLsum": score},
        )
        for row, score in enumerate(scores_E.tolist())
    )
    return record.model_copy(update={"predictions": predictions})


def _measure_peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
