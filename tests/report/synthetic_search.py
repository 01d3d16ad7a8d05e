"""A synthetic run with a search: trials of the search are scored by a formula of the learning rate."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.report.synthetic import make_synthetic_run
from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.records.record import Costs, Epoch, Record
from tuneoff.records.trial import Trial
from tuneoff.runner.plan import get_chosen_methods, plan_trials
from tuneoff.runs import Run
from tuneoff.search.history import Search, build_searches

SEARCHED_METHODS: dict[str, dict[str, Any]] = {
    "base": {}, "last-layer": {}, "lora": {}, "soft-prompt": {}, "full": {},
}  # fmt: skip
# the best rate, the loss there, the rate from which a training diverges, and seconds per row of the curve
RESPONSES = {
    "last-layer": (1e-3, 3.05, 1.0, 3.5),
    "lora": (4e-4, 2.70, 2e-3, 18.0),
    "soft-prompt": (1.5, 2.95, 9.0, 19.5),  # the best lies above the default range, so the range is widened
    "full": (4e-5, 2.67, 2e-4, 26.0),
}
BASE_LOSS = 3.42
TOKENS_PER_EPOCH = 15_000


def make_searched_run(methods: Mapping[str, Any] = SEARCHED_METHODS, **search: Any) -> Run:
    """A search of each method over three rungs, and its best configuration confirmed on three seeds."""
    options = {"configurations": 12, "rungs": 3, "eta": 2, **search}
    run = make_synthetic_run(methods=methods, search=options, training={"epochs": 4, "patience": None})
    setting = run.records[0].trial.setting
    known: dict[str, Record] = {}
    while missing := [t for t in plan_trials(run.recipe, setting, known) if t.stage == "search" and t.id not in known]:
        known |= {trial.id: respond_to(trial) for trial in missing}
    chosen = get_chosen_methods(run.recipe, tuple(known.values()))
    confirmed_methods = {**run.recipe.methods, **chosen}
    confirmed = [_set_hyperparameters(r, confirmed_methods[r.trial.label].model_dump(mode="json")) for r in run.records]
    return replace(run, records=(*confirmed, *known.values()))


def make_searched_comparison(methods: Mapping[str, Any] = SEARCHED_METHODS, **search: Any) -> Comparison:
    return judge(make_searched_run(methods, **search))


def list_searches(run: Run) -> dict[str, Search]:
    return build_searches(run.recipe, run.records)


def respond_to(trial: Trial) -> Record:
    """The record of one search trial: better the closer its rate is to the best one and the longer it was trained."""
    rate = trial.hyperparameters["learning_rate"]
    best_rate, best_loss, too_high, seconds = RESPONSES[trial.method]
    curve = tuple(_epoch(4 * share, best_loss, math.log10(rate / best_rate), seconds) for share in (0.0, *trial.rungs))
    if rate >= too_high:
        return Record(trial=trial, status="diverged", reason="the train loss is not finite in step 3", curve=curve[:2])
    loss = curve[-1].validation_loss
    assert loss is not None, "every row of these curves has a loss"
    scores = {"validation/loss": loss, "validation/rougeL": 1 / loss, "validation/rouge1": 1 / loss}
    return Record(
        trial=trial, status="done", best_epoch=curve[-1].epoch, scores=scores, costs=_costs(curve), curve=curve
    )


def _epoch(epoch: float, best_loss: float, decades_off: float, seconds: float) -> Epoch:
    progress = (1 - math.exp(-epoch)) / (1 + decades_off**2)
    return Epoch(
        epoch=epoch,
        steps=round(25 * epoch),
        train_loss=BASE_LOSS - 0.1 if epoch else None,
        validation_loss=BASE_LOSS - (BASE_LOSS - best_loss) * progress,
        learning_rate=1e-4,
        train_seconds=seconds if epoch else 0.0,
        evaluation_seconds=2.0,
        real_tokens=TOKENS_PER_EPOCH * math.ceil(epoch / 2),
        target_tokens=2_400,
    )


def _costs(curve: tuple[Epoch, ...]) -> Costs:
    return Costs(
        trainable_parameters=4_884_480,
        total_parameters=139_399_488,
        train_seconds=sum(row.train_seconds for row in curve),
        mean_epoch_seconds=20.5,
        slowest_epoch_seconds=20.5,
        evaluation_seconds=8.0,
        generation_seconds=0.0,
        real_tokens_per_second=700.0,
        target_tokens_per_second=110.0,
        training_memory=None,
        evaluation_memory=None,
        adapter_bytes=None,
        inference=None,
    )


def _set_hyperparameters(record: Record, hyperparameters: Mapping[str, Any]) -> Record:
    return record.model_copy(
        update={"trial": record.trial.model_copy(update={"hyperparameters": dict(hyperparameters)})}
    )
