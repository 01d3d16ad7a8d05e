"""The lengths of examples in tokens, and which share of them a limit would cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuneoff.data.example import Example
from tuneoff.data.prompt import Encoder

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedTokenizerBase

    from tuneoff.config.data import TextOptions

SAMPLE_EXAMPLES = 2_000
LIMITS = (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
NO_LIMIT = 2**24  # tokens
TOLERATED_CUT = 0.02  # share of examples that a proposed limit cuts
STEP = 16  # proposed limits are multiples of it
MOST_PROPOSED = 2048  # tokens; longer examples cost much, so the user should ask for them
METHOD_TOKENS = 32  # positions of the model that stay free for methods with vectors before the text


@dataclass(frozen=True, kw_only=True)
class Quantiles:
    """Lengths in tokens."""

    median: int
    percentile_90: int
    percentile_99: int
    longest: int


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Lengths of a sample of examples without any limit."""

    examples: int
    prompt: Quantiles  # with the template
    target: Quantiles  # with the token that ends it
    both: Quantiles
    cut_shares: Mapping[int, float]  # of the examples, by a limit for prompt and target
    max_tokens: int  # that are proposed
    max_target_tokens: int | None  # None: texts have no targets
    proposed_cut: float  # share of the examples that these limits cut


def measure_lengths(
    examples: Sequence[Example],
    options: TextOptions,
    tokenizer: PreTrainedTokenizerBase,
    positions: int | None = None,
) -> Lengths | None:
    """Tokenize a sample of examples without limits; None if there are no examples.

    Args:
        options: completed, with a prompt.
        positions: of the model; None: not known.
    """
    import numpy as np

    sample = examples[:: max(1, len(examples) // SAMPLE_EXAMPLES)][:SAMPLE_EXAMPLES]
    if not sample:
        return None
    unlimited = options.model_copy(update={"max_tokens": NO_LIMIT, "max_target_tokens": NO_LIMIT // 2})
    columns = Encoder(unlimited, tokenizer).encode(sample)
    both_N = np.array([len(tokens) for tokens in columns["tokens"]])
    prompt_N = np.array(columns["prompt_tokens"])
    shares = {limit: float(np.mean(both_N > limit)) for limit in LIMITS}
    first_whole = next((limit for limit, share in shares.items() if share == 0), LIMITS[-1])
    most = MOST_PROPOSED if positions is None else min(MOST_PROPOSED, positions - METHOD_TOKENS)
    is_text = options.task == "text"
    max_tokens, max_target_tokens = (
        _propose_text_limit(both_N, most) if is_text else _propose_limits(prompt_N, both_N - prompt_N, most)
    )
    max_prompt = max_tokens - (max_target_tokens or 0)
    is_cut_N = (prompt_N > max_prompt) | (both_N - prompt_N > (max_target_tokens or max_tokens))
    return Lengths(
        examples=len(sample),
        prompt=_compute_quantiles(prompt_N),
        target=_compute_quantiles(both_N - prompt_N),
        both=_compute_quantiles(both_N),
        cut_shares={limit: share for limit, share in shares.items() if limit <= first_whole},
        max_tokens=max_tokens,
        max_target_tokens=max_target_tokens,
        proposed_cut=float(np.mean(is_cut_N)),
    )


def _propose_limits(prompt_N: np.ndarray, target_N: np.ndarray, most: int) -> tuple[int, int]:
    """Return limits for prompt and target together, and for the target, that cut few examples.

    The prompt may have what the limit of the target leaves, so both are added and not taken together.
    """
    import numpy as np

    prompt, target = (
        float(np.quantile(lengths, 1 - TOLERATED_CUT, method="higher")) for lengths in (prompt_N, target_N)
    )
    max_target = min(_round_up(target), most // 2)
    return min(_round_up(prompt) + max_target, most), max_target


def _propose_text_limit(both_N: np.ndarray, most: int) -> tuple[int, None]:
    """Return a limit for documents, of which longer ones are divided and not cut."""
    import numpy as np

    longest = float(np.quantile(both_N, 1 - TOLERATED_CUT, method="higher"))
    return min(max(_round_up(longest), LIMITS[1]), most), None


def _round_up(tokens: float) -> int:
    return -(-int(tokens) // STEP) * STEP


def _compute_quantiles(lengths_N: np.ndarray) -> Quantiles:
    import numpy as np

    return Quantiles(
        median=int(np.median(lengths_N)),
        percentile_90=int(np.quantile(lengths_N, 0.9, method="higher")),
        percentile_99=int(np.quantile(lengths_N, 0.99, method="higher")),
        longest=int(lengths_N.max()),
    )
