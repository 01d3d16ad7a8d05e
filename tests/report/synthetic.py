"""A synthetic run with every status that a trial can have, and with text that would do harm if it were not escaped."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.data import DataSummary, SplitSummary
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Costs, Epoch, Inference, Memory, Prediction, Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.runs import Run

HOSTILE = '</script><script>alert("owned")</script><!-- \x1b[31m\u202egnp.exe\u2028'
EXAMPLES = 40
TOTAL = 134_515_008
METHODS: dict[str, dict[str, Any]] = {
    "base": {},
    "last-layer": {},
    "lora": {},
    "lora-hot": {"method": "lora", "learning_rate": 0.05},
    "lora-r256": {"method": "lora", "rank": 256},
    "soft-prompt": {},
    "full": {},
}
# ROUGE-L, loss, trainable parameters, train seconds, peak bytes of memory, bytes of files
OUTCOMES = {
    "base": (0.131, 3.42, 0, 0.0, None, None),
    "last-layer": (0.172, 3.11, 28_311_552, 14.2, 1_320_000_000, 113_246_300),
    "lora": (0.238, 2.71, 4_884_480, 187.4, 2_140_000_000, 19_562_008),
    "soft-prompt": (0.181, 3.02, 6_912, 201.9, 2_020_000_000, 27_744),
    "full": (0.241, 2.68, TOTAL, 262.8, 3_870_000_000, 538_090_408),
}
OTHER_PROMPTS = {
    "base-prompt": (0.142, 3.4, 0, 0.0, None, None),
    "base-few-shot": (0.15, 3.35, 0, 0.0, None, None),
}
WORDS = (
    *("existing", "parsers", "rely", "on", "large", "annotated", "corpora", "that", "are", "scarce", "while", "neural"),
    *("models", "need", "careful", "tuning", "and", "the", "evaluation", "of", "long", "documents", "remains", "open"),
)


def make_synthetic_recipe(**changes: Any) -> Recipe:
    return Recipe.read(
        {
            "name": "synthetic",
            "note": "Made by code, so the sizes mean nothing.",
            "model": {"name": "smollm2-135m-instruct"},
            "data": {"source": "aclsum", "max_tokens": 176, "max_target_tokens": 48},
            "methods": METHODS,
            "training": {"epochs": 4, "patience": 1},
            **changes,
        }
    )


def make_synthetic_run(**changes: Any) -> Run:
    """A run of the synthetic recipe with `changes`: one method diverged, one failed, the others are done."""
    recipe = make_synthetic_recipe(**changes)
    records = [_make_record(recipe, label, seed) for label in recipe.methods for seed in _get_seeds(recipe, label)]
    return Run(recipe=recipe, environment=ENVIRONMENT, data=make_synthetic_data(), records=tuple(records))


def make_synthetic_comparison(**changes: Any) -> Comparison:
    return judge(make_synthetic_run(**changes))


def judge_records(run: Run, records: Sequence[Record]) -> Comparison:
    """Judge records with a recipe that has only their methods."""
    labels = {record.trial.label for record in records}
    methods = {label: method for label, method in run.recipe.methods.items() if label in labels}
    recipe = run.recipe.model_copy(update={"methods": methods})
    return judge(replace(run, recipe=recipe, records=tuple(records)))


def judge_with_changes(run: Run, label: str, **update: Any) -> Comparison:
    """Judge the run with some fields of one label's records changed."""
    return judge_records(run, [r.model_copy(update=update) if r.trial.label == label else r for r in run.records])


def make_synthetic_data(**train: Any) -> DataSummary:
    return DataSummary(
        fingerprint="0123456789abcdef",
        splits={"train": _make_split(100, **train), "validation": _make_split(20), "test": _make_split(EXAMPLES)},
        duplicates={},
    )


def _make_split(examples: int, **changes: Any) -> SplitSummary:
    defaults = {
        "examples": examples,
        "left_out": 0,
        "left_out_examples": [],
        "duplicates_removed": 0,
        "source_cut_share": 0.0,
        "target_cut_share": 0.0,
        "tokens": 150 * examples,
        "target_tokens": 24 * examples,
        "longest_tokens": 176,
        "median_tokens": 151.5,
    }
    return SplitSummary.model_validate({**defaults, **changes})


ENVIRONMENT = {
    "python": "3.11.13",
    "system": "Linux x86_64",
    "processor": "A Processor",
    "cores": 2,
    "memory_bytes": 25_000_000_000,
    "accelerators": [],
    "versions": {"tuneoff": "0.1.0", "torch": "2.13.0"},
}


def _get_seeds(recipe: Recipe, label: str) -> tuple[int, ...]:
    return recipe.seeds if recipe.methods[label].depends_on_seed else recipe.seeds[:1]


