"""A GGUF file with a Modelfile, which holds the prompt of the run."""

from __future__ import annotations

import re
from pathlib import Path

from tuneoff.config.data import CHAT
from tuneoff.config.template import read_template
from tuneoff.errors import RunError
from tuneoff.exports import gguf
from tuneoff.exports.exportable import Exportable
from tuneoff.exports.format import ExportOptions, Format
from tuneoff.exports.readers import list_ends

MODELFILE = "Modelfile"


def write(exportable: Exportable, folder: Path, options: ExportOptions) -> None:
    """Write the GGUF file and the Modelfile. See `gguf.write`."""
    gguf.write(exportable, folder, options)
    (folder / MODELFILE).write_text(make_modelfile(exportable))


def make_modelfile(exportable: Exportable) -> str:
    """Return the Modelfile: greedy decoding, the run's limits, its end tokens and, without a chat, its prompt."""
    setting = exportable.record.trial.setting
    ends = exportable.model.tokenizer.convert_ids_to_tokens(list(list_ends(exportable.model)))
    new_tokens = setting.evaluation.generation.max_new_tokens or setting.data.max_target_tokens
    lines = [
        f"FROM ./{gguf.FILE}",
        "PARAMETER temperature 0",
        f"PARAMETER num_predict {new_tokens}",
        *(f'PARAMETER stop "{end}"' for end in ends),
    ]
    if setting.data.prompt not in (CHAT, None):  # for a chat, Ollama takes the template that the file contains
        lines.append(f'TEMPLATE """{_convert_template(setting.data.prompt)}"""')
    return "\n".join(lines) + "\n"


def _convert_template(prompt: str) -> str:
    """Return a prompt template with Ollama's name for what the user writes.

    Raises:
        RunError: the prompt has other columns than the source, and Ollama has one text.
    """
    names = read_template(prompt).names
    if names != {"source"}:
        raise RunError(
            f"The prompt of this run has the columns {', '.join(sorted(names))}, and a Modelfile has one text. Export "
            "the model with --as gguf, and send complete prompts."
        )
    return re.sub(r"\{\{\s*source\s*\}\}|\{source\}", "{{ .Prompt }}", prompt).rstrip()


def describe_usage(exportable: Exportable, folder: str) -> str:
    """Return the commands that run the folder."""
    name = exportable.comparison.run.recipe.name
    return f"```\ncd {folder}\nollama create {name} -f {MODELFILE}\nollama run {name}\n```"


OLLAMA = Format(
    name="ollama",
    summary="A GGUF file with a Modelfile that has the prompt of the run.",
    write=write,
    read=gguf.read,
    usage=describe_usage,
    precisions=gguf.GGUF.precisions,
    choose_precision=gguf.choose_precision,
)
