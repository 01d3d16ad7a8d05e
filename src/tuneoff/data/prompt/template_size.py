"""What a tokenizer's chat template may make of a few words: it comes with somebody else's model.

Its loops, and whatever fills the memory, are ended by limits (`tuneoff.system.work_limit`). Where one operation would
take all time or memory, as the parser sees it, the template is refused here before it runs, with the line.
"""

from __future__ import annotations

import re
from functools import cache

LARGEST_FACTOR = 10_000
MOST_CHARACTERS = 10_000_000  # of a rendered chat
LONGEST_SECONDS = 10.0  # for one chat, which takes a millisecond
PADDING_FILTERS = ("center", "indent")
_MARKS = re.compile(r"\{%[-+]?\s*(end)?generation\s*[-+]?%\}")  # tags of transformers' own


@cache
def find_unbounded_operation(source: str) -> str | None:
    """Return what a template does that may fill the memory at once; None if it does nothing like that.

    Raises:
        jinja2.TemplateError: it is no template.
    """
    from jinja2 import Environment, nodes

    # parsed and not compiled, because the compiler already computes what is constant
    tree = Environment(extensions=["jinja2.ext.loopcontrols"]).parse(_MARKS.sub("", source))
    if power := next(tree.find_all(nodes.Pow), None):
        return f"it raises to a power in line {power.lineno}"
    for formatted in tree.find_all(nodes.Mod):
        if re.search(r"[0-9]{5}", str(getattr(formatted.left, "value", ""))):
            return f"it formats a text with a width of more than {LARGEST_FACTOR:,} in line {formatted.lineno}"
    numbers = [node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, int | float)]
    if all(abs(number) <= LARGEST_FACTOR for number in numbers):
        return None
    growing = [*tree.find_all(nodes.Mul), *(f for f in tree.find_all(nodes.Filter) if f.name in PADDING_FILTERS)]
    if growing:
        return f"it multiplies or pads with a number above {LARGEST_FACTOR:,} in line {growing[0].lineno}"
    return None
