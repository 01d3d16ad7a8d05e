"""How a run asks one of its models and lets it answer, for requests that want the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuneoff.config.data import DataOptions
from tuneoff.config.evaluation import EvaluationOptions
from tuneoff.data.example import Row
from tuneoff.data.other_prompts import PromptWriter
from tuneoff.data.unanswered import has_chats
from tuneoff.errors import DataError
from tuneoff.evaluation.labels import LabelSet
from tuneoff.runner.asking import encode_unanswered
from tuneoff.serving.requests import LabelChoice, Sampling


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """How a run asks a model, and how the model answers.

    Args:
        writer: of the prompts.
        sampling: how the run lets the model answer.
        writes_chats: whether chats get these prompts too, because the model is nothing without them.
    """

    writer: PromptWriter
    sampling: Sampling
    writes_chats: bool = False

    def render(self, fields: str | Row | Sequence[Row]) -> tuple[int, ...]:
        """Return the tokens of a prompt, as the model saw it in the run.

        Args:
            fields: a source text; a row with the columns that the template uses; or the messages of a chat.

        Raises:
            DataError: the row lacks a column that the template uses, or the chat does not fit the template.
        """
        return tuple(encode_unanswered([fields], self.writer)[0])

    def render_chat(self, messages: Sequence[Row]) -> tuple[int, ...]:
        """Return the tokens of a prompt for a chat. If the run's rows are no chats, it is a single text.

        Raises:
            DataError: the chat does not fit the template, or has several messages.
        """
        if has_chats(self.writer.options):
            return self.render(messages)
        if len(messages) != 1:
            raise DataError(
                f"The prompt of this model has one text, and the chat has {len(messages)} messages. Send one message."
            )
        return self.render(messages[0]["content"])


def make_sampling(
    evaluation: EvaluationOptions, data: DataOptions, stops: Sequence[str], labels: LabelSet | None
) -> Sampling:
    """Return how a run lets its models answer. Of beams, which need rows of their own, there is one.

    Args:
        stops: that the prompts bring with them.
        labels: that answers are chosen from; None: any text.
    """
    options, of_labels = evaluation.generation, evaluation.labels
    choice = None
    if labels is not None:
        per_token = of_labels is not None and of_labels.per_token
        choice = LabelChoice(labels=labels, by_likelihood=options.constrain_to is None, per_token=per_token)
    return Sampling(
        max_tokens=labels.longest if labels else options.max_new_tokens or data.max_target_tokens,
        min_tokens=options.min_new_tokens,
        temperature=options.temperature or 0.0,
        top_p=1.0 if options.top_p is None else options.top_p,
        top_k=options.top_k,
        seed=options.seed if options.temperature else None,
        stop=() if labels else (*options.stop, *stops),
        labels=choice,
    )
