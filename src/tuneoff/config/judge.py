"""A judge: a language model that says which of two answers is better."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator

from tuneoff.config.base import Options

LOCAL = "local"  # the one value of `endpoint` that is no address: the model runs in this process
VARIABLES = ("source", "reference", "first", "second")  # of the prompt
PROMPT = """\
Compare two answers to the same task.

Task:
{{ source }}
{% if reference %}
A correct answer, which need not be the only one:
{{ reference }}
{% endif %}
Answer A:
{{ first }}

Answer B:
{{ second }}

Which answer does the task better? Judge what it says and not how long it is. Reply with one word: A, B or tie."""


class JudgeOptions(Options):
    """A language model that compares each method's answers with those of the base model, or with the references.

    Each pair is asked in both orders. These options change no trial: a judge can be added to a finished run, and what
    it answered is kept in the run.
    """

    model: str
    """The name of the model at the endpoint; with `endpoint: local`, a model as in `model.name`."""
    endpoint: str | None = None
    """The address of an API like OpenAI's, such as `http://localhost:8000/v1`; null is OpenAI's own, and `local` runs
    the model in this process."""
    api_key_variable: str = Field("OPENAI_API_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """The environment variable that holds the key of the endpoint. The key itself is never stored."""
    against: Literal["base", "reference"] = "base"
    """Compare with the base model's answer, or with the reference."""
    prompt: str = PROMPT
    """A Jinja template of the question with `first` and `second`, the two answers, and `source` and `reference`. The
    reference is empty in a comparison with it. The last line of a reply must be A, B or tie."""
    examples: PositiveInt | None = None
    """Test examples to judge, evenly spaced over the split; null judges all of them."""
    parameters: Mapping[str, Any] = {"temperature": 0, "max_tokens": 512}  # Any: whatever the endpoint takes
    """Parameters of each request, such as `temperature`."""
    timeout_seconds: Annotated[float, Field(gt=0)] = 60.0
    """How long to wait for a reply."""
    retries: NonNegativeInt = 5
    """How often to ask again if the endpoint fails or is busy, each time after a longer pause."""
    parallel: PositiveInt = 8
    """Requests at the same time."""

    @field_validator("endpoint")
    @classmethod
    def _require_plain_address(cls, endpoint: str | None) -> str | None:
        if endpoint in {None, LOCAL}:
            return endpoint
        parts = urlsplit(endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("an endpoint is an address such as http://localhost:8000/v1, or local")
        if parts.username or parts.password or parts.query:
            raise ValueError(
                "an endpoint with a key in its address would be stored with it: put the key into an environment "
                "variable, and name that in api_key_variable"
            )
        return endpoint

    @field_validator("prompt")
    @classmethod
    def _require_both_answers(cls, prompt: str) -> str:
        from jinja2 import Environment, TemplateSyntaxError, meta

        try:
            names = meta.find_undeclared_variables(Environment().parse(prompt))
        except TemplateSyntaxError as error:
            raise ValueError(f"the prompt of a judge is not a Jinja template: {error}") from None
        if unknown := sorted(names - set(VARIABLES)):
            raise ValueError(f"the prompt of a judge has no {unknown[0]!r}: it may use {', '.join(VARIABLES)}")
        if not {"first", "second"} <= names:
            raise ValueError("the prompt of a judge needs both answers: write {{ first }} and {{ second }}")
        return prompt
