"""The command line: read, call, print."""

from tuneoff.cli.commands import app, main

__all__ = ["app", "main"]
