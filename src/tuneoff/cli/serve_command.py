"""The command that serves what runs trained."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuneoff.cli.application import app, format_examples
from tuneoff.errors import RunError

if TYPE_CHECKING:
    from tuneoff.api.serving import Serving


@app.command(
    epilog=format_examples(
        "serve runs/fair",
        "serve runs/fair --arms base,lora --port 9000",
        "serve runs/fair runs/other",
        "serve runs/fair --host 0.0.0.0 --api-key-env MY_KEY",
    )
)
def serve(
    runs: Annotated[list[Path], typer.Argument(help="Run directories with the same base model.", metavar="RUN...")],
    port: Annotated[int, typer.Option(help="0 takes any free one.", min=0, max=65_535)] = 8000,
    host: Annotated[str, typer.Option(help="Other machines can reach another host than this; that needs a key.")] = (
        "127.0.0.1"
    ),
    arms: Annotated[
        str | None, typer.Option(help="Methods, as the recipe labels them.", metavar="A,B", show_default="all")
    ] = None,
    api_key_env: Annotated[
        str | None,
        typer.Option(
            "--api-key-env", help="The environment variable with the key that requests must bring.", metavar="NAME"
        ),
    ] = None,
    votes: Annotated[
        Path | None,
        typer.Option(help="The file of the page's votes.", metavar="FILE", show_default="votes.sqlite in the run"),
    ] = None,
    max_rows: Annotated[int, typer.Option(help="Requests answered at the same time.", min=1)] = 32,
    max_waiting: Annotated[int, typer.Option(help="More requests that may wait; further ones get 429.", min=0)] = 256,
    max_cache_tokens: Annotated[int, typer.Option(help="Positions of keys and values for all rows.", min=1)] = 65_536,
    arm_memory: Annotated[
        float | None,
        typer.Option(
            help="GB for all models besides the base model; those unused for longest are read again when asked.",
            min=0,
            show_default="half of what is free",
        ),
    ] = None,
    max_body_bytes: Annotated[int, typer.Option(help="Of a request.", min=1)] = 1_000_000,
    max_seconds: Annotated[float, typer.Option(help="For an answer.", min=0.1)] = 600.0,
    drain_seconds: Annotated[float, typer.Option(help="For open answers when the server is stopped.", min=0)] = 10.0,
) -> None:
    """Serve the base model and all trained models of runs, in batches that mix them.

    The API is OpenAI's: each method is a model, by its label. The page at / shows the answers of all models side by
    side, and people can vote without knowing which is which. Stop with Ctrl-C.
    """
    from tuneoff import api
    from tuneoff.serving.limits import ServerLimits

    limits = ServerLimits(
        rows=max_rows, waiting=max_waiting, cache_tokens=max_cache_tokens, body_bytes=max_body_bytes,
        seconds=max_seconds, drain_seconds=drain_seconds,
        arm_bytes=None if arm_memory is None else int(1e9 * arm_memory),
    )  # fmt: skip
    names = [name.strip() for name in arms.split(",")] if arms else None
    key = _read_key(api_key_env)
    api.serve(runs, arms=names, host=host, port=port, key=key, votes=votes, limits=limits, on_ready=_announce)


def _read_key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise RunError(f"The environment variable {variable} is not set. Set it to the key that requests must bring.")
    return key


def _announce(serving: "Serving") -> None:
    from tuneoff.report.format import format_bytes

    for arm in serving.arms:
        absent = "" if arm.is_loaded else " Read when it is asked."
        print(f"  {arm.name}  {format_bytes(arm.bytes)} beside the base model.{absent} {arm.note}".rstrip())
    print(f"Page:  {serving.address}/\nAPI:   {serving.address}/v1\nVotes: {serving.votes}", flush=True)
