"""A view as JSON and as HTML: for the page of `tuneoff watch --web`, and for notebooks."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from tuneoff.report.escape import escape_control
from tuneoff.watching.view import TrialView, View
from tuneoff.watching.words import MARKS, describe_progress, describe_state, describe_time, name_trial

HERE = Path(__file__).parent
CHART = (240.0, 56.0)  # pixels of a curve: width and height


def to_json(view: View) -> dict[str, Any]:  # Any: JSON values
    """Return the view as plain values, with every text made visible and in words."""
    return {
        "name": escape_control(view.name),
        "state": view.state,
        "says": describe_state(view),
        "time": describe_time(view),
        "plan": {stage: count.model_dump() for stage, count in view.plan.items()},
        "trials": [_trial_to_json(trial) for trial in view.trials],
        "workers": [escape_control(worker) for worker in view.workers],
        "methods": [escape_control(label) for label in view.methods],
        "labels": list(view.methods),
        "decided": view.verdict.is_decided,
        "verdict": list(view.verdict.lines),
        "decisions": [escape_control(decision) for decision in view.decisions],
        "budget": view.budget_seconds is not None,
    }


def _trial_to_json(trial: TrialView) -> dict[str, Any]:
    return {
        "id": trial.id,
        "name": name_trial(trial),
        "label": escape_control(trial.label),
        "state": trial.state,
        "mark": MARKS[trial.state],
        "spans": [{"worker": escape_control(s.worker), "start": s.start, "end": s.end} for s in trial.spans],
        "train": trial.train_loss,
        "validation": trial.validation_loss,
        "reason": escape_control(trial.reason),
        "progress": describe_progress(trial.last) if trial.state == "running" else "",
    }


def render_page(token: str) -> tuple[str, str]:
    """Return the page, and its content security policy: only its own script and style, and only its own server."""
    script = (HERE / "watch.js").read_text("utf-8")
    style = (HERE / "watch.css").read_text("utf-8")
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    page = (HERE / "watch.html").read_text("utf-8")
    parts: Mapping[str, str] = {"STYLE": style, "SCRIPT": script, "TOKEN": escape(token)}
    for name, text in parts.items():
        page = page.replace(f"%{name}%", text)
    return page, policy


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def render_fragment(view: View) -> str:
    """Render the view as HTML without scripts, for a notebook."""
    rows = "".join(_render_trial(trial) for trial in view.trials)
    stages = " · ".join(f"{escape(stage)} {count.done} of {count.of}" for stage, count in view.plan.items())
    verdict = "".join(f"<p>{escape(line)}</p>" for line in view.verdict.lines)
    return (
        f"<div><p><b>{escape(escape_control(view.name))}</b> · {escape(describe_state(view))}<br>"
        f"{escape(describe_time(view))}<br>{stages}</p>"
        f"<table><thead><tr><th></th><th>Trial</th><th>Training loss</th><th></th></tr></thead><tbody>{rows}</tbody>"
        f"</table>{verdict}</div>"
    )


def _render_trial(trial: TrialView) -> str:
    says = describe_progress(trial.last) if trial.state == "running" else escape_control(trial.reason)
    return (
        f"<tr><td>{MARKS[trial.state]}</td><td>{escape(name_trial(trial))}</td><td>{_draw_curve(trial)}</td>"
        f"<td>{escape(says)}</td></tr>"
    )


def _draw_curve(trial: TrialView) -> str:
    points = trial.train_loss
    if len(points) < 2:
        return ""
    (width, height), xs, ys = CHART, [x for x, _ in points], [y for _, y in points]
    left, right, low, high = min(xs), max(xs), min(ys), max(ys)
    scaled = " ".join(
        f"{(x - left) / max(1e-9, right - left) * width:.1f},{height - (y - low) / max(1e-9, high - low) * height:.1f}"
        for x, y in points
    )
    return (
        f'<svg width="{width:.0f}" height="{height:.0f}" role="img" aria-label="training loss {ys[0]:.3f} to '
        f'{ys[-1]:.3f}"><polyline points="{scaled}" fill="none" stroke="currentColor"/></svg>'
    )


def dump(view: View) -> str:
    """Format the view as JSON."""
    return json.dumps(to_json(view), allow_nan=False)
