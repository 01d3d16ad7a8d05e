"""A short calibration: every method on a few of the longest rows of train, by the pieces that trials are made of.

The rows are all of train, so that nothing of validation or test is opened for it. An effective batch of the longest
rows and half a one of typical length are trained on for two epochs: the second has optimizer state and the copy of the
best weights in memory, and no first call in its seconds.
"""

from __future__ import annotations

import gc
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tuneoff.budget.probe import Batches, MethodCosts, Probe, Rate
from tuneoff.budget.probe_rows import choose_probe_rows, repeat_rows
from tuneoff.budget.timing import PhaseTimer, fit_rate
from tuneoff.budget.workload import compute_work, count_evaluation_batches, count_padded_tokens, count_prompt_batches
from tuneoff.data import count_tokens
from tuneoff.data.batches import Batch, make_epoch_batches
from tuneoff.errors import RunError
from tuneoff.evaluation.generation import generate_predictions
from tuneoff.evaluation.latency import measure_inference
from tuneoff.evaluation.loss import compute_token_losses, evaluate_losses
from tuneoff.methods import Method
from tuneoff.models.parameters import count_parameters
from tuneoff.models.precision import get_dtype
from tuneoff.runner.listener import Listener
from tuneoff.runner.prepare import Preparation
from tuneoff.runtime.context import create_context
from tuneoff.runtime.meter import max_memory
from tuneoff.runtime.progress import OnProgress, Progress, ignore_progress
from tuneoff.training import hidden_state_cache
from tuneoff.training.loop import train
from tuneoff.training.trainer import TrainingSpec

if TYPE_CHECKING:
    from tuneoff.models.language_model import LanguageModel

EPOCHS = 2
LEARNING_RATE = 1e-12  # a step costs the same at any, and at none like this does it diverge
NEW_TOKENS = 12  # generated after each prompt
MAX_SHAPES = 40  # of batches; beyond about so many, oneDNN forgets the oldest
TENSORS_PER_PARAMETER = 4  # tensors of each trained one in a checkpoint: itself, its two moments, the best one
FLOAT_BYTES = 4


def run_probe(
    preparation: Preparation, preparation_seconds: float, listener: Listener, known: Probe | None = None
) -> Probe:
    """Measure the methods of a recipe, but for those that are known. One that fails is named with its reason: it would
    fail in its first trial as well."""
    start = time.perf_counter()
    costs, refused = (dict(known.costs), dict(known.refused)) if known else ({}, {})
    for label, method in preparation.recipe.methods.items():
        if label in costs:
            continue
        try:
            with tempfile.TemporaryDirectory() as folder:
                costs[label] = _MethodProbe(method, preparation, Path(folder), listener.on_probe(label)).costs()
            refused.pop(label, None)
        except Exception as error:
            refused[label] = f"{type(error).__name__}: {error}"
        gc.collect()
    return Probe(
        work=compute_work(preparation),
        costs=costs,
        refused=refused,
        preparation_seconds=preparation_seconds,
        inference_seconds=known.inference_seconds if known else _measure_inference_seconds(preparation),
        probe_seconds=time.perf_counter() - start + (known.probe_seconds if known else 0.0),
    )


def _measure_inference_seconds(preparation: Preparation) -> float:
    """What a trial takes to measure inference: two models by turns, here the untouched one twice."""
    context = create_context(preparation.device, preparation.setting.precision, ignore_progress)
    dtype = get_dtype(preparation.setting.precision)
    served = preparation.load_base().hold_for_inference(dtype).to(context.device)
    start = time.perf_counter()
    base = preparation.load_base().hold_for_inference(dtype).to(context.device)
    measure_inference(served, base, choose_probe_rows(preparation).test, context)
    return time.perf_counter() - start


