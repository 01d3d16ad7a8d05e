"""Probe every method: run the pieces of a trial on a few rows of train, and measure what they cost.

Two epochs are trained on an effective batch of the longest rows and half a batch of typical ones. The second epoch is
timed: by then the optimizer state and the copy of the best weights are in memory, and no call is the first of its kind.
"""

from __future__ import annotations

import gc
import tempfile
import time
from dataclasses import replace
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
from tuneoff.models.precision import get_dtype, hold_for_inference, hold_for_training
from tuneoff.optimizers import OPTIMIZERS
from tuneoff.runner.costs import sum_weight_bytes
from tuneoff.runner.listener import Listener
from tuneoff.runner.prepare import Preparation
from tuneoff.runtime.context import create_context
from tuneoff.runtime.meter import max_memory
from tuneoff.runtime.progress import OnProgress, Progress, ignore_progress
from tuneoff.training import hidden_state_cache
from tuneoff.training.loop import train
from tuneoff.training.spec import TrainingSpec
from tuneoff.training.start import set_start

if TYPE_CHECKING:
    from tuneoff.models.language_model import LanguageModel

EPOCHS = 2
LEARNING_RATE = 1e-12  # a step takes the same time at any rate, and at this one it cannot diverge
NEW_TOKENS = 12  # generated after each prompt
MAX_SHAPES = 40  # batch lengths to run; beyond about this many, oneDNN drops the oldest kernels
WEIGHTS_IN_CHECKPOINT = 2  # of each trained parameter: the last and the best
FLOAT_BYTES = 4


def run_probe(
    preparation: Preparation, preparation_seconds: float, listener: Listener, known: Probe | None = None
) -> Probe:
    """Measure the methods of a recipe that `known` does not have.

    A method that fails is listed in `Probe.refused` with the reason, since it would fail in its first trial too.
    """
    start = time.perf_counter()
    costs, refused = (dict(known.costs), dict(known.refused)) if known else ({}, {})
    for label, method in preparation.recipe.methods.items():
        if label in costs:
            continue
        try:
            with tempfile.TemporaryDirectory() as folder:
                costs[label] = _MethodProfiler(method, preparation, Path(folder), listener.on_probe(label)).measure()
            refused.pop(label, None)
        except Exception as error:
            refused[label] = f"{type(error).__name__}: {error}"
        gc.collect()
    return Probe(
        setting=preparation.setting.fingerprint,
        work=compute_work(preparation, preparation.text),
        costs=costs,
        refused=refused,
        preparation_seconds=preparation_seconds,
        inference_seconds=known.inference_seconds if known else _measure_inference_seconds(preparation),
        probe_seconds=time.perf_counter() - start + (known.probe_seconds if known else 0.0),
    )


def _measure_inference_seconds(preparation: Preparation) -> float:
    """Time the inference measurement of a trial. It alternates between two models, here the base model twice."""
    context = create_context(preparation.device, preparation.setting.precision, ignore_progress)
    dtype = get_dtype(preparation.setting.precision)
    served = hold_for_inference(preparation.load_base(), dtype).to(context.device)
    start = time.perf_counter()
    base = hold_for_inference(preparation.load_base(), dtype).to(context.device)
    test = choose_probe_rows(preparation, preparation.text).test
    measure_inference(served, base, test, test, context)
    return time.perf_counter() - start


