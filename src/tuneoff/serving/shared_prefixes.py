"""Keys and values of the beginnings that prompts to one arm have in common, such as an instruction or shown examples.

The second prompt that begins like an earlier one shows what they have in common. Its keys and values are kept, and
from the third one on they need not be computed again.

Shapes: H key heads, T positions, D numbers of a head.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass
from typing import final

from tuneoff.models.common_beginning import LEAST_TOKENS, count_common
from tuneoff.models.prefix_attention import Layers
from tuneoff.serving.arms import Arm

REMEMBERED = 32  # prompts of an arm, as tokens alone

Tokens = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """The beginning of a prompt.

    Args:
        tokens: of the prompt.
        states: keys and values of each layer, (H, T, D), with those that the arm puts before the text.
    """

    tokens: int
    states: Layers


@final
class SharedPrefixes:
    """Beginnings of prompts, the last used ones.

    Args:
        max_tokens: of all beginnings together.
    """

    def __init__(self, max_tokens: int) -> None:
        self.reused_tokens = 0
        self._max_tokens = max_tokens
        self._kept: OrderedDict[tuple[Arm, Tokens], Layers] = OrderedDict()  # the last used one last
        self._prompts: defaultdict[Arm, deque[Tokens]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    @property
    def tokens(self) -> int:
        """How many are kept."""
        return sum(len(tokens) for _, tokens in self._kept)

    def find(self, arm: Arm, prompt: Tokens) -> Beginning | None:
        """Return the longest beginning of a prompt that is known; at least one token is not part of it."""
        known = (
            tokens
            for of_arm, tokens in self._kept
            if of_arm is arm and len(tokens) < len(prompt) and prompt[: len(tokens)] == tokens
        )
        tokens = max(known, key=len, default=())
        if not tokens:
            return None
        self._kept.move_to_end((arm, tokens))
        self.reused_tokens += len(tokens)
        return Beginning(tokens=len(tokens), states=self._kept[arm, tokens])

    def note(self, arm: Arm, prompt: Tokens, states: Layers) -> None:
        """Keep what a prompt that was read has in common with an earlier one to the same arm.

        Args:
            states: keys and values of the whole prompt, with those before the text.
        """
        earlier = self._prompts[arm]
        common = max((count_common(prompt, other) for other in earlier), default=0)
        common = min(common, len(prompt) - 1)
        earlier.append(prompt)
        if not LEAST_TOKENS <= common <= self._max_tokens or (arm, prompt[:common]) in self._kept:
            return
        end = arm.prefix_tokens + common
        self._kept[arm, prompt[:common]] = [(keys[:, :end].clone(), values[:, :end].clone()) for keys, values in states]
        while self.tokens > self._max_tokens:
            self._kept.popitem(last=False)

    def forget(self, arm: Arm) -> None:
        """Forget an arm."""
        self._prompts.pop(arm, None)
        for key in [key for key in self._kept if key[0] is arm]:
            del self._kept[key]
