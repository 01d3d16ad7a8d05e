"""Prompt templates: Jinja over the columns of a row, in a sandbox.

A template may come with somebody else's recipe. So it sees nothing but the row, calls nothing but harmless methods of
text, and its loops and its output are bounded.

`{name}` in the text of a template is short for `{{ name }}`. Earlier versions knew only `{source}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2

MAX_CHARACTERS = 10_000_000  # of a rendered prompt
MAX_LOOPS = 3  # one within another
MAX_RANGE = 1000  # numbers of a `range`

_SHORT = re.compile(r"\{([^\W\d]\w*)\}")
_BRACES = re.compile(r"\{([^{}\n]{1,100})\}")
_FILTERS = """
    abs capitalize count d default dictsort first float groupby int items join last length list lower map max min reject
    rejectattr replace reverse round select selectattr sort string sum title tojson trim truncate unique upper wordcount
"""
_METHODS = """
    capitalize count endswith find get index isalpha isdigit isspace items join keys lower lstrip removeprefix
    removesuffix replace rfind rsplit rstrip split splitlines startswith strip title upper values
"""
_HOW_TO_WRITE_BRACES = "Text with braces can be written within {% raw %} and {% endraw %}."


@dataclass(frozen=True)
class Template:
    """A template that was read, with the columns it uses."""

    compiled: jinja2.Template
    names: frozenset[str]
    paths: frozenset[tuple[str, ...]] = frozenset()  # of the values that it reads: `{{ meta.a }}` is ("meta", "a")
    braces: frozenset[str] = frozenset()  # what stands in single braces and is no name, and so is written as it is

    def render(self, values: Mapping[str, Any]) -> str:
        """Fill the template. A missing value is shown as nothing.

        Raises:
            ValueError: an expression fails for these values, or the result is too long.
        """
        import jinja2

        parts, length = [], 0
        try:
            for part in self.compiled.generate(values):
                length += len(part)
                if length > MAX_CHARACTERS:
                    raise ValueError(f"the prompt has more than {MAX_CHARACTERS:,} characters")
                parts.append(part)
        except (jinja2.TemplateError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
            raise ValueError(f"the template fails: {error}") from error
        return "".join(parts)


@cache
def read_template(text: str) -> Template:
    """Read a template.

    Raises:
        ValueError: it is not a valid template, shows no column, or uses what the sandbox does not allow.
    """
    import jinja2
    from jinja2 import meta, nodes

    environment = _build_environment()
    try:
        tree = environment.parse(_write_out_short_form(text, environment))
        compiled = environment.from_string(tree)
    except jinja2.TemplateError as error:
        hint = "" if isinstance(error, jinja2.TemplateAssertionError) else f" {_HOW_TO_WRITE_BRACES}"
        raise ValueError(f"the template cannot be read: {str(error).rstrip('.')}.{hint}") from error
    _require_harmless(tree)
    names = frozenset(meta.find_undeclared_variables(tree)) - environment.globals.keys()
    shown = [part for output in tree.find_all(nodes.Output) for part in output.find_all(nodes.Name)]
    if not names or not shown:
        raise ValueError("the template shows no column of the data: write {source} where the source text belongs")
    paths = frozenset(path for path in _list_paths(tree) if path[0] in names)
    return Template(compiled, names, paths, frozenset(_list_braces(text, environment)))


def _write_out_short_form(text: str, environment: jinja2.Environment) -> str:
    """Replace `{name}` by `{{ name }}` in the text between the tags of Jinja, but not between `raw` and `endraw`."""
    return "".join(_SHORT.sub(r"{{ \1 }}", part) if is_text else part for part, is_text in _divide(text, environment))


def _list_braces(text: str, environment: jinja2.Environment) -> Iterator[str]:
    for part, is_text in _divide(text, environment):
        yield from _BRACES.findall(_SHORT.sub("", part)) if is_text else ()


def _divide(text: str, environment: jinja2.Environment) -> Iterator[tuple[str, bool]]:
    """Divide a template into its parts, and say which are text: no tags, nothing between `raw` and `endraw`."""
    is_raw = False
    for _, kind, value in environment.lex(text):
        is_raw = kind == "raw_begin" or (is_raw and kind != "raw_end")
        yield value, kind == "data" and not is_raw


def _list_paths(node: jinja2.nodes.Node) -> Iterator[tuple[str, ...]]:
    """Yield the path of every value that a template reads; of what it computes itself, such as an index, the rest."""
    from jinja2 import nodes

    if path := _read_path(node):
        yield path
    elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):  # a method of the value
        yield from _list_paths(node.node.node)
        for child in (*node.args, *node.kwargs):
            yield from _list_paths(child)
    else:
        for child in node.iter_child_nodes():
            yield from _list_paths(child)


def _read_path(node: jinja2.nodes.Node) -> tuple[str, ...]:
    """Return `("meta", "a")` for `meta.a` and `meta["a"]`; empty for everything else."""
    from jinja2 import nodes

    match node:
        case nodes.Name():
            return (node.name,)
        case nodes.Getattr():
            parent, key = _read_path(node.node), node.attr
        case nodes.Getitem() if isinstance(node.arg, nodes.Const):
            parent, key = _read_path(node.node), str(node.arg.value)
        case _:
            return ()
    return (*parent, key) if parent else ()


def _require_harmless(tree: jinja2.nodes.Template) -> None:
    from jinja2 import nodes

    refused = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Block, nodes.Macro, nodes.CallBlock)
    for node in tree.find_all(refused):
        raise ValueError(f"a prompt template cannot use {type(node).__name__.lower()}: write its content here")
    for loop in tree.find_all(nodes.For):
        if loop.recursive:
            raise ValueError("a prompt template cannot use a recursive loop")
    if _count_nested_loops(tree) > MAX_LOOPS:
        raise ValueError(f"a prompt template may have at most {MAX_LOOPS} loops one within another")


def _count_nested_loops(node: jinja2.nodes.Node) -> int:
    from jinja2 import nodes

    return isinstance(node, nodes.For) + max(map(_count_nested_loops, node.iter_child_nodes()), default=0)


@cache
def _build_environment() -> jinja2.Environment:
    import json

    from jinja2 import ChainableUndefined, sandbox
    from jinja2.exceptions import SecurityError

    allowed = {*_METHODS.split(), "bounded_range"}

    class Sandbox(sandbox.ImmutableSandboxedEnvironment):
        """Jinja's sandbox without what makes long text out of short text."""

        intercepted_binops = frozenset({"*", "**", "%"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if operator == "**" or not (isinstance(left, int | float) and isinstance(right, int | float)):
                raise SecurityError(f"a prompt template cannot use {operator} here")
            return super().call_binop(context, operator, left, right)

        def is_safe_callable(self, obj: Any) -> bool:
            return getattr(obj, "__name__", "") in allowed and super().is_safe_callable(obj)

    def bounded_range(*limits: int) -> range:
        numbers = range(*limits)
        if len(numbers) > MAX_RANGE:
            raise SecurityError(f"a range may have at most {MAX_RANGE} numbers")
        return numbers

    def show(value: Any) -> Any:  # Any: columns have values of any type
        if value is None:
            return ""
        return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else value

    environment = Sandbox(keep_trailing_newline=True, finalize=show, undefined=ChainableUndefined)
    environment.filters = {name: environment.filters[name] for name in _FILTERS.split()}
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False, default=str)
    environment.globals = {"range": bounded_range}
    return environment
