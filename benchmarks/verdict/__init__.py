"""Worlds with a known truth, and experiments on them that measure the verdict; see `benchmarks.verdict_calibration`."""
