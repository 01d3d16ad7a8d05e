"""The rounds of a comparison that runs until it is decided, with trials that take no time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.analysis.test_sequential import SEEDS, make_run
from tuneoff.analysis.comparison import judge
from tuneoff.analysis.sequential import replay_rounds
from tuneoff.api.rounds import run_until_decided
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.report.sentences import describe_verdict
from tuneoff.runner.listener import Listener, SilentListener, Tallies, Tally
from tuneoff.runs import Run

COMPLETE = make_run()


class Machine:
    """Has the records of all trials, and hands out those of the trials that are run, at most so many."""

    def __init__(self, budget: int = 1000) -> None:
        self.records: list[Record] = []
        self.budget = budget

    def read(self) -> tuple[Record, ...]:
        return tuple(self.records)

    def run_missing(self, recipe: Recipe, listener: Listener) -> None:
        trials = [
            r
            for seed in recipe.seeds
            for r in COMPLETE.records
            if r.trial.seed == seed and r.trial.label in recipe.methods
        ]
        for record in [r for r in trials if r not in self.records]:
            if not self.budget:
                return
            self.budget -= 1
            self.records.append(record)
            listener.on_trial_end(record, {"confirm": Tally(done=1, of=len(trials))})

    def run(self, listener: Listener | None = None) -> Run:
        run_until_decided(COMPLETE.recipe, self.read, self.run_missing, listener or SilentListener())
        return replace(COMPLETE, records=tuple(self.records))


class Notes(SilentListener):
    def __init__(self) -> None:
        self.messages: list[str] = []
        self.tallies: list[Tallies] = []

    def on_message(self, text: str) -> None:
        self.messages.append(text)

    def on_trial_end(self, record: Record, tallies: Tallies) -> None:
        self.tallies.append(tallies)


def count_trials(run: Run) -> dict[str, int]:
    return {label: sum(r.trial.label == label for r in run.records) for label in run.recipe.methods}


def test_only_methods_that_are_not_decided_get_further_seeds() -> None:
    run = Machine().run()
    dropped = replay_rounds(run.recipe, run.records).dropped["soft-prompt"].seeds
    assert count_trials(run) == {"base": 1, "lora": SEEDS, "full": SEEDS, "soft-prompt": dropped}


@pytest.mark.parametrize("budget", range(1, 14))
def test_a_run_that_ends_and_goes_on_with_a_larger_budget_is_the_same_as_one_that_does_not(budget: int) -> None:
    machine = Machine(budget)
    machine.run()
    machine.budget = 1000
    resumed, whole = machine.run(), Machine().run()
    assert {r.trial.id for r in resumed.records} == {r.trial.id for r in whole.records}
    assert replay_rounds(resumed.recipe, resumed.records) == replay_rounds(whole.recipe, whole.records)


def test_a_budget_that_ends_within_a_round_leaves_the_verdict_of_the_look_before() -> None:
    machine = Machine(budget=8)  # one of the base model, three times two in the first round, and one of the next
    partial = judge(machine.run())
    assert partial.partial is not None
    assert partial.rounds is not None
    assert [look.seeds for look in partial.rounds.looks] == [2]
    assert describe_verdict(partial).headline.startswith("Partial result: ")


def test_a_decided_run_trains_nothing_more() -> None:
    machine = Machine()
    machine.run()
    trials, machine.budget = len(machine.records), 1000
    machine.run()
    assert len(machine.records) == trials


def test_the_listener_hears_what_each_look_decided_and_how_many_trials_there_may_be() -> None:
    notes = Notes()
    Machine().run(notes)
    assert notes.messages[0].endswith(f"at most {SEEDS}.")
    assert any("soft-prompt is worse than" in message for message in notes.messages)
    first, last = notes.tallies[0]["confirm"], notes.tallies[-1]["confirm"]
    assert (first.of, first.is_most) == (7 + 3 * (SEEDS - 2), True)  # 7 in the first round, with the base model
    assert not last.is_most
