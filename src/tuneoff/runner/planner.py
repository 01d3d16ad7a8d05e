"""The plan of a comparison, kept up to date with its records.

What a plan says follows from the recipe, the setting and the records alone. It is kept between two trials because
making it anew after each of them would take longer with every trial that is done.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import final

from tuneoff.config.search import SearchOptions
from tuneoff.data.statistics import TrainSamples
from tuneoff.errors import RunError
from tuneoff.methods import Method
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.runner.listener import Tally
from tuneoff.search import replay
from tuneoff.search.halving import count_tries
from tuneoff.search.history import choose_values
from tuneoff.search.replay import Replayer, SearchState


@final
class Planner:
    """Plans the trials of a comparison from the records so far.

    Methods that train nothing, such as the base model, come first. Then come the searches, with each part of all
    methods before the next part of any, so that an interrupted search has treated all methods equally. Last come the
    confirmed trials with the best configuration of each method, one seed of all methods after another. Where several
    trials run at once, a method is confirmed as soon as its own search is finished.

    Args:
        known: the records that exist, by trial id.
        samples: the train samples of the recipe's replicates, if it has any.
    """

    def __init__(
        self, recipe: Recipe, setting: Setting, known: Mapping[str, Record], samples: TrainSamples | None = None
    ) -> None:
        self._recipe, self._setting, self._samples = recipe, setting, samples
        self._known = dict(known)
        self._ids: dict[str, list[str]] = {}  # of the records, by label
        for id, record in known.items():
            self._ids.setdefault(record.trial.label, []).append(id)
        self._confirmed_before = {r.trial.label for r in known.values() if r.trial.stage == "confirm"}
        self._replayer = Replayer(recipe, setting)
        self._searches: dict[str, SearchState] = {}
        self._missing: dict[str, dict[str, Trial]] = {}  # by label, the search trials without a record yet, in order
        self._unfinished: set[str] = set()  # labels whose search is not finished
        self._done: Counter[tuple[str, str]] = Counter()  # trials of the plan with a record, by stage and label
        self._chosen: dict[str, Method] = {}  # by label, with what a search chose
        self._confirmed: dict[tuple[str, int], Trial] = {}  # by label and seed, as their ids are slow to compute
        self._needless: set[str] = set()  # trials whose checkpoints were said to be needless
        for label in self._replayer.spaces:
            self._replay(label)
        self._plan_confirmed()

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials that the records so far determine, in the order to run them."""
        waves = sorted((wave for search in self._searches.values() for wave in search.waves), key=lambda wave: wave[0])
        untrained, trained = self._split_confirmed()
        return (*untrained, *(trial for _, trials in waves for trial in trials), *trained)

    def find_next(self) -> Trial | None:
        """Return the next trial without a record; None if all are done."""
        return self._find_waiting(self._untrained) or self._find_search_trial() or self._find_waiting(self._trained)

    def list_open(self) -> list[Trial]:
        """Return every trial without a record that may run now, whichever of them run first, in their usual order.

        The searches do not wait for each other: each offers what is missing of its own part.
        """
        searched = [
            trial
            for label in sorted(self._missing, key=lambda label: self._searches[label].waves[-1][0])
            for trial in self._missing[label].values()
        ]
        untrained, trained = ([t for t in trials if t.id not in self._known] for trials in self._split_confirmed())
        return [*untrained, *searched, *trained]

    def _find_search_trial(self) -> Trial | None:
        """Return the next trial of the search whose part comes first; the earlier parts of each search are done."""
        waiting = [label for label, missing in self._missing.items() if missing]
        if not waiting:
            return None
        label = min(waiting, key=lambda label: self._searches[label].waves[-1][0])
        return next(iter(self._missing[label].values()))

    def _find_waiting(self, trials: deque[Trial]) -> Trial | None:
        while trials and trials[0].id in self._known:
            trials.popleft()
        return trials[0] if trials else None

    def add(self, record: Record) -> None:
        """Take a new record into account."""
        trial = record.trial
        if trial.id not in self._known:
            self._ids.setdefault(trial.label, []).append(trial.id)
            self._done[trial.stage, trial.label] += trial.id in self._missing.get(trial.label, ())
            self._done[trial.stage, trial.label] += trial.id in self._confirmed_ids
        self._known[trial.id] = record
        if trial.stage == "confirm":
            self._confirmed_before.add(trial.label)
        changed = self._list_changed_searches(trial)
        for label in changed:
            self._replay(label)
        if changed:
            self._plan_confirmed()

    def tally_stages(self) -> dict[str, Tally]:
        """Count the trials of each stage that are done and that there will be; stages without trials are left out."""
        recipe, options = self._recipe, self._recipe.search or SearchOptions()
        search_count = sum(
            len(search.trials) if search.finished else count_tries(options, search.configuration_count).trainings
            for search in self._searches.values()
        )
        pending = self._searches if self._unfinished else {}
        labels = [label for label in recipe.methods if label in self._confirmed_labels or label in pending]
        tested = {label: len(recipe.get_seeds(label)) for label in labels}
        done = {label: self._done["confirm", label] for label in recipe.methods}
        tallies = {
            "search": Tally(done=sum(self._done["search", label] for label in self._searches), of=search_count),
            "confirm": Tally(
                done=sum(done[label] for label in tested if recipe.methods[label].depends_on_seed),
                of=sum(seeds for label, seeds in tested.items() if recipe.methods[label].depends_on_seed),
            ),
            "test": Tally(done=sum(done.values()), of=sum(tested.values())),
        }
        return {stage: tally for stage, tally in tallies.items() if tally.of}

    def find_resumable(self) -> set[str]:
        """Return the ids of the search trials whose checkpoints a higher rung may still resume from."""
        return {id for label in self._searches for id in self._find_resumable(label)}

    def take_needless_checkpoints(self, label: str | None = None) -> set[str]:
        """Return the ids of the trials that ended and from which nothing resumes, each of them once.

        Args:
            label: of the method whose trials are looked at; None for all.
        """
        ids = self._known if label is None else self._ids.get(label, ())
        ended = {id for id in ids if self._known[id].status != "failed" and id not in self._needless}
        resumable = self._find_resumable(label) if label is not None else self.find_resumable()
        self._needless |= ended - resumable
        return ended - resumable

    def _find_resumable(self, label: str) -> set[str]:
        search = self._searches.get(label)
        return replay.find_resumable(search, self._recipe, self._known) if search else set()

    def _list_changed_searches(self, trial: Trial) -> list[str]:
        """List the searches whose next trials depend on the outcome of a trial that has just ended."""
        label, options = trial.label, self._recipe.search
        if label not in self._searches or options is None:
            return []
        if trial.stage == "confirm":
            return [] if self._searches[label].finished else [label]
        self._missing[label].pop(trial.id, None)
        if options.effort == "seconds" and trial.id == self._replayer.get_first_trial(label).id:
            return list(self._searches)  # the speeds of the first trials decide the size of every search
        return [] if self._missing[label] else [label]

    def _replay(self, label: str) -> None:
        state = self._replayer.replay(label, self._known)
        self._searches[label] = state
        self._missing[label] = {trial.id: trial for trial in state.trials if trial.id not in self._known}
        self._done["search", label] = len(state.trials) - len(self._missing[label])
        (self._unfinished.discard if state.finished else self._unfinished.add)(label)
        values = choose_values(self._recipe, state, self._known)
        self._chosen.pop(label, None)
        self._confirmed = {key: trial for key, trial in self._confirmed.items() if key[0] != label}
        if values is not None:
            self._chosen[label] = self._recipe.configure(label, values)

    def _plan_confirmed(self) -> None:
        """Plan the trials that confirm, as far as the searches have chosen."""
        self._confirmed_trials = self._list_confirmed()
        self._confirmed_ids = {trial.id for trial in self._confirmed_trials}
        self._confirmed_labels = {trial.label for trial in self._confirmed_trials}
        self._untrained, self._trained = map(deque, self._split_confirmed())
        done = Counter(trial.label for trial in self._confirmed_trials if trial.id in self._known)
        for label in self._recipe.methods:
            self._done["confirm", label] = done[label]

    def _split_confirmed(self) -> tuple[list[Trial], list[Trial]]:
        """Return the trials that confirm methods without training, and the others."""
        depends = {label: method.depends_on_seed for label, method in self._recipe.methods.items()}
        untrained = [trial for trial in self._confirmed_trials if not depends[trial.label]]
        return untrained, [trial for trial in self._confirmed_trials if depends[trial.label]]

    def _list_confirmed(self) -> list[Trial]:
        methods = {label: method for label, method in self._recipe.methods.items() if label not in self._searches}
        methods |= self._list_confirmable()
        seeds_by_label = {label: self._recipe.get_seeds(label) for label in self._recipe.methods if label in methods}
        seeds = dict.fromkeys(seed for of_label in seeds_by_label.values() for seed in of_label)
        return [
            self._get_confirmed(label, seed, methods[label])
            for seed in seeds
            for label, of_label in seeds_by_label.items()
            if seed in of_label
        ]

    def _list_confirmable(self) -> dict[str, Method]:
        """Return the searched methods to confirm: those whose search is finished and cannot grow any more, and those
        that were confirmed before, such as in a run to which seeds of a search were added."""
        may_grow = self._have_open_sizes()
        return {
            label: method
            for label, method in self._chosen.items()
            if label in self._confirmed_before or not (may_grow or label in self._unfinished)
        }

    def _have_open_sizes(self) -> bool:
        """Return whether the number of configurations of every search still depends on a trial that has not ended."""
        options = self._recipe.search
        if options is None or options.effort != "seconds":
            return False
        return any(self._replayer.get_first_trial(label).id not in self._known for label in self._searches)

    def _get_confirmed(self, label: str, seed: int, method: Method) -> Trial:
        if (label, seed) not in self._confirmed:
            self._confirmed[label, seed] = Trial(
                label=label,
                method=method.name,
                hyperparameters=method.model_dump(mode="json"),
                setting=self._setting,
                seed=seed,
                train_sample=self._get_train_sample(label, seed),
            )
        return self._confirmed[label, seed]

    def _get_train_sample(self, label: str, seed: int) -> str | None:
        """Return the sample of a replicate, which is the same for all methods; None for the train split."""
        if self._recipe.replicates is None or not self._recipe.methods[label].depends_on_seed:
            return None
        if self._samples is None or seed not in self._samples.fingerprints:
            raise RunError(f"The train sample of replicate {seed} is not known. Run the same `tuneoff compare` again.")
        return self._samples.fingerprints[seed]
