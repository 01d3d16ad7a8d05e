"""Budgets that are refused at once, before any library is loaded or any data is read."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from tuneoff.budget.probe import REPORT_SECONDS
from tuneoff.budget.shortage import format_minutes
from tuneoff.budget.shrink import format_sufficient_budget
from tuneoff.budget.spending import read_spent
from tuneoff.config.budget import BudgetOptions
from tuneoff.errors import BudgetError

ADVICE = "`tuneoff plan --probe` measures what the whole comparison takes, without a budget."


def require_time_to_report(budget: BudgetOptions | None, run: Path, used_seconds: float) -> None:
    """Refuse a budget that ends before a report could be written, unless the run has trials to report already.

    Args:
        used_seconds: by this command so far.

    Raises:
        BudgetError: with the least that would do.
    """
    spent = read_spent(run)
    if budget and not spent.trials:
        seconds, now = spent.seconds + used_seconds, datetime.now().astimezone()
        require_time(budget, seconds + REPORT_SECONDS, "starting and writing the report", seconds, now)


def require_time(budget: BudgetOptions, needed_seconds: float, what: str, spent_seconds: float, now: datetime) -> None:
    """Refuse a budget that is shorter than what is needed at least.

    Args:
        what: needs the time.

    Raises:
        BudgetError: with the least that would do.
    """
    allowed_seconds = budget.compute_total_seconds(spent_seconds, now)
    if allowed_seconds < needed_seconds:
        allowed, needed = format_minutes(allowed_seconds), format_minutes(needed_seconds)
        raise BudgetError(
            f"The budget allows {allowed}, but {what} takes {needed} at least, before any training. Nothing was "
            f"started. Write budget={format_sufficient_budget(needed_seconds)} or more. {ADVICE}"
        )
