"""What drafts and continuous batches would save in greedy decoding, from the answers of a run and the cost of a pass.

python -m benchmarks.decoding runs/demo

A draft is what followed the last few tokens where they stood before, in the prompt or the answer (prompt lookup). One
pass checks it: the tokens up to the first wrong one are right, and the one after them is known too. Continuous batches
give the place of a finished answer to the next prompt. Both are counted on stored predictions, with the measured cost
of passes of one new token and of more; reading prompts costs the same in each way and is left out.

Cost is processor time of one thread, which other load on the machine changes less than the clock.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tuneoff.models.greedy_decoding import REMOVAL_SHARE

SHAPES = ((1, 1), (4, 1), (16, 1), (16, 2), (16, 3), (16, 4), (16, 6), (16, 9), (64, 1), (64, 3))  # rows, new tokens
Cost = Callable[[int, int], float]  # from rows and the new tokens of each to the seconds of a pass


def main() -> None:
    """Print the tables in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoding", description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a run directory with predictions")
    parser.add_argument("--batch", type=int, default=16, help="rows in a batch")
    parser.add_argument("--repeats", type=int, default=5, help="of each timed pass")
    options = parser.parse_args()
    texts = list_answers(options.run)
    cost = measure_cost(options.run, options.repeats)
    print(f"\n| arm | answers | tokens | right of a draft of 2, 4 and 8 | tokens in a pass | time of plain, batches of "
          f"{options.batch} | continuous |\n|{' --- |' * 7}")  # fmt: skip
    for arm, prompts, answers in texts:
        drafts = [simulate_drafts(prompts, answers, draft=draft) for draft in (2, 4, 8)]
        lengths = [len(answer) for answer in answers]
        plain = cost_of_batches(lengths, options.batch, cost)
        ratios = [
            cost_of_drafts(each, options.batch, draft, cost) / plain
            for draft, each in zip((2, 4, 8), drafts, strict=True)
        ]
        tokens = sum(lengths)
        right = [1 - sum(map(len, each)) / tokens for each in drafts]
        cells = (
            arm, str(len(answers)), f"{tokens:,}", ", ".join(f"{share:.0%}" for share in right),
            ", ".join(f"{tokens / sum(map(len, each)):.2f}" for each in drafts),
            ", ".join(f"{ratio:.2f}" for ratio in ratios),
            f"{cost_of_continuous(lengths, options.batch, cost) / plain:.2f}",
        )  # fmt: skip
        print(f"| {' | '.join(cells)} |", flush=True)


def find_draft(tokens: Sequence[int], size: int, longest: int = 3) -> list[int]:
    """Return what followed the last tokens where they stood before, at most `size` tokens; empty if they did not.

    The longest match counts, of at most `longest` tokens, and the last place of it.
    """
    for length in range(min(longest, len(tokens) - 1), 0, -1):
        end = list(tokens[-length:])
        for start in range(len(tokens) - length - 1, -1, -1):
            if list(tokens[start : start + length]) == end:
                return list(tokens[start + length : start + length + size])
    return []


def simulate_drafts(
    prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], *, draft: int
) -> list[list[tuple[int, int]]]:
    """Return the passes of each answer, each with the tokens of its draft and those that it made known."""
    return [_simulate_row(list(prompt), list(answer), draft) for prompt, answer in zip(prompts, answers, strict=True)]


def _simulate_row(prompt: list[int], answer: list[int], size: int) -> list[tuple[int, int]]:
    passes = []
    known = 0
    while known < len(answer):
        draft = find_draft(prompt + answer[:known], size)[: len(answer) - known - 1]
        right = next((n for n, token in enumerate(draft) if token != answer[known + n]), len(draft))
        known += right + 1
        passes.append((len(draft), right + 1))
    return passes


def cost_of_batches(lengths: Sequence[int], batch: int, cost: Cost) -> float:
    """Return the seconds of plain decoding in batches, whose finished rows are removed once they are a quarter."""
    seconds = 0.0
    for first in range(0, len(lengths), batch):
        rows = sorted(lengths[first : first + batch])
        done, size = 0, len(rows)
        for step in range(rows[-1]):
            seconds += cost(size, 1)
            done = sum(length <= step + 1 for length in rows)
            finished = size - (len(rows) - done)
            if finished >= REMOVAL_SHARE * size:
                size -= finished
    return seconds


