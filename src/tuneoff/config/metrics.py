"""The options of metrics."""

from typing import Literal

RougeTokenizer = Literal["english", "words", "characters"]
