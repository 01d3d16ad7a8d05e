"""Swap merged LoRA in one set of weights a thousand times, and see how long each takes and how far the weights drift:
`python -m benchmarks.swaps --swaps 1000`.

The LoRA are random, of rank 8 on all linear layers, with updates as large as training makes them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from statistics import median

import torch

from tuneoff.config.model import ModelOptions
from tuneoff.models.loading import load_model, load_tokenizer
from tuneoff.models.merged_swap import LowRankUpdate, MergedSwap, Updates
from tuneoff.models.sources import find_source
from tuneoff.models.structure import find_linears

RANK, UPDATE = 8, 0.02  # the standard deviation of an update, relative to that of the weight
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
PROMPT = "The committee met on Monday and agreed on a plan for the river."


def make_updates(network: torch.nn.Module, seed: int) -> Updates:
    """Return a random LoRA for every linear layer inside the blocks."""
    draw = torch.Generator().manual_seed(seed)
    updates = {}
    for name, linear in find_linears(network).items():
        outputs, inputs = linear.weight.shape
        down, up = torch.randn(RANK, inputs, generator=draw), torch.randn(outputs, RANK, generator=draw)
        scale = UPDATE * linear.weight.float().std().item() / RANK**0.5
        updates[name] = LowRankUpdate(down_RI=down, up_OR=up, scale=scale)
    return updates


@torch.no_grad()
def measure_swaps(model: str, dtype: str, swaps: int, *, keeps: bool) -> Iterator[str]:
    """Yield the cells of one line: time, drift of weights and logits, and memory of what is kept."""
    options = ModelOptions(name=model)
    source = find_source(options)
    language_model = load_model(source, options, load_tokenizer(source, options))
    network = language_model.network.to(DTYPES[dtype]).eval()
    loras = {str(seed): make_updates(network, seed) for seed in range(3)}
    tokens = torch.tensor([language_model.tokenizer(PROMPT)["input_ids"]])
    before, logits = {n: w.clone() for n, w in network.state_dict().items()}, network(tokens).logits.float()
    swap, times = MergedSwap(network, loras.__getitem__, keep_original=keeps), []
    for number in range(swaps):
        start = time.perf_counter()
        swap.swap_to(str(number % 3))
        times.append(1000 * (time.perf_counter() - start))
    swap.swap_to(None)
    after = network(tokens).logits.float()
    names = [f"{name}.weight" for name in loras["0"]]
    drift = max(
        ((network.state_dict()[name] - before[name]).abs().max() / before[name].float().std()).item() for name in names
    )
    yield f"{median(times):.0f} ({min(times):.0f} to {max(times):.0f})"
    yield f"{drift:.2g}"
    yield f"{(after - logits).abs().max().item() / logits.std().item():.2g}"
    yield f"{(after.argmax(-1) == logits.argmax(-1)).float().mean().item():.0%}"
    yield f"{swap.original_bytes / 1e6:.0f}"


def main() -> None:
    """Print a line of the table for each type of weights, with and without the original kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--swaps", type=int, default=1000)
    chosen = parser.parse_args()
    print(f"{chosen.model}, {chosen.swaps} swaps among three LoRA of rank {RANK}, then back to the base model\n")
    print("| weights | original | ms for a swap | drift of a weight (sd) | of a logit (sd) | same token | MB kept |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for dtype in DTYPES:
        for keeps in (False, True):
            cells = measure_swaps(chosen.model, dtype, chosen.swaps, keeps=keeps)
            print("|", " | ".join([dtype, "kept" if keeps else "not kept", *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