def _make_record(recipe: Recipe, label: str, seed: int) -> Record:
    method = recipe.methods[label]
    setting = Setting(
        model=recipe.model,
        model_fingerprint="f" * 16,
        data=recipe.data,
        data_fingerprint="0123456789abcdef",
        training=recipe.training,
        evaluation=recipe.evaluation,
        precision="bf16",
        device="A Processor",
        versions={"torch": "2.13.0"},
    )
    trial = Trial(
        label=label, method=method.name, hyperparameters=method.model_dump(mode="json"), setting=setting, seed=seed
    )
    if label == "lora-hot":
        curve = make_curve([3.42, 9.1], [3.5, 11.7])
        return Record(
            trial=trial,
            status="diverged",
            reason="the train loss is not finite in step 31",
            costs=_make_costs(4_884_480, 60.1, 2_140_000_000, None),
            curve=curve,
            facts={"split_head": True, "tied": False},
        )
    if label == "lora-r256":
        return Record(trial=trial, status="failed", reason="OutOfMemoryError: wanted <2 GiB> more")
    rouge, loss, trainable, seconds, memory, files = (OUTCOMES | OTHER_PROMPTS)[method.name]
    losses = [3.42, loss + 0.2, loss + 0.05, loss, loss + 0.02] if trainable else [3.42]
    predictions = _make_predictions(label, seed, rouge, loss)
    return Record(
        trial=trial,
        status="done",
        best_epoch=3 if trainable else None,
        scores=_compute_scores(predictions, losses),
        costs=_make_costs(trainable, seconds, memory, files),
        facts={"split_head": True, "tied": False},
        curve=make_curve(losses, [value + 0.1 for value in losses]),
        predictions=predictions,
    )


def make_curve(validation: Sequence[float], train: Sequence[float]) -> tuple[Epoch, ...]:
    return tuple(
        Epoch(
            epoch=epoch,
            steps=25 if epoch else 0,
            train_loss=train[epoch] if epoch else None,
            validation_loss=validation[epoch],
            learning_rate=1e-4,
            train_seconds=20.5,
            evaluation_seconds=2.0,
            real_tokens=15_000,
            target_tokens=2_400,
        )
        for epoch in range(len(validation))
    )


def _make_costs(trainable: int, seconds: float, memory: int | None, files: int | None) -> Costs:
    return Costs(
        trainable_parameters=trainable,
        total_parameters=TOTAL + (trainable if trainable < TOTAL else 0),
        train_seconds=seconds,
        mean_epoch_seconds=seconds / 4 if seconds else None,
        slowest_epoch_seconds=seconds / 3.8 if seconds else None,
        evaluation_seconds=8.25,
        generation_seconds=31.5,
        real_tokens_per_second=60_000 / seconds if seconds else None,
        target_tokens_per_second=9_600 / seconds if seconds else None,
        training_memory=Memory(resident_bytes=memory) if memory else None,
        evaluation_memory=Memory(resident_bytes=1_210_000_000),
        adapter_bytes=files,
        inference=Inference(prompt_tokens=128, prefill_ms=84.1, token_ms=31.4, base_prefill_ms=83.0, base_token_ms=31),
    )


def _make_predictions(label: str, seed: int, rouge: float, loss: float) -> tuple[Prediction, ...]:
    shared, own = random.Random(7), random.Random(f"{label} {seed}")
    predictions = []
    for row in range(EXAMPLES):
        difficulty = shared.gauss(0, 0.06)
        score = min(max(rouge + difficulty + own.gauss(0, 0.03), 0.0), 1.0)
        reference = _make_sentence(shared, 16)
        predictions.append(
            Prediction(
                row=row,
                source=" ".join(_make_sentence(shared, 22) for _ in range(7)),
                reference=reference,
                prediction=HOSTILE if row == 0 else _make_sentence(own, own.randint(9, 24)),
                loss=24 * (loss - 4 * difficulty + own.gauss(0, 0.05)),
                target_tokens=24,
                scores={"rouge1": 1.25 * score, "rouge2": 0.4 * score, "rougeL": score, "rougeLsum": score},
            )
        )
    return tuple(predictions)


def _make_sentence(words: random.Random, length: int) -> str:
    return " ".join(words.choice(WORDS) for _ in range(length)).capitalize() + "."


def _compute_scores(predictions: Sequence[Prediction], losses: Sequence[float]) -> dict[str, float]:
    loss = sum(p.loss for p in predictions) / sum(p.target_tokens for p in predictions)
    rouge = {
        f"test/{name}": sum(p.scores[name] for p in predictions) / len(predictions) for name in predictions[0].scores
    }
    return {**rouge, "test/loss": loss, "test/perplexity": math.exp(loss), "validation/loss": min(losses)}
