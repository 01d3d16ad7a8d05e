"""YAML from an untrusted source: no objects are built, and nesting or aliases cannot use up time or memory."""

import json
import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import yaml

from tuneoff.errors import RecipeError

MAX_VALUES = 100_000  # in a document, with its aliases expanded
MAX_DEPTH = 100  # the time to parse grows with its square


def parse_yaml(text: str, origin: str) -> Any:  # Any: whatever YAML can hold
    """Parse YAML text.

    Args:
        origin: where the text comes from, for error messages.

    Raises:
        RecipeError: the text is not valid YAML, or is too deep or too large.
    """
    try:
        _require_shallow(text)
        value = yaml.load(text, Loader=_Loader)
        _require_small(value)
        json.dumps(value, ensure_ascii=False, skipkeys=True, default=str).encode()  # fails on surrogates and cycles
        return value
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError also for an impossible date
        raise RecipeError(f"{origin:.200} cannot be read as YAML: {error}. Correct it there.") from None


class _Loader(yaml.SafeLoader):
    """Reads `1e-5` as a number. YAML 1.1 reads it as text, because it has no decimal point."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _require_shallow(text: str) -> None:
    """Count the depth from the tokens, in linear time; parsing a deep document takes minutes."""
    starts = (
        yaml.BlockSequenceStartToken
        | yaml.BlockMappingStartToken
        | yaml.FlowSequenceStartToken
        | yaml.FlowMappingStartToken
    )
    ends = yaml.BlockEndToken | yaml.FlowSequenceEndToken | yaml.FlowMappingEndToken
    steps = (isinstance(token, starts) - isinstance(token, ends) for token in yaml.scan(text))
    if any(depth > MAX_DEPTH for depth in accumulate(steps)):
        raise ValueError(f"lists and mappings are nested more than {MAX_DEPTH} deep")


def _require_small(document: Any) -> None:
    """Count the values with aliases expanded: a few lines of nested aliases can stand for more than memory holds."""
    sizes: dict[int, int] = {}

    def count(value: Any) -> int:
        if not isinstance(value, Mapping | list | tuple | set):
            return 1
        if id(value) not in sizes:
            parts = [*value, *value.values()] if isinstance(value, Mapping) else value
            sizes[id(value)] = 1 + sum(map(count, parts))
        return sizes[id(value)]

    if count(document) > MAX_VALUES:
        raise ValueError(f"with its aliases expanded it has more than {MAX_VALUES:,} values")
