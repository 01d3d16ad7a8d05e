"""Speed, measured: tuneoff beside the stack that a practitioner would use instead. `python -m benchmarks --help`."""