class _MethodProbe:
    """One method under the probe."""

    def __init__(self, method: Method, preparation: Preparation, folder: Path, on_progress: OnProgress) -> None:
        from accelerate.utils import set_seed

        self._method, self._preparation, self._folder = method, preparation, folder
        self._clock = PhaseTimer(on_progress, preparation.device)
        setting = preparation.setting
        self._dtype = get_dtype(setting.precision)
        self._context = create_context(preparation.device, setting.precision, self._clock)
        self._text = choose_probe_rows(preparation)
        on_progress(Progress(phase="loading"))
        start = time.perf_counter()
        base = preparation.load_base()
        set_seed(0)
        self._tuned: LanguageModel = method.apply(base).hold_for_training(self._dtype).to(self._context.device)
        self._load_seconds = time.perf_counter() - start

    def costs(self) -> MethodCosts:
        trainable, _ = count_parameters(self._tuned)
        self._meet_shapes()
        trunk_rate, trunk_bytes, cache = self._trunk()
        begin_seconds, step, validation = self._trained(cache)
        saving = time.perf_counter()
        self._method.save(self._tuned, self._folder / "adapter")
        saving = time.perf_counter() - saving
        self._tuned.hold_for_inference(self._dtype)
        evaluation, new_token_seconds = self._tested()
        meter = self._context.meter
        training, testing = meter.memory("training"), max_memory(meter.memory("evaluation"), meter.memory("generation"))
        assert testing is not None, "both phases were entered"
        return MethodCosts(
            trainable_parameters=trainable,
            load_seconds=self._load_seconds,
            begin_seconds=begin_seconds,
            step=step,
            validation=validation,
            evaluation=evaluation,
            new_token_seconds=new_token_seconds,
            save_seconds=saving,
            trunk=trunk_rate,
            training_bytes=training.peak_bytes if training and step else None,
            evaluation_bytes=testing.peak_bytes or 0,
            adapter_bytes=sum(f.stat().st_size for f in (self._folder / "adapter").rglob("*.safetensors")),
            checkpoint_bytes=TENSORS_PER_PARAMETER * FLOAT_BYTES * trainable,
            trunk_bytes=trunk_bytes,
        )

    def _meet_shapes(self) -> None:
        """Run small batches of as many lengths as a run will meet.

        On a CPU oneDNN keeps a kernel for each shape of a product, up to a thousand of them: some 15 MB for each new
        length of a batch, and a fifth of the peak in the end.
        """
        if self._context.device.type != "cpu":
            return
        import torch

        lengths = count_tokens(self._preparation.text.train)
        tokens = torch.tensor(self._text.train[0]["tokens"])
        for length in range(2, 2 + min(MAX_SHAPES, len(set(lengths)), len(tokens) - 1)):
            tokens_BT = tokens[None, :length]
            scored_BT = torch.ones_like(tokens_BT, dtype=torch.bool)
            scored_BT[:, 0] = False
            batch = Batch(tokens_BT=tokens_BT, attention_BT=torch.ones_like(scored_BT), scored_BT=scored_BT, rows=(0,))
            with self._context.accelerator.autocast():
                nats = compute_token_losses(self._tuned, batch).sum()
            if nats.requires_grad:
                torch.autograd.backward(nats)
        self._tuned.zero_grad()

    def _trunk(self) -> tuple[Rate | None, int, hidden_state_cache.TrunkCache]:
        """Seconds and bytes of the trunk's outputs, where the head is trained alone."""
        cache = hidden_state_cache.TrunkCache("probe", folder=self._folder / "trunk")
        found = cache.outputs(self._tuned, self._text.train, self._preparation.recipe.data.loss_on, self._context)
        if found is None:
            return None, 0, cache
        work = count_evaluation_batches(count_tokens(self._text.train), hidden_state_cache.BATCH)
        whole = self._preparation.text.summary.splits["train"].examples / len(self._text.train)
        return Rate(token_seconds=found.seconds / work.tokens), int(found.hidden_ND.nbytes * whole), cache

    def _trained(self, cache: hidden_state_cache.TrunkCache) -> tuple[float, Rate | None, Rate]:
        """Seconds before the first step, of a step, and of a batch of validation."""
        recipe, method = self._preparation.recipe, self._method
        options = recipe.training.model_copy(update={"epochs": EPOCHS, "patience": None})
        job = TrainingSpec(
            text=self._text,
            options=options,
            learning_rate=LEARNING_RATE,
            weight_decay=method.weight_decay,
            loss_on=recipe.data.loss_on,
            evaluation_batch_size=recipe.evaluation.batch_size,
            seed=0,
        )
        training = train(self._tuned, job, self._context, rates=method.rates(self._tuned), cache=cache)
        if training.diverged:
            raise RunError(training.diverged)
        curve = training.curve
        batches = count_evaluation_batches(count_tokens(self._text.validation), recipe.evaluation.batch_size)
        passes = [row.evaluation_seconds for row in curve][1:] or [row.evaluation_seconds for row in curve]
        validation = Rate(token_seconds=sum(passes) / len(passes) / batches.tokens)
        steps = self._clock.laps("training", EPOCHS)
        if not steps:
            return 0.0, None, validation
        lengths = count_tokens(self._text.train)
        effective = make_epoch_batches(lengths, options.effective_batch_size, job.seed, EPOCHS)
        step = fit_rate([count_padded_tokens(lengths, rows, options.batch_size) for rows in effective], steps)
        first = make_epoch_batches(lengths, options.effective_batch_size, job.seed, 1)[0]
        of_first = step.estimate_seconds(
            Batches(count=1, tokens=count_padded_tokens(lengths, first, options.batch_size))
        )
        return max(0.0, self._clock.laps("training", 1)[0] - of_first), step, validation

    def _tested(self) -> tuple[Rate, float]:
        """Seconds of a batch of evaluation, and of each further token of a batch of predictions.

        Unrelated text is read for its memory: all of its tokens are scored, and each of them has logits.
        """
        recipe, rows = self._preparation.recipe, self._text.validation
        evaluate_losses(self._tuned, rows, self._context, batch_size=recipe.evaluation.batch_size, phase="evaluation")
        tokens = count_evaluation_batches(count_tokens(rows), recipe.evaluation.batch_size).tokens
        rate = Rate(token_seconds=self._context.meter.seconds("evaluation") / tokens)
        if recipe.evaluation.unrelated_passages:
            unrelated = repeat_rows(self._preparation.unrelated, range(len(self._preparation.unrelated)), len(rows))
            evaluate_losses(
                self._tuned, unrelated, self._context, batch_size=recipe.evaluation.batch_size, phase="evaluation"
            )
        options = recipe.evaluation.generation
        number = min(NEW_TOKENS, options.max_new_tokens or recipe.data.max_target_tokens)
        options = options.model_copy(update={"max_new_tokens": number, "min_new_tokens": number})
        generate_predictions(self._tuned, self._text.test, options, self._context, max_new_tokens=number)
        prompts = count_prompt_batches(self._text.test["prompt_tokens"], options.batch_size)
        reading = rate.estimate_seconds(prompts)
        return rate, max(0.0, self._context.meter.seconds("generation") - reading) / (number * prompts.count)