class _MethodProfiler:
    """Measures one method, on a model that it loads for this."""

    def __init__(self, method: Method, preparation: Preparation, folder: Path, on_progress: OnProgress) -> None:
        from accelerate.utils import set_seed

        self._method, self._preparation, self._folder = method, preparation, folder
        self._optimizer = OPTIMIZERS[method.optimizer]
        self._timer = PhaseTimer(on_progress, preparation.device)
        setting = preparation.setting
        self._dtype = get_dtype(setting.precision)
        followers = preparation.begin_followers(method, 0)
        self._context = create_context(preparation.device, setting.precision, self._timer, followers)
        self._presented = method.present(preparation.text, preparation.tokenizer, preparation.recipe.seeds[0])
        self._text = choose_probe_rows(preparation, self._presented)
        on_progress(Progress(phase="loading"))
        start = time.perf_counter()
        base = preparation.load_base()
        set_seed(0)
        self._tuned: LanguageModel = hold_for_training(method.apply(base), self._dtype)
        if not followers.in_step:
            self._tuned = self._tuned.to(self._context.device)
        self._load_seconds = time.perf_counter() - start

    def measure(self) -> MethodCosts:
        trainable, _ = count_parameters(self._tuned)
        state_bytes = round(self._optimizer.count_state_bytes(self._tuned))
        self._run_many_shapes()
        trunk_rate, trunk_bytes, cache = self._measure_trunk()
        begin_seconds, step, validation = self._measure_training(cache)
        save_start = time.perf_counter()
        self._method.save(self._tuned, self._folder / "adapter")
        save_seconds = time.perf_counter() - save_start
        hold_for_inference(self._tuned, self._dtype).to(self._context.device)
        evaluation, new_token_seconds = self._measure_test()
        meter = self._context.meter
        training_memory = meter.get_peak("training")
        test_memory = max_memory(meter.get_peak("evaluation"), meter.get_peak("generation"))
        assert test_memory is not None, "both phases ran"
        return MethodCosts(
            trainable_parameters=trainable,
            load_seconds=self._load_seconds,
            begin_seconds=begin_seconds,
            step=step,
            validation=validation,
            evaluation=evaluation,
            new_token_seconds=new_token_seconds,
            save_seconds=save_seconds,
            trunk=trunk_rate,
            training_bytes=training_memory.peak_bytes if training_memory and step else None,
            evaluation_bytes=test_memory.peak_bytes or 0,
            adapter_bytes=sum_weight_bytes(self._folder / "adapter"),
            checkpoint_bytes=WEIGHTS_IN_CHECKPOINT * FLOAT_BYTES * trainable + state_bytes,
            trunk_bytes=trunk_bytes,
            work=compute_work(self._preparation, self._presented) if self._method.changes_prompts else None,
        )

    def _run_many_shapes(self) -> None:
        """Run small batches of many lengths, as a whole run does, so that the peak memory is that of a run.

        On a CPU oneDNN caches a kernel for each shape of a matrix product, up to a thousand. Each new batch length adds
        about 15 MB, in the end a fifth of the peak.
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

    def _measure_trunk(self) -> tuple[Rate | None, int, hidden_state_cache.TrunkCache]:
        """Return the rate and bytes of the trunk outputs, if the method trains the head alone, and their cache."""
        cache = hidden_state_cache.TrunkCache("probe", folder=self._folder / "trunk")
        outputs = cache.get_outputs(self._tuned, self._text.train, self._preparation.recipe.data.loss_on, self._context)
        if outputs is None:
            return None, 0, cache
        work = count_evaluation_batches(count_tokens(self._text.train), hidden_state_cache.BATCH_SIZE)
        scale = self._preparation.text.summary.splits["train"].examples / len(self._text.train)
        return Rate(token_seconds=outputs.seconds / work.tokens), int(outputs.hidden_ND.nbytes * scale), cache

    def _measure_training(self, cache: hidden_state_cache.TrunkCache) -> tuple[float, Rate | None, Rate]:
        """Return the seconds before the first step, the rate of a step, and the rate of validation."""
        recipe, method = self._preparation.recipe, self._method
        options = recipe.training.model_copy(update={"epochs": EPOCHS, "patience": None})
        spec = TrainingSpec(
            text=self._text,
            options=options,
            learning_rate=LEARNING_RATE,
            weight_decay=method.weight_decay,
            optimizer=self._optimizer,
            loss_on=recipe.data.loss_on,
            evaluation_batch_size=recipe.evaluation.batch_size,
            seed=0,
        )
        start_seconds = self._set_start(spec)
        training = train(
            self._tuned, spec, self._context, parameter_groups=method.parameter_groups(self._tuned), cache=cache
        )
        if training.diverged:
            raise RunError(training.diverged)
        validation_batches = count_evaluation_batches(count_tokens(self._text.validation), spec.evaluation_batch_size)
        passes = [row.evaluation_seconds for row in training.curve]
        passes = passes[1:] or passes  # the first pass is slower, but the only one of a method that trains nothing
        validation = Rate(token_seconds=sum(passes) / len(passes) / validation_batches.tokens)
        step_seconds = self._timer.get_seconds("training", EPOCHS)
        if not step_seconds:
            return 0.0, None, validation
        step = fit_rate(self._count_step_tokens(spec, EPOCHS), step_seconds)
        first_step = Batches(count=1, tokens=self._count_step_tokens(spec, 1)[0])
        begin_seconds = self._timer.get_seconds("training", 1)[0] - step.estimate_seconds(first_step)
        return start_seconds + max(0.0, begin_seconds), step, validation

    def _set_start(self, spec: TrainingSpec) -> float:
        """Set the first values as a trial does, from the whole train split, and return the seconds."""
        if not self._method.reads_train:
            return 0.0
        return set_start(self._method.set_start, self._tuned, replace(spec, text=self._presented), self._context)

    def _count_step_tokens(self, spec: TrainingSpec, epoch: int) -> list[int]:
        """Return the tokens of each step of an epoch, including padding."""
        lengths = count_tokens(self._text.train)
        effective_batches = make_epoch_batches(lengths, spec.options.effective_batch_size, spec.seed, epoch)
        return [count_padded_tokens(lengths, rows, spec.options.batch_size) for rows in effective_batches]

    def _measure_test(self) -> tuple[Rate, float]:
        """Return the rate of evaluation, and the seconds for one more token in every prediction of a batch.

        Unrelated text is evaluated for its memory: every one of its tokens is scored, and so has logits.
        """
        evaluation, rows = self._preparation.recipe.evaluation, self._text.validation
        evaluate_losses(self._tuned, rows, self._context, batch_size=evaluation.batch_size, phase="evaluation")
        tokens = count_evaluation_batches(count_tokens(rows), evaluation.batch_size).tokens
        rate = Rate(token_seconds=self._context.meter.get_seconds("evaluation") / tokens)
        if evaluation.unrelated_passages:
            passages = self._preparation.unrelated_text
            unrelated = repeat_rows(passages, range(len(passages)), len(rows))
            evaluate_losses(self._tuned, unrelated, self._context, batch_size=evaluation.batch_size, phase="evaluation")
        options = evaluation.generation
        number = min(NEW_TOKENS, options.max_new_tokens or self._preparation.recipe.data.max_target_tokens)
        options = options.model_copy(update={"max_new_tokens": number, "min_new_tokens": number, "stop": ()})
        generate_predictions(self._tuned, self._text.test, options, self._context, max_new_tokens=number)
        prompts = count_prompt_batches(self._text.test["prompt_tokens"], options.prompts_at_once)
        new_seconds = self._context.meter.get_seconds("generation") - rate.estimate_seconds(prompts)
        return rate, max(0.0, new_seconds) / (number * prompts.count)
