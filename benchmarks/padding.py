"""Which share of the tokens in a batch is padding, and which share of the prompts' tokens all prompts begin with.

python -m benchmarks.padding demo fair

Packing several examples into one row saves the first share and no more, and computing the common beginning of the
prompts once saves the second of reading them. Lengths are those of the recipes' data, in tokens of
their models, and those of a log-normal distribution with the median and the 90th percentile that are given.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Iterator, Sequence
from statistics import mean

from tuneoff.data.batches import chunk, divide_rows, make_epoch_batches, make_evaluation_batches, sort_by_length
from tuneoff.models.greedy_decoding import READ_TOGETHER

EPOCHS = 10  # over whose batches the mean is taken
NORMAL_90 = 1.2816  # the 90th percentile of the standard normal distribution
GENERATED_TOGETHER = 64  # prompts, the default


def main() -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.padding", description=__doc__)
    parser.add_argument("recipes", nargs="*", help="names or files of recipes")
    parser.add_argument("--spread", type=float, nargs=2, default=(180, 400), metavar=("MEDIAN", "90TH"))
    parser.add_argument("--examples", type=int, default=1000, help="of the log-normal distribution")
    parser.add_argument("--training", type=int, default=4, help="examples in a batch of training")
    parser.add_argument("--evaluation", type=int, default=16, help="examples in a batch of evaluation")
    options = parser.parse_args()
    print(
        f"| data | examples | tokens: median, 90 % | training, batches of {options.training} | in random order |",
        end="",
    )
    print(f" evaluation, batches of {options.evaluation} | prompts of generation | common beginning |\n|{' --- |' * 8}")
    for name, lengths, prompts, common in _list_lengths(options.recipes, *options.spread, options.examples):
        ordered = sorted(lengths)
        spread = f"{ordered[len(ordered) // 2]}, {ordered[int(0.9 * len(ordered))]}"
        shares = (
            measure_training(lengths, options.training),
            compute_padding(
                lengths, chunk(random.Random(0).sample(range(len(lengths)), len(lengths)), options.training)
            ),
            compute_padding(lengths, make_evaluation_batches(lengths, options.evaluation)),
            compute_padding(prompts, list_reading_batches(prompts)),
            common * len(prompts) / sum(prompts),
        )
        print(
            f"| {name} | {len(lengths):,} | {spread} | {' | '.join(f'{share:.1%}' for share in shares)} |", flush=True
        )


def compute_padding(lengths: Sequence[int], batches: Sequence[Sequence[int]]) -> float:
    """Return the share of padding among all positions of some batches, each padded to its own longest row.

    Args:
        batches: the rows of each batch, as places in `lengths`.
    """
    real = sum(lengths[row] for batch in batches for row in batch)
    positions = sum(len(batch) * max(lengths[row] for row in batch) for batch in batches)
    return 1 - real / positions


def measure_training(lengths: Sequence[int], size: int) -> float:
    """Return the mean share of padding in the micro-batches of some epochs."""
    epochs = (make_epoch_batches(lengths, size, 0, epoch) for epoch in range(1, EPOCHS + 1))
    divided = ([part for rows in epoch for part in divide_rows(rows, lengths, size)] for epoch in epochs)
    return mean(compute_padding(lengths, batches) for batches in divided)


def list_reading_batches(lengths: Sequence[int]) -> list[list[int]]:
    """Return which prompts are read in one pass, before their answers are generated."""
    generated = chunk(sort_by_length(lengths), GENERATED_TOGETHER)
    return [part for batch in generated for part in chunk(batch, READ_TOGETHER)]


def draw_lengths(median: float, ninetieth: float, count: int, seed: int = 0) -> list[int]:
    """Return lengths from a log-normal distribution with a median and a 90th percentile."""
    deviation = math.log(ninetieth / median) / NORMAL_90
    draw = random.Random(seed)
    return [max(1, round(draw.lognormvariate(math.log(median), deviation))) for _ in range(count)]


def _list_lengths(
    recipes: Sequence[str], median: float, ninetieth: float, count: int
) -> Iterator[tuple[str, list[int], list[int], int]]:
    """Yield a name, the lengths of the train split, those of the test split's prompts, and the tokens that all of these
    begin with."""
    from tuneoff.data import count_tokens, load_text
    from tuneoff.models.common_beginning import count_common
    from tuneoff.models.loading import load_tokenizer
    from tuneoff.models.sources import find_source
    from tuneoff.recipe.loading import load_recipe

    for name in recipes:
        recipe = load_recipe(name)
        text = load_text(recipe.data, load_tokenizer(find_source(recipe.model), recipe.model))
        lengths = list(text.test["prompt_tokens"])
        first, *others = (tokens[:count] for tokens, count in zip(text.test["tokens"], lengths, strict=True))
        yield name, count_tokens(text.train), lengths, min(count_common(first, other) for other in others)
    drawn = draw_lengths(median, ninetieth, count)
    yield f"log-normal, {median:g} and {ninetieth:g}", drawn, drawn, 0


if __name__ == "__main__":
    main()
