"""YAML from an untrusted source: no objects are built, nothing is dropped, and nesting, aliases or merges cannot use up
time or memory."""

import json
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import yaml

from tuneoff.errors import RecipeError

MAX_VALUES = 100_000  # in a document, with its aliases and merges expanded
MAX_DEPTH = 100  # the time to parse grows with its square
_MERGE = "tag:yaml.org,2002:merge"


def parse_yaml(text: str, origin: str) -> Any:  # Any: whatever YAML can hold
    """Parse YAML text.

    Args:
        origin: where the text comes from, for error messages.

    Raises:
        RecipeError: the text is not valid YAML, has a key twice in one mapping, or is too deep or too large.
    """
    try:
        _require_shallow(text)
        value = _construct(text)
        json.dumps(value, ensure_ascii=False, skipkeys=True, default=str).encode()  # fails on surrogates and cycles
        return value
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError also for an impossible date
        raise RecipeError(f"{origin:.200} cannot be read as YAML: {error}. Correct it there.") from None


class _Loader(yaml.SafeLoader):
    """Reads `1e-5` as a number. YAML 1.1 reads it as text, because it has no decimal point."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _construct(text: str) -> Any:
    """Build the values, after a look at the nodes: they are as few as the text, and the values may not be."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _require_small(node)
        for mapping in _iterate_mappings(node):
            _require_different_keys(loader, mapping)
        return loader.construct_document(node)
    finally:
        loader.dispose()


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


def _require_small(document: yaml.Node) -> None:
    """Count the values with aliases and merges expanded: a few lines can stand for more than memory holds.

    A merged mapping is copied into the one that merges it, so its values count once for each.
    """
    sizes: dict[int, int] = {}

    def count(node: yaml.Node) -> int:
        if id(node) not in sizes:
            sizes[id(node)] = 1  # of a node that contains itself
            sizes[id(node)] = 1 + sum(map(count, _list_parts(node)))
        return sizes[id(node)]

    if count(document) > MAX_VALUES:
        raise ValueError(f"with its aliases and merges expanded it has more than {MAX_VALUES:,} values")


def _list_parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _iterate_mappings(document: yaml.Node) -> Iterator[yaml.MappingNode]:
    """Yield every mapping once, however many aliases it has."""
    waiting, seen = [document], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) not in seen:
            seen.add(id(node))
            waiting += _list_parts(node)
            if isinstance(node, yaml.MappingNode):
                yield node


def _require_different_keys(loader: _Loader, mapping: yaml.MappingNode) -> None:
    """Refuse a key that one mapping has twice, of which YAML would keep the last. Merged keys may be overridden."""
    lines: dict[Any, int] = {}
    for key_node, _ in mapping.value:
        if key_node.tag == _MERGE or not isinstance(key_node, yaml.ScalarNode):
            continue
        key, line = loader.construct_object(key_node), key_node.start_mark.line + 1
        if key in lines:
            raise ValueError(
                f"the key {key_node.value[:100]!r} is in line {lines[key]} and again in line {line}; one "
                "of the two would be dropped"
            )
        lines[key] = line
