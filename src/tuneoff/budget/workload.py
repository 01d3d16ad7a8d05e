"""How much one trial has to do: every batch that the loops will make, counted in tokens with their padding."""

from __future__ import annotations

from collections.abc import Sequence

from tuneoff.budget.probe import Batches, Work
from tuneoff.config.training import TrainingOptions
from tuneoff.data import count_tokens
from tuneoff.data.batches import make_epoch_batches, make_evaluation_batches
from tuneoff.models.greedy_decoding import READ_TOGETHER
from tuneoff.runner.prepare import Preparation
from tuneoff.training.hidden_state_cache import BATCH


def compute_work(preparation: Preparation) -> Work:
    """All of it, for a trial of any method."""
    recipe, text = preparation.recipe, preparation.text
    evaluation, generation = recipe.evaluation, recipe.evaluation.generation
    lengths = {name: count_tokens(getattr(text, name)) for name in ("train", "validation", "test")}
    seen = lengths["train"][: len(lengths["validation"])]
    unrelated = count_tokens(preparation.unrelated) if evaluation.unrelated_passages else []
    passes = [count_evaluation_batches(some, evaluation.batch_size) for some in (lengths["test"], seen, unrelated)]
    trunk_passes = [count_evaluation_batches(lengths[name], BATCH) for name in ("train", "validation")]
    return Work(
        epoch=_batch_epoch(lengths["train"], recipe.training),
        validation=count_evaluation_batches(lengths["validation"], evaluation.batch_size),
        evaluation=_sum_batches(passes),
        prompts=count_prompt_batches(text.test["prompt_tokens"], generation.batch_size),
        validation_prompts=count_prompt_batches(text.validation["prompt_tokens"], generation.batch_size),
        trunk=_sum_batches(trunk_passes),
        new_tokens=generation.max_new_tokens or recipe.data.max_target_tokens,
    )


def _batch_epoch(lengths: Sequence[int], options: TrainingOptions) -> Batches:
    """One epoch; another seed would pad a little differently."""
    effective = make_epoch_batches(lengths, options.effective_batch_size, 0, 1)
    tokens = [count_padded_tokens(lengths, rows, options.batch_size) for rows in effective]
    return Batches(count=len(tokens), tokens=sum(tokens))


def count_padded_tokens(lengths: Sequence[int], rows: Sequence[int], size: int) -> int:
    """The tokens of an effective batch, each micro-batch padded to its own longest."""
    parts = [[lengths[row] for row in rows[start : start + size]] for start in range(0, len(rows), size)]
    return sum(len(part) * max(part) for part in parts)


def count_evaluation_batches(lengths: Sequence[int], size: int) -> Batches:
    """A pass over rows of those lengths, the longest first."""
    batches = make_evaluation_batches(lengths, size)
    return Batches(count=len(batches), tokens=sum(len(rows) * lengths[rows[0]] for rows in batches))


def count_prompt_batches(lengths: Sequence[int], size: int) -> Batches:
    """Prompts of those lengths: read some at a time, then answered together."""
    batches = make_evaluation_batches(lengths, size)
    read = [count_evaluation_batches([lengths[row] for row in rows], READ_TOGETHER) for rows in batches]
    return Batches(count=len(batches), tokens=_sum_batches(read).tokens)


def _sum_batches(batches: Sequence[Batches]) -> Batches:
    return Batches(count=sum(b.count for b in batches), tokens=sum(b.tokens for b in batches))
