"""What `/metrics` says, in Prometheus' format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tuneoff.serving.http.contract import Engine

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


@final
class Meters:
    """Counts what the routes do. The engine is asked when the metrics are read."""

    def __init__(self, engine: Engine) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_EngineCollector(engine))
        self.responses = Counter(
            "tuneoff_http_responses", "Responses by route and status.", ["route", "status"], registry=self._registry
        )
        self.first_token_seconds = Histogram(
            "tuneoff_first_token_seconds",
            "From the whole request to the first token.",
            ["arm"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self.answer_seconds = Histogram(
            "tuneoff_answer_seconds",
            "From the whole request to the end of its answer.",
            ["arm"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self.gone = Counter(
            "tuneoff_clients_gone", "Clients that went away before their answer was complete.", registry=self._registry
        )

    def format(self) -> bytes:
        """Return all metrics as text."""
        return generate_latest(self._registry)


@final
class _EngineCollector(Collector):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        stats = self._engine.stats()
        yield GaugeMetricFamily("tuneoff_rows", "Requests that are being answered.", stats.rows)
        yield GaugeMetricFamily("tuneoff_waiting", "Requests that wait for a row.", stats.waiting)
        yield GaugeMetricFamily("tuneoff_cache_tokens", "Positions of caches in use.", stats.cache_tokens)
        yield CounterMetricFamily(
            "tuneoff_reused_prompt_tokens", "Tokens not read, since an earlier prompt began alike.", stats.reused_tokens
        )
        yield GaugeMetricFamily("tuneoff_arms_in_memory", "Arms that are in memory.", stats.arms)
        yield GaugeMetricFamily("tuneoff_arm_bytes", "Memory of arms besides the base model.", stats.arm_bytes)
        yield CounterMetricFamily("tuneoff_arm_loads", "Arms read into memory.", stats.arm_loads)
        yield CounterMetricFamily("tuneoff_arm_unloads", "Arms that left the memory.", stats.arm_unloads)
        yield CounterMetricFamily("tuneoff_steps", "Forward passes for one token of each row.", stats.steps)
        yield CounterMetricFamily("tuneoff_prefills", "Forward passes that read prompts.", stats.prefills)
        requests = CounterMetricFamily("tuneoff_requests", "Accepted requests by arm.", labels=["arm"])
        tokens = CounterMetricFamily("tuneoff_generated_tokens", "Generated tokens by arm.", labels=["arm"])
        for arm, count in stats.requests.items():
            requests.add_metric([arm], count)
        for arm, count in stats.tokens_by_arm.items():
            tokens.add_metric([arm], count)
        yield from (requests, tokens)
