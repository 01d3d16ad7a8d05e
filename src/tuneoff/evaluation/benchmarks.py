"""Benchmarks: tasks of lm-evaluation-harness, asked of the base model and of every tuned model.

The harness builds the questions and scores the answers; our own model class answers. All models get exactly the same
questions, which a fingerprint checks: the harness draws solved examples from a generator that goes on between models.

lm-evaluation-harness is imported only where a recipe has benchmarks.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tuneoff.config.evaluation import BenchmarkOptions
from tuneoff.errors import DataError
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.rope import count_positions
from tuneoff.records.record import BenchmarkScore
from tuneoff.runtime.context import TrialContext
from tuneoff.runtime.progress import Progress
from tuneoff.system.progress_bars import limit_progress_bars

Tasks = Mapping[str, Any]  # the harness's tasks, by name

SEED = 1234  # of the choice of solved examples, as in the harness
NO_FILTER = "none"  # what the harness calls answers as they are
INSTALL = "Benchmarks need lm-evaluation-harness: pip install 'tuneoff[benchmarks]'"


@dataclass(frozen=True, kw_only=True)
class Benchmarks:
    """Loaded tasks.

    Args:
        loaded: what the harness's task manager returned: tasks, groups and their relation.
        fingerprints: a hash of each task's questions, in the order of the tasks' names.
        lower_is_better: the metrics of which that is true, such as "my_task/error".
    """

    options: BenchmarkOptions
    loaded: Mapping[str, Any]
    fingerprints: Mapping[str, str]
    lower_is_better: tuple[str, ...]


def load_benchmarks(options: BenchmarkOptions, tokenizer: Any) -> Benchmarks:
    """Load the tasks and their data, and build their questions once.

    Raises:
        DataError: the harness is not installed, or a task cannot be loaded or used.
    """
    try:
        from lm_eval.tasks import TaskManager
        from lm_eval.tasks._yaml_loader import load_yaml
    except ImportError as error:
        raise DataError(f"{INSTALL} ({error})") from error
    paths = {name: Path(name).expanduser() for name in options.tasks if Path(name).suffix in {".yaml", ".yml"}}
    if missing := [name for name, path in paths.items() if not path.is_file()]:
        raise DataError(f"evaluation.benchmarks: there is no file {missing[0]}.")
    with _silence_harness():
        manager = TaskManager(include_defaults=len(paths) < len(options.tasks))
        _require_known(manager, [name for name in options.tasks if name not in paths])
        try:
            loaded = manager.load([load_yaml(paths[name]) if name in paths else name for name in options.tasks])
            for task in loaded["tasks"].values():
                _prepare(task, options)
            _build_questions(loaded["tasks"], options, tokenizer)
        except DataError:
            raise
        except Exception as error:  # whatever a task's own code, its data or the hub raises
            raise DataError(
                f"evaluation.benchmarks cannot be loaded: {type(error).__name__}: {error}. Download the data of a task "
                "first if this machine is offline, or leave the task out."
            ) from error
        lower_is_better = tuple(
            f"{name}/{metric}"
            for name, task in loaded["tasks"].items()
            for metric in _list_metrics(task)
            if not task.higher_is_better().get(metric, True)
        )
    return Benchmarks(
        options=options,
        loaded=loaded,
        fingerprints=_compute_fingerprints(loaded["tasks"]),
        lower_is_better=lower_is_better,
    )


def _require_known(manager: Any, names: Sequence[str]) -> None:
    import difflib

    for name in names:
        if name not in manager.all_tasks:
            near = difflib.get_close_matches(name, manager.all_tasks, n=3)
            hint = f" Did you mean {', '.join(near)}?" if near else ""
            raise DataError(
                f"evaluation.benchmarks: lm-evaluation-harness has no task {name!r}.{hint} `lm-eval ls tasks` lists "
                "its tasks; the name of a file of your own ends in .yaml."
            )


def _prepare(task: Any, options: BenchmarkOptions) -> None:
    if getattr(task, "UNSAFE_CODE", False):
        raise DataError(f"{task.task_name} runs code that a model wrote, which is not supported.")
    own = task.get_config("num_fewshot")
    if own != 0:  # a task that sets 0 itself has its examples in the question
        task.set_config(key="num_fewshot", value=own or 0 if options.few_shot is None else options.few_shot)
    if not _list_metrics(task):
        raise DataError(
            f"No metric of {task.task_name} is a mean over examples, so no interval can be given. Leave it out."
        )


def _list_metrics(task: Any) -> list[str]:
    """Return the metrics that are means of one number for each example."""
    from lm_eval.api.metrics import mean

    return [name for name, aggregate in task.aggregation().items() if aggregate is mean]


def _build_questions(tasks: Tasks, options: BenchmarkOptions, tokenizer: Any) -> None:
    for task in tasks.values():
        task.set_fewshot_seed(seed=SEED)
        task.build_all_requests(limit=options.limit, **_make_chat_options(options, tokenizer))


def _make_chat_options(options: BenchmarkOptions, tokenizer: Any) -> dict[str, Any]:
    if not options.chat_template:
        return {}
    if not tokenizer.chat_template:
        raise DataError("evaluation.benchmarks.chat_template is on, and the tokenizer has no chat template.")
    from tuneoff.evaluation.harness_model import render_chat

    return {
        "apply_chat_template": True,
        "fewshot_as_multiturn": True,
        "chat_template": partial(render_chat, tokenizer),
    }


def _compute_fingerprints(tasks: Tasks) -> dict[str, str]:
    """Hash what each task asks, with the choices and the options of generation, and the version of the harness."""
    fingerprints = {}
    harness = version("lm_eval")
    for name, task in sorted(tasks.items()):
        asked = [[i.request_type, i.doc_id, i.idx, i.repeats, i.args] for i in task.instances]
        text = json.dumps([harness, asked, _list_metrics(task)], default=str)
        fingerprints[name] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return fingerprints


def list_questions(benchmarks: Benchmarks) -> tuple[list[str], list[tuple[str, int]]]:
    """Return the texts that a model scores, and the prompts that it answers with the most tokens of an answer."""
    from tuneoff.evaluation.harness_model import get_new_tokens

    requests = [request for task in benchmarks.loaded["tasks"].values() for request in task.instances]
    answered = [request for request in requests if request.request_type == "generate_until"]
    texts = ["".join(request.args) for request in requests if request.request_type != "generate_until"]
    prompts = [
        (request.args[0], get_new_tokens(request.args[1])) for request in answered for _ in range(request.repeats)
    ]
    return texts, prompts


def run_benchmarks(
    model: LanguageModel, benchmarks: Benchmarks, context: TrialContext, *, context_tokens: int
) -> tuple[tuple[BenchmarkScore, ...], int]:
    """Return the scores of each example, by task and then in the order of its data, and how many texts were cut.

    Args:
        model: ready for inference.
        context_tokens: positions that the method takes from the model's context.
    """
    from lm_eval.evaluator import evaluate

    from tuneoff.evaluation.harness_model import HarnessModel

    options = benchmarks.options
    positions = count_positions(model.base.config) or model.tokenizer.model_max_length
    answering = HarnessModel(model, context, batch_size=options.batch_size, max_length=int(positions) - context_tokens)
    tasks = benchmarks.loaded["tasks"]
    model.eval()
    context.on_progress(Progress(phase="benchmarks"))
    with context.meter.phase("benchmarks"), _silence_harness():
        for task in tasks.values():
            task.set_fewshot_seed(seed=SEED)
        results = evaluate(
            lm=answering,
            task_dict=dict(benchmarks.loaded),
            limit=options.limit,
            bootstrap_iters=0,
            apply_chat_template=options.chat_template,
            fewshot_as_multiturn=options.chat_template,
        )
    if _compute_fingerprints(tasks) != benchmarks.fingerprints:
        raise RuntimeError("a benchmark asked this model other questions than the others")
    scores = [score for name in sorted(tasks) for score in _collect_scores(name, tasks[name], results["samples"][name])]
    return tuple(scores), answering.texts_cut


def _collect_scores(name: str, task: Any, samples: Sequence[Mapping[str, Any]]) -> Iterator[BenchmarkScore]:
    """Yield the scores of each example. The harness has a sample for each example and filter of answers."""
    metrics = _list_metrics(task)
    filters = list(dict.fromkeys(sample["filter"] for sample in samples))
    by_row: dict[int, dict[str, float]] = {}
    text_by_row: dict[int, str] = {}
    for sample in samples:
        end = f",{sample['filter']}" if len(filters) > 1 or sample["filter"] != NO_FILTER else ""
        values = {f"{metric}{end}": float(sample[metric]) for metric in metrics if metric in sample}
        by_row.setdefault(sample["doc_id"], {}).update(values)
        response = sample["resps"][0][0]
        if isinstance(response, str):
            text_by_row[sample["doc_id"]] = response
    for row, values in sorted(by_row.items()):
        yield BenchmarkScore(task=name, row=row, scores=values, prediction=text_by_row.get(row))


@contextlib.contextmanager
def _silence_harness() -> Iterator[None]:
    """Hide the progress bars and messages of the harness, so that they do not mix with ours."""
    from datasets import disable_progress_bars, enable_progress_bars

    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    disable_progress_bars()
    try:
        with limit_progress_bars():
            yield
    finally:
        enable_progress_bars()
        logger.setLevel(level)
