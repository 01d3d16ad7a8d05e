"""Hand over a trained model in the form that another tool takes. A new form is one file and one entry in `FORMATS`."""

from tuneoff.exports.adapter import ADAPTER
from tuneoff.exports.format import ExportOptions, Format
from tuneoff.exports.gguf import GGUF
from tuneoff.exports.gguf_lora import GGUF_LORA
from tuneoff.exports.merged import MERGED
from tuneoff.exports.ollama import OLLAMA
from tuneoff.exports.prompt_embeds import PROMPT_EMBEDS
from tuneoff.exports.vllm import VLLM

FORMATS: dict[str, Format] = {one.name: one for one in (ADAPTER, MERGED, GGUF, GGUF_LORA, OLLAMA, VLLM, PROMPT_EMBEDS)}

__all__ = ["FORMATS", "ExportOptions", "Format"]
