"""Memory that ran out is recognized in the errors of libraries."""

import errno

import pytest

from tuneoff.cli import application
from tuneoff.system.full_memory import explain_full_memory, is_out_of_memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried ..."),
        RuntimeError("OpenBLAS error: Memory allocation still failed after 10 retries, giving up."),
        RuntimeError("std::bad_alloc"),
        RuntimeError("can't start new thread"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
)
def test_an_error_about_memory_is_told_as_memory(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert explain_full_memory(error).startswith("Memory ran out (")


def test_the_cause_of_an_error_is_looked_at() -> None:
    error = ValueError("the file could not be read")
    error.__cause__ = MemoryError()
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [ValueError("a column is missing"), OSError(errno.ENOENT, "gone"), RuntimeError("x")])
def test_other_errors_are_not(error: Exception) -> None:
    assert not is_out_of_memory(error)


def test_a_command_that_runs_out_of_memory_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("OpenBLAS error: Memory allocation still failed after 10 retries, giving up.")

    monkeypatch.setattr(application, "app", fail)
    assert application.main(["compare", "demo"]) == 2
    assert "tuneoff: Memory ran out (RuntimeError: OpenBLAS error" in capsys.readouterr().err
