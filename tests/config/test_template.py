"""Prompt templates: the columns of a row, in a sandbox."""

import pytest

from tuneoff.config.template import MAX_RANGE, read_template

ROW = {
    "source": "a {b} {{ c }} {% d %}",
    "context": "C",
    "n": 3,
    "items": ["x", "y"],
    "meta": {"é": None},
    "none": None,
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{source}", ROW["source"]),
        ("{{source}}", ROW["source"]),
        ("{{ context }}\n\nQ: {n}\nA: ", "C\n\nQ: 3\nA: "),
        ('{"label": {n}}', '{"label": 3}'),
        ("{% for item in items %}- {{ item }}\n{% endfor %}", "- x\n- y\n"),
        ("{% if n > 2 %}{context}{% endif %}", "C"),
        ("{items} {meta}", '["x", "y"] {"é": null}'),
        ("{none}{missing}{{ none.title }}|", "|"),
        ("{% raw %}{n} {{ n }}{% endraw %} {context}", "{n} {{ n }} C"),
        ("{{ source | upper | truncate(5, true, '') }}", "A {B}"),
        ("{context}\n", "C\n"),
    ],
)
def test_a_template_is_filled_with_a_row(template, text):
    assert read_template(template).render(ROW) == text


def test_the_names_of_a_template_are_the_columns_that_it_uses():
    template = read_template("{% for x in items %}{{ x }}{{ loop.index }}{% endfor %}{% set y = n %}{{ y }}{context}")
    assert template.names == {"items", "n", "context"}


@pytest.mark.parametrize("template", ["Summarize.", "{% raw %}{source}{% endraw %}", "{% if source %}yes{% endif %}"])
def test_a_template_that_shows_no_column_is_refused(template):
    with pytest.raises(ValueError, match="shows no column"):
        read_template(template)


@pytest.mark.parametrize("template", ["{{ source", "{% for x in items %}{{ x }}", "{{{source}}}"])
def test_a_broken_template_is_refused_with_the_way_to_write_braces(template):
    with pytest.raises(ValueError, match=r"cannot be read: .*\{% raw %\}"):
        read_template(template)


@pytest.mark.parametrize(
    "template",
    [
        "{% include 'secret' %}{n}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ n }}",
        "{% for x in items recursive %}{{ loop(items) }}{% endfor %}",
        "{% for a in items %}" * 4 + "{{ a }}" + "{% endfor %}" * 4,
        "{{ n | center(10) }}",
    ],
)
def test_what_a_prompt_does_not_need_is_refused(template):
    with pytest.raises(ValueError, match=r"a prompt template|No filter"):
        read_template(template)


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'a' * 10000000000 }}{n}",
        "{{ 9 ** 9 ** 9 }}{n}",
        "{{ '%10000000000d' % n }}",
        "{{ context.ljust(10000000000) }}",
        "{{ '{:>10000000000}'.format(n) }}",
        f"{{% for x in range({MAX_RANGE + 1}) %}}{{{{ n }}}}{{% endfor %}}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}{n}",
        "{{ n.bit_length() }}",
    ],
)
def test_a_template_cannot_leave_the_sandbox_or_fill_the_memory(template):
    with pytest.raises(ValueError, match="the template fails"):
        read_template(template).render(ROW)


def test_a_prompt_has_a_longest_length():
    loop = f"{{% for x in range({MAX_RANGE}) %}}"
    with pytest.raises(ValueError, match="more than 10,000,000 characters"):
        read_template(loop + loop + "{{ context }}" + "{% endfor %}" * 2).render({"context": "the cat sat"})
