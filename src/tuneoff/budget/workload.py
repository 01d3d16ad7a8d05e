"""Count the batches and tokens of one trial exactly, by making the batches of the training and evaluation loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tuneoff.budget.probe import Batches, Work
from tuneoff.config.training import TrainingOptions
from tuneoff.data import TextData, count_tokens
from tuneoff.data.batches import chunk, divide_rows, make_epoch_batches, make_evaluation_batches, sort_by_length
from tuneoff.evaluation.benchmarks import list_questions
from tuneoff.models.greedy_decoding import READ_TOGETHER
from tuneoff.runner.prepare import Preparation
from tuneoff.training.hidden_state_cache import BATCH_SIZE


def compute_work(preparation: Preparation, text: TextData) -> Work:
    """Return the work of one trial on a text, the same for every method with these prompts."""
    recipe = preparation.recipe
    evaluation, generation = recipe.evaluation, recipe.evaluation.generation
    lengths = {name: count_tokens(getattr(text, name)) for name in ("train", "validation", "test")}
    train_part = lengths["train"][: len(lengths["validation"])]
    unrelated = count_tokens(preparation.unrelated_text) if evaluation.unrelated_passages else []
    benchmarks = _count_benchmarks(preparation)
    evaluated = (lengths["test"], train_part, unrelated)
    return Work(
        epoch=_count_epoch_batches(lengths["train"], recipe.training),
        validation=count_evaluation_batches(lengths["validation"], evaluation.batch_size),
        evaluation=_sum_batches([count_evaluation_batches(split, evaluation.batch_size) for split in evaluated]),
        prompts=count_prompt_batches(text.test["prompt_tokens"], generation.prompts_at_once),
        validation_prompts=count_prompt_batches(text.validation["prompt_tokens"], generation.prompts_at_once),
        trunk=_sum_batches([count_evaluation_batches(lengths[name], BATCH_SIZE) for name in ("train", "validation")]),
        new_tokens=_count_new_tokens(preparation),
        benchmarks=_sum_batches([benchmarks.texts, benchmarks.prompts]),
        benchmark_new_tokens=benchmarks.new_tokens,
    )


class _BenchmarkWork(NamedTuple):
    texts: Batches  # to score
    prompts: Batches  # to answer
    new_tokens: int  # at most, summed over the batches of prompts


def _count_benchmarks(preparation: Preparation) -> _BenchmarkWork:
    """Count what the recipe's benchmarks ask of one model."""
    benchmarks = preparation.benchmarks
    if benchmarks is None:
        return _BenchmarkWork(Batches(count=0, tokens=0), Batches(count=0, tokens=0), 0)
    size = benchmarks.options.batch_size
    texts, prompts = list_questions(benchmarks)

    def count_batches(asked: Sequence[str]) -> Batches:
        lengths = [len(tokens) for tokens in preparation.tokenizer(list(asked))["input_ids"]] if asked else []
        return count_evaluation_batches(lengths, size)

    longest_answers = sorted((new_tokens for _, new_tokens in prompts), reverse=True)
    return _BenchmarkWork(
        texts=count_batches(texts),
        prompts=count_batches([prompt for prompt, _ in prompts]),
        new_tokens=sum(longest_answers[::size]),
    )


def _count_new_tokens(preparation: Preparation) -> int:
    """Return how often at most the model continues a batch of prompts by a token.

    Predictions by likelihood continue them by each label without its last token.
    """
    recipe, labels = preparation.recipe, preparation.labels
    if labels is None:
        return recipe.evaluation.generation.max_new_tokens or recipe.data.max_target_tokens
    if recipe.evaluation.generation.constrain_to:
        return labels.longest
    return sum(len(tokens) - 1 for tokens in labels.name_by_tokens)


def _count_epoch_batches(lengths: Sequence[int], options: TrainingOptions) -> Batches:
    """Count one epoch with seed 0. Another seed pads a little differently."""
    effective_batches = make_epoch_batches(lengths, options.effective_batch_size, 0, 1)
    tokens = [count_padded_tokens(lengths, rows, options.batch_size) for rows in effective_batches]
    return Batches(count=len(tokens), tokens=sum(tokens))


def count_padded_tokens(lengths: Sequence[int], rows: Sequence[int], size: int) -> int:
    """Return the tokens of an effective batch, with each micro-batch of at most `size` rows padded to its longest."""
    micro_batches = [[lengths[row] for row in part] for part in divide_rows(rows, lengths, size)]
    return sum(len(micro_batch) * max(micro_batch) for micro_batch in micro_batches)


def count_evaluation_batches(lengths: Sequence[int], size: int) -> Batches:
    """Count the batches of one pass over rows of these lengths."""
    batches = make_evaluation_batches(lengths, size)
    return Batches(count=len(batches), tokens=sum(len(rows) * lengths[rows[0]] for rows in batches))


def count_prompt_batches(lengths: Sequence[int], size: int) -> Batches:
    """Count the batches of prompts to generate from: a batch is read a few rows at a time, then answered together."""
    batches = chunk(sort_by_length(lengths), size)
    reading = [part for rows in batches for part in chunk(rows, READ_TOGETHER)]
    return Batches(count=len(batches), tokens=sum(len(part) * lengths[part[0]] for part in reading))


def _sum_batches(batches: Sequence[Batches]) -> Batches:
    return Batches(count=sum(b.count for b in batches), tokens=sum(b.tokens for b in batches))
