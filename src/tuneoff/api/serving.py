"""Serve what runs trained over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tuneoff.api.comparisons import load_comparison
from tuneoff.errors import RunError
from tuneoff.runs import RunDirectory
from tuneoff.runs.votes import FILE, read_votes

if TYPE_CHECKING:
    from tuneoff.analysis.comparison import Comparison
    from tuneoff.serving.http.page.content import PageContent
    from tuneoff.serving.limits import ServerLimits
    from tuneoff.serving.requests import ArmInfo

HOST, PORT = "127.0.0.1", 8000


@dataclass(frozen=True, kw_only=True)
class Serving:
    """A server that accepts requests: where, and which models."""

    address: str
    arms: Sequence[ArmInfo]
    votes: Path


def serve(
    runs: Sequence[str | Path],
    *,
    arms: Sequence[str] | None = None,
    host: str = HOST,
    port: int = PORT,
    key: str | None = None,
    votes: str | Path | None = None,
    limits: ServerLimits | None = None,
    on_ready: Callable[[Serving], None] = lambda _: None,
) -> None:
    """Serve the base model of some runs and what each method trained, with OpenAI's API and a page to compare answers.

    Returns after Ctrl-C or SIGTERM, when the open answers are finished or their time is over.

    Args:
        runs: run directories with one base model. With several, an arm is called `RUN/LABEL`.
        arms: which of them; by default all that finished.
        port: 0 takes any free one.
        key: that requests must bring as `Authorization: Bearer KEY`. Only this machine may ask without one.
        votes: where the votes of the page are stored; by default in the run, or beside the first of several.
        on_ready: called once requests are accepted.

    Raises:
        RunError: a run or an arm cannot be served, the port is taken, or another machine could ask without a key.
        ModelError: the base model cannot be loaded.
    """
    try:
        from tuneoff.serving.http.app import build_app
        from tuneoff.serving.http.guards import is_loopback
        from tuneoff.serving.http.server import Server, listen
    except ImportError as error:
        raise RunError(f"The server needs {error.name}. Install it: pip install 'tuneoff[serve]'") from error
    from tuneoff.serving import open_engine
    from tuneoff.serving.limits import ServerLimits

    limits = limits or ServerLimits()
    if not is_loopback(host) and not key:
        raise RunError(
            f"At {host} other machines could use this server. Set a key with --api-key-env, or leave --host out to "
            "serve this machine alone."
        )
    comparisons = [load_comparison(run) for run in runs]
    votes_file = Path(votes) if votes else _choose_votes_file([Path(run) for run in runs])
    read_votes(votes_file)  # so that a file of something else is found now
    with listen(host, port) as listener:
        engine = open_engine(
            runs,
            arms,
            max_rows=limits.rows,
            max_waiting=limits.waiting,
            max_cache_tokens=limits.cache_tokens,
            max_arm_bytes=limits.arm_bytes,
        )
        app = build_app(engine, key=key, limits=limits, content=_describe(comparisons, votes_file))
        server = Server(app, listener, drain_seconds=limits.drain_seconds)
        engine.start()
        try:
            server.run(lambda: on_ready(Serving(address=server.address, arms=engine.arms(), votes=votes_file)))
        finally:
            engine.stop()


def _choose_votes_file(runs: Sequence[Path]) -> Path:
    """Several runs have their votes beside the first: the arms are not those of one run."""
    return RunDirectory(runs[0]).votes_file if len(runs) == 1 else runs[0].resolve().parent / FILE


def _describe(comparisons: Sequence[Comparison], votes_file: Path) -> PageContent:
    from tuneoff.report.sentences import describe_verdict
    from tuneoff.serving.http.page.content import PageContent
    from tuneoff.serving.http.page.examples import list_examples

    names = [comparison.run.recipe.name for comparison in comparisons]
    verdicts = [describe_verdict(comparison).headline for comparison in comparisons]
    finished = [row.finished[0] for row in comparisons[0].rows if row.finished]
    return PageContent(
        title=", ".join(names),
        verdict=" ".join(verdicts)
        if len(names) == 1
        else " ".join(f"{name}: {verdict}" for name, verdict in zip(names, verdicts, strict=True)),
        examples=list_examples(finished[0]) if finished else [],
        votes_file=votes_file,
    )
