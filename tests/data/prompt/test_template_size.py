"""Chat templates that would take all time or memory are refused."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest

from tests.data.conftest import CHAT_TEMPLATE, train_tokenizer
from tuneoff.config.template import read_template
from tuneoff.data.prompt import chat_template, drafts
from tuneoff.data.prompt.chat_template import ChatTemplate
from tuneoff.data.prompt.template_size import find_unbounded_operation
from tuneoff.errors import DataError
from tuneoff.system.work_limit import limit_work

MESSAGES = [{"role": "user", "content": "a"}]


def render(template: str) -> str:
    tokenizer = train_tokenizer(chat_template=template)
    return ChatTemplate(tokenizer=tokenizer, arguments={}, day=date(2026, 1, 1)).render(MESSAGES)


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'a' * 10**10 }}",
        "{{ 'a' * 10000000000 }}",
        "{% set n = 99999 * 99999 %}{{ 'a' * n }}",
        "{{ 'a' | center(10000000000) }}",
        "{{ '%010000000000d' % 1 }}",
    ],
)
def test_an_operation_that_would_fill_the_memory_is_refused_before_it_runs(template: str) -> None:
    with pytest.raises(DataError, match=r"chat template fails on messages of user: it (multiplies|raises|formats)"):
        render(template)


@pytest.mark.parametrize(
    "template",
    [
        "{% set n = namespace(t='aaaaaaaaaa') %}{% for i in range(40) %}{% set n.t = n.t ~ n.t %}{% endfor %}{{ n.t }}",
        "{{ 'a'.ljust(9999999999) }}",
        "{{ '{:>9999999999}'.format('a') }}",
        "{% set t = 'a' * 9999 %}{{ t.replace('a', t).replace('a', t) }}",
        "{{ messages | tojson(indent=9999999999) }}",
    ],
)
def test_what_fills_the_memory_at_last_is_ended(template: str) -> None:
    with pytest.raises(
        DataError, match=r"chat template fails on messages of user: it needs more than 1.1 GB of memory"
    ):
        render(template + "{{ messages }}")


def test_a_template_is_ended_in_another_thread_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "LONGEST_SECONDS", 0.3)
    loops = "".join(f"{{% for {name} in range(9999) %}}" for name in "abc") + "{% endfor %}" * 3
    with ThreadPoolExecutor(1) as pool, pytest.raises(DataError, match=r"had not ended after 0.3 seconds"):
        pool.submit(render, loops + "{{ messages }}").result()


def test_nested_loops_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "LONGEST_SECONDS", 0.3)
    loops = "".join(f"{{% for {name} in range(9999) %}}" for name in "abc") + "{% endfor %}" * 3
    with pytest.raises(DataError, match=r"had not ended after 0.3 seconds"):
        render(loops + "{{ messages }}")


def test_a_chat_of_too_many_characters_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "MOST_CHARACTERS", 1000)
    with pytest.raises(DataError, match=r"wrote 5,000 characters, and 1,000 is the limit"):
        render("{% for i in range(5000) %}a{% endfor %}")


def test_what_templates_usually_do_is_accepted() -> None:
    usual = (
        CHAT_TEMPLATE + "{{ '=' * 20 }}{{ loop_index * 2 }}{% if 5 % 2 %}{% endif %}{{ 'x' | indent(4) }}{{ 100000 }}"
    )
    assert find_unbounded_operation(CHAT_TEMPLATE) is None
    assert find_unbounded_operation(usual.replace("{{ 100000 }}", "")) is None
    assert find_unbounded_operation("{{ 100000 }}{{ messages }}") is None


def test_the_loops_of_a_prompt_template_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    template = read_template("{{ source }}" + "".join(f"{{% for {n} in source %}}" for n in "abc") + "{% endfor %}" * 3)
    assert drafts.LONGEST_SECONDS == 10
    with pytest.raises(TimeoutError), limit_work(0.2):
        template.render({"source": "a" * 5000})


@pytest.mark.parametrize("template", ["{{ 7 / 0 }}", "{{ messages[9].content }}", "{{ undefined.part.part }}"])
def test_an_expression_that_fails_is_an_error_of_the_template(template: str) -> None:
    with pytest.raises(DataError, match="chat template fails on messages of user"):
        render(template)