def cost_of_continuous(lengths: Sequence[int], batch: int, cost: Cost) -> float:
    """Return the seconds if a finished row is replaced at once, and removed at once where no prompt is left."""
    waiting, rows = list(reversed(lengths)), list[int]()
    seconds = 0.0
    while waiting or rows:
        while waiting and len(rows) < batch:
            rows.append(waiting.pop())
        seconds += cost(len(rows), 1)
        rows = [remaining - 1 for remaining in rows if remaining > 1]
    return seconds


def cost_of_drafts(passes: Sequence[Sequence[tuple[int, int]]], batch: int, draft: int, cost: Cost) -> float:
    """Return the seconds of decoding with drafts in batches. A pass is as wide as the longest draft in it."""
    seconds = 0.0
    for first in range(0, len(passes), batch):
        rows = passes[first : first + batch]
        for number in range(max(map(len, rows))):
            running = [row[number][0] for row in rows if len(row) > number]
            seconds += cost(len(running), 1 + max(running))
    return seconds


def list_answers(run: str) -> list[tuple[str, list[list[int]], list[list[int]]]]:
    """Return each arm of a run with the tokens of its prompts and its answers, each with an end token."""
    import tuneoff
    from tuneoff.data import load_text
    from tuneoff.models.loading import load_tokenizer
    from tuneoff.models.sources import find_source

    comparison = tuneoff.load_comparison(run)
    recipe = comparison.run.recipe
    tokenizer = load_tokenizer(find_source(recipe.model), recipe.model)
    test = load_text(recipe.data, tokenizer).test
    prompts = [tokens[:count] for tokens, count in zip(test["tokens"], test["prompt_tokens"], strict=True)]
    limit = recipe.evaluation.generation.max_new_tokens or recipe.data.max_target_tokens
    arms = []
    for record in comparison.run.records:
        if record.predictions:
            texts = [f" {prediction.prediction}" for prediction in record.predictions]
            ids = [[*tokens[: limit - 1], tokenizer.eos_token_id] for tokens in tokenizer(texts)["input_ids"]]
            arms.append((record.trial.label, prompts, ids))
    return arms


def measure_cost(run: str, repeats: int) -> Cost:
    """Time passes of the run's base model after 160 tokens, in turns; print and return their seconds."""
    import torch
    from transformers import DynamicCache

    import tuneoff
    from tuneoff.models.loading import load_model, load_tokenizer
    from tuneoff.models.precision import hold_for_inference
    from tuneoff.models.sources import find_source

    torch.set_num_threads(1)
    options = tuneoff.load_comparison(run).run.recipe.model
    source = find_source(options)
    network = hold_for_inference(load_model(source, options, load_tokenizer(source, options)), torch.bfloat16).base
    seconds: dict[tuple[int, int], list[float]] = {shape: [] for shape in SHAPES}
    caches: dict[int, Any] = {}
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for rows in {rows for rows, _ in SHAPES}:
            caches[rows] = DynamicCache(config=network.config)
            network(
                input_ids=torch.full((rows, 160), 1000), past_key_values=caches[rows], use_cache=True, logits_to_keep=1
            )
        for number in range(repeats + 1):
            for rows, new in SHAPES:
                mask = torch.ones(rows, 160 + new, dtype=torch.long)
                mask[0, 0] = 0  # as in a batch with padding, where grouped queries are faster
                start = time.process_time()
                network(
                    input_ids=torch.full((rows, new), 1000), attention_mask=mask, past_key_values=caches[rows],
                    use_cache=True,
                )  # fmt: skip
                if number:  # the first turn warms up
                    seconds[rows, new].append(time.process_time() - start)
                caches[rows].crop(-new)
    medians = {shape: statistics.median(times) for shape, times in seconds.items()}
    print("| rows | new tokens of each | processor time of a pass | of 16 rows with one |\n|" + " --- |" * 4)
    for (rows, new), median in medians.items():
        print(f"| {rows} | {new} | {1000 * median:.0f} ms | {median / medians[16, 1]:.2f} |")
    points = sorted((rows * new, median) for (rows, new), median in medians.items())
    known, values = zip(*points, strict=True)
    return lambda rows, new: float(np.interp(rows * new, known, values))


if __name__ == "__main__":
    main()
