"""Output in an encoding that lacks characters."""

import io
import os
import subprocess
import sys

import pytest

from tuneoff.system.terminal import accept_every_character_in


def write(text: str, encoding: str) -> str:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding=encoding)
    accept_every_character_in(stream)
    stream.write(text)
    stream.flush()
    return buffer.getvalue().decode(encoding)


def test_a_character_that_the_encoding_lacks_is_written_as_a_similar_one() -> None:
    assert write("lora ≈ −1.5 ± 2 × 3 │ ──", "ascii") == "lora ~ -1.5 + 2 x 3 | --"


def test_a_character_without_a_similar_one_is_written_as_its_code() -> None:
    assert write("漢\U0001f600", "ascii") == "\\u6f22\\U0001f600"


def test_what_the_encoding_has_is_written_as_it_is() -> None:
    assert write("é × ≈", "latin-1") == "é × ~"
    assert write("≈ 漢", "utf-8") == "≈ 漢"


@pytest.mark.slow
@pytest.mark.parametrize("command", [["methods"], ["--help"]])
def test_a_command_runs_where_the_output_is_ascii(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from tuneoff.cli import main; sys.exit(main())", *command],
        capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}, check=False,
    )  # fmt: skip
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
