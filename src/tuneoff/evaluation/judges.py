"""Those who judge: a model behind an API like OpenAI's, or a model in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Protocol

from tuneoff.config.judge import LOCAL, JudgeOptions
from tuneoff.errors import JudgeError, RecipeError
from tuneoff.evaluation.judge_questions import WORDS, Question, read_verdict
from tuneoff.records.judgement import Judgement

INSTALL = "A judge at an endpoint needs the client of OpenAI's API: pip install 'tuneoff[judge]'"
NO_KEY = "no-key"  # what a server gets that needs none
BATCH_SIZE = 4  # prompts in one forward pass of a judge in this process


class Judge(Protocol):
    """Answers questions, in any order."""

    def ask(self, questions: Sequence[Question]) -> Iterator[Judgement]:
        """Yield the judgements as they come.

        Raises:
            JudgeError: the endpoint does not answer. What was yielded before is valid.
        """


def require_judge(options: JudgeOptions) -> None:
    """Check what a judge needs before anything is trained.

    Raises:
        RecipeError: the client is not installed, or OpenAI's own API has no key.
    """
    if options.endpoint == LOCAL:
        return
    try:
        import openai  # noqa: F401
    except ImportError as error:
        raise RecipeError(f"{INSTALL} ({error})") from error
    if options.endpoint is None and not os.environ.get(options.api_key_variable):
        raise RecipeError(
            f"judge.model {options.model} is asked at OpenAI's API, and the environment variable "
            f"{options.api_key_variable} with the key is not set. Set it, or name another endpoint in judge.endpoint."
        )


def open_judge(options: JudgeOptions) -> Judge:
    """Return the judge that the options name."""
    require_judge(options)
    return LocalJudge(options) if options.endpoint == LOCAL else EndpointJudge(options)


class EndpointJudge:
    """A model behind an API like OpenAI's, asked by several threads. The client asks again after a failure."""

    def __init__(self, options: JudgeOptions) -> None:
        from openai import OpenAI

        self._options = options
        self._client = OpenAI(
            api_key=os.environ.get(options.api_key_variable) or NO_KEY,
            base_url=options.endpoint,
            timeout=options.timeout_seconds,
            max_retries=options.retries,
        )

    def ask(self, questions: Sequence[Question]) -> Iterator[Judgement]:
        first, *others = questions
        yield self._ask_once(first, may_refuse=False)  # alone, so that a wrong parameter is found by one request
        executor = ThreadPoolExecutor(self._options.parallel)
        try:
            futures: list[Future[Judgement]] = [
                executor.submit(self._ask_once, question, may_refuse=True) for question in others
            ]
            for future in as_completed(futures):
                yield future.result()
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
            self._client.close()  # requests that are under way are not repeated

    def _ask_once(self, question: Question, *, may_refuse: bool) -> Judgement:
        import openai

        try:
            completion = self._client.chat.completions.create(
                model=self._options.model,
                messages=[{"role": "user", "content": question.prompt}],
                **self._options.parameters,
            )
        except openai.BadRequestError as error:
            if not may_refuse:
                raise JudgeError(self._explain(error)) from error
            return Judgement(key=question.key, verdict=None, reply=f"refused: {error}", model=self._options.model)
        except openai.OpenAIError as error:
            raise JudgeError(self._explain(error)) from error
        reply = (completion.choices[0].message.content if completion.choices else None) or ""
        return Judgement(key=question.key, verdict=read_verdict(reply), reply=reply, model=completion.model)

    def _explain(self, error: Exception) -> str:
        where = self._options.endpoint or "OpenAI's API"
        return (
            f"The judge {self._options.model} at {where} does not answer: {type(error).__name__}: {error}. Everything "
            "so far is saved. Run the same `tuneoff compare` again once it does: only what is missing is asked. "
            "`tuneoff show` works without it."
        )


class LocalJudge:
    """A model in this process. It replies with the most likely of the words A, B and tie."""

    def __init__(self, options: JudgeOptions) -> None:
        from tuneoff.config.model import ModelOptions
        from tuneoff.models.loading import load_model, load_tokenizer
        from tuneoff.models.sources import find_source

        model = ModelOptions(name=options.model)
        source = find_source(model)
        self._model = load_model(source, model, load_tokenizer(source, model))
        self._name = options.model

    def ask(self, questions: Sequence[Question]) -> Iterator[Judgement]:
        import torch

        from tuneoff.data.batches import chunk
        from tuneoff.models.continuations import score_continuations

        tokenizer = self._model.tokenizer
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model.to(device)
        prompts = [self._tokenize(question.prompt) for question in questions]
        start = "" if tokenizer.chat_template else " "  # of a word that follows the prompt on the same line
        words = [word.upper() if len(word) == 1 else word for word in WORDS]
        continuations = [tokenizer(start + word, add_special_tokens=False)["input_ids"] for word in words]
        for rows in chunk(sorted(range(len(prompts)), key=lambda row: -len(prompts[row])), BATCH_SIZE):
            pad = torch.nn.utils.rnn.pad_sequence
            tokens = [torch.tensor(prompts[row]) for row in rows]
            tokens_BT = pad(tokens, batch_first=True, padding_value=tokenizer.pad_token_id, padding_side="left")
            attention_BT = pad([torch.ones_like(t) for t in tokens], batch_first=True, padding_side="left")
            scores_BC = score_continuations(self._model, tokens_BT.to(device), attention_BT.to(device), continuations)
            for row, best in zip(rows, scores_BC.argmax(dim=1).tolist(), strict=True):
                reply = words[best]
                yield Judgement(key=questions[row].key, verdict=WORDS[reply.lower()], reply=reply, model=self._name)

    def _tokenize(self, prompt: str) -> list[int]:
        tokenizer = self._model.tokenizer
        if tokenizer.chat_template:
            prompt = tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
            )
        else:
            prompt = f"{prompt}\n\nReply:"
        tokens: list[int] = tokenizer(prompt, add_special_tokens=not tokenizer.chat_template)["input_ids"]
        return tokens
