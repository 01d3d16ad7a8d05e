"""A language model as lm-evaluation-harness wants it, on our own scoring and generation.

Its own model class generates through transformers with padding on the left, which a soft prompt cannot have: answers
would depend on the batch. This module needs the extra `tuneoff[benchmarks]`, so import it only where a benchmark runs.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import handle_stop_sequences, has_bos_prefix, normalize_gen_kwargs
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from tuneoff.data.batches import chunk
from tuneoff.errors import DataError
from tuneoff.models.generation import generate
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.precision import to_float64
from tuneoff.models.sampling import Sampling
from tuneoff.models.stop_strings import cut_at_stop
from tuneoff.runtime.context import TrialContext
from tuneoff.runtime.micro_batch import MicroBatch
from tuneoff.runtime.progress import Progress

Request = Any  # the harness's `Instance`: `args` is what is asked
Scored = tuple[float, bool]  # the log-probability of a continuation in nats, and whether greedy decoding writes it
Result = TypeVar("Result")

NEW_TOKENS = 256  # of an answer if its task does not say, as in the harness
IGNORED = {"max_length", "pad_token_id", "use_cache", "num_return_sequences"}  # of transformers, without effect here
SUPPORTED = {"do_sample", "temperature", "top_p", "top_k", "num_beams"}


class HarnessModel(TemplateLM):  # type: ignore[misc]  # the harness is not typed for us
    """A base or tuned model. Scores and texts do not depend on the batch size.

    Args:
        model: ready for inference.
        batch_size: texts in one forward pass; it gets smaller when memory runs out.
        max_length: positions for text; a longer one loses its beginning.
    """

    def __init__(self, model: LanguageModel, context: TrialContext, *, batch_size: int, max_length: int) -> None:
        super().__init__()
        self.tokenizer = model.tokenizer
        self.max_length = max_length
        self.texts_cut = 0  # how many texts lost their beginning
        self._model, self._context = model, context
        self._micro_batch = MicroBatch(batch_size)

    @property
    def eot_token_id(self) -> int:
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """The token before a text that stands alone."""
        bos: int | None = self.tokenizer.bos_token_id
        return self.eot_token_id if bos is None else bos

    @property
    def tokenizer_name(self) -> str:
        return self._model.known_as

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        return render_chat(self.tokenizer, chat_history, add_generation_prompt)

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        options: dict[str, bool] = {} if add_special_tokens is None else {"add_special_tokens": add_special_tokens}
        if add_special_tokens is None and has_bos_prefix(string, self.tokenizer.decode(self.prefix_token_id)):
            options["add_special_tokens"] = False
        tokens: list[int] = self.tokenizer.encode(string, **options)
        return tokens

    def loglikelihood(self, requests: Sequence[Request], **_: Any) -> list[Scored]:
        scored: list[Scored] = super().loglikelihood(requests, disable_tqdm=True)
        return scored

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, list[int], list[int]]], **_: Any
    ) -> list[Scored]:  # Any: the texts, which are not needed
        texts = [self._cut(context + continuation, self.max_length) for _, context, continuation in requests]
        scored_tokens = [len(continuation) for _, _, continuation in requests]
        for text, scored in zip(texts, scored_tokens, strict=True):
            if not 0 < scored < len(text):
                raise DataError(
                    f"A benchmark scores a text of {scored} tokens after {len(text) - scored} others, and the model "
                    f"has {self.max_length} positions. Leave the task out of evaluation.benchmarks."
                )

        def score(rows: Sequence[int]) -> list[Scored]:
            return self._score([texts[row] for row in rows], [scored_tokens[row] for row in rows])

        return self._run_batches([len(text) for text in texts], score)

    @torch.no_grad()
    def _score(self, texts: Sequence[Sequence[int]], scored_tokens: Sequence[int]) -> list[Scored]:
        """Score the last tokens of each text, in one batch."""
        lengths_B1 = torch.tensor([[len(text)] for text in texts])
        scored_B1 = torch.tensor(scored_tokens)[:, None]
        positions_1T = torch.arange(int(lengths_B1.max()))[None]
        tokens_BT = torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(text) for text in texts], batch_first=True, padding_value=self.tokenizer.pad_token_id
        )
        attention_BT = positions_1T < lengths_B1
        is_scored_BT = attention_BT & (positions_1T >= lengths_B1 - scored_B1)
        device = self._model.network.device
        logits_NV = self._model.logits(tokens_BT.to(device), attention_BT.to(device), is_scored_BT.to(device)).float()
        targets_N = tokens_BT[is_scored_BT].to(device)
        scores_N = to_float64(logits_NV.log_softmax(dim=-1).gather(1, targets_N[:, None])[:, 0])
        is_greedy_N = logits_NV.argmax(dim=-1) == targets_N
        sizes = list(scored_tokens)
        parts = zip(torch.split(scores_N, sizes), torch.split(is_greedy_N, sizes), strict=True)
        return [(float(scores.sum()), bool(is_greedy.all())) for scores, is_greedy in parts]

    def loglikelihood_rolling(self, requests: Sequence[Request], **_: Any) -> list[float]:
        windows_by_request = [
            [(None, *make_disjoint_window(window)) for window in self._list_windows(text)]
            for (text,) in (request.args for request in requests)
        ]
        scores = iter(self._loglikelihood_tokens([w for windows in windows_by_request for w in windows]))
        return [sum(next(scores)[0] for _ in windows) for windows in windows_by_request]

    def _list_windows(self, text: str) -> Iterable[tuple[list[int], list[int]]]:
        windows: Iterable[tuple[list[int], list[int]]] = get_rolling_token_windows(
            token_list=self.tok_encode(text),
            prefix_token=self.prefix_token_id,
            max_seq_len=self.max_length - 1,  # our forward pass also reads the last token, which nothing follows
            context_len=1,
        )
        return windows

    def generate_until(self, requests: Sequence[Request], **_: Any) -> list[str]:
        groups: dict[str, list[int]] = defaultdict(list)  # requests with equal options, and the same one once
        seen: Counter[str] = Counter()
        for number, request in enumerate(requests):
            key = json.dumps(request.args, sort_keys=True, default=str)
            groups[json.dumps([request.args[1], seen[key]], sort_keys=True, default=str)].append(number)
            seen[key] += 1
        text_by_number: dict[int, str] = {}
        for key, numbers in groups.items():
            options, repeat = requests[numbers[0]].args[1], json.loads(key)[1]
            texts = self._generate([requests[number].args[0] for number in numbers], options, seed=repeat)
            text_by_number.update(zip(numbers, texts, strict=True))
        return [text_by_number[number] for number in range(len(requests))]

    def _generate(self, prompts: Sequence[str], options: Mapping[str, Any], *, seed: int) -> list[str]:
        """Return the text after each prompt, before the first stop string."""
        kwargs = dict(normalize_gen_kwargs(dict(options), NEW_TOKENS))
        eos = self.tokenizer.decode([self.eot_token_id])
        stops = [stop for stop in handle_stop_sequences(kwargs.pop("until"), eos) if stop]
        max_new_tokens = kwargs.pop("max_gen_toks")
        sampling, beams = _read_choice(kwargs, seed)
        if self.max_length <= max_new_tokens:
            raise DataError(
                f"A benchmark asks for answers of {max_new_tokens} tokens, and the model has {self.max_length} "
                "positions. Leave the task out of evaluation.benchmarks."
            )
        rows_tokens = [self._cut(self.tok_encode(prompt), self.max_length - max_new_tokens) for prompt in prompts]

        def write(rows: Sequence[int]) -> list[str]:
            prompts_1T = [torch.tensor(rows_tokens[row]) for row in rows]
            pad = self.tokenizer.pad_token_id
            tokens_BT = torch.nn.utils.rnn.pad_sequence(
                prompts_1T, batch_first=True, padding_value=pad, padding_side="left"
            )
            attention_BT = torch.nn.utils.rnn.pad_sequence(
                [torch.ones_like(prompt) for prompt in prompts_1T], batch_first=True, padding_side="left"
            )
            device = self._model.network.device
            generated_BN = generate(
                self._model, tokens_BT.to(device), attention_BT.to(device),
                max_new_tokens=max_new_tokens, beams=beams, stops=stops, sampling=sampling,
            )  # fmt: skip
            texts = self.tokenizer.batch_decode(generated_BN, skip_special_tokens=True)
            return [cut_at_stop(text, stops) for text in texts]

        return self._run_batches([len(tokens) for tokens in rows_tokens], write)

    def _cut(self, tokens: list[int], limit: int) -> list[int]:
        self.texts_cut += len(tokens) > limit
        return tokens[-limit:]

    def _run_batches(self, lengths: Sequence[int], work: Callable[[Sequence[int]], list[Result]]) -> list[Result]:
        """Call `work` with batches of rows, the longest first, and return its results in the order of the rows."""
        ordered = sorted(range(len(lengths)), key=lambda row: -lengths[row])
        result_by_row: dict[int, Result] = {}

        def run(rows: Sequence[int], size: int) -> list[Result]:
            return [result for part in chunk(rows, size) for result in work(part)]

        with self._context.accelerator.autocast():
            for rows in chunk(ordered, self._micro_batch.size):
                results = self._micro_batch.run_until_it_fits(partial(run, rows))
                result_by_row.update(zip(rows, results, strict=True))
                progress = Progress(phase="benchmarks", done=len(result_by_row), of=len(lengths))
                self._context.on_progress(progress)
        return [result_by_row[row] for row in range(len(lengths))]


def get_new_tokens(options: Mapping[str, Any]) -> int:
    """Return the most tokens of an answer with these options of a task."""
    return int(normalize_gen_kwargs(dict(options), NEW_TOKENS)["max_gen_toks"])


def render_chat(tokenizer: Any, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
    """Return the messages of a chat as the tokenizer's template writes them; the last one goes on unless it is done."""
    text: str = tokenizer.apply_chat_template(
        chat_history,
        tokenize=False,
        add_generation_prompt=add_generation_prompt,
        continue_final_message=not add_generation_prompt,
    )
    return text


def _read_choice(kwargs: Mapping[str, Any], seed: int) -> tuple[Sampling | None, int]:
    """Return how tokens are sampled, None without sampling, and the number of beams.

    Raises:
        DataError: the task sets an option that would have no effect.
    """
    unknown = kwargs.keys() - SUPPORTED - IGNORED
    if unknown:
        raise DataError(
            f"A benchmark sets generation_kwargs.{sorted(unknown)[0]}, which is not supported. Supported are until, "
            f"max_gen_toks, {', '.join(sorted(SUPPORTED))}. Remove it from a YAML file of your own, or leave the task "
            "out of evaluation.benchmarks."
        )
    beams = int(kwargs.get("num_beams", 1))
    if not kwargs.get("do_sample"):
        return None, beams
    temperature, top_p, top_k = (kwargs.get(name) for name in ("temperature", "top_p", "top_k"))
    sampling = Sampling(
        temperature=float(temperature or 1.0),
        top_p=None if top_p is None else float(top_p),
        top_k=int(top_k) if top_k else None,
        seed=seed,
    )
    return sampling, beams
