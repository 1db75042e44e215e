"""The Optuna study behind a zoo study: asked for trials, told what became of them.

Every trial asked for ends in a final state. One that was interrupted (Ctrl-C, a supervisor that
was killed) does not count and is asked for again with the same values; one that failed counts.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import shlex
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError, one_line
from zoo.study import StudyDefinition, pareto_front
from zoo.trial import TrialConfig
from zoo.tuning.manifest import check_manifest
from zoo.tuning.record import StudyRecord
from zoo.tuning.samplers import grid_points, make_pruner, make_sampler

if TYPE_CHECKING:
    import optuna

_REASON = "zoo.reason"
_INTERRUPTED = "zoo.interrupted"
_BUDGET = "max_parameters"
_HOME, _PLACE = "zoo.home", "zoo.place"  # the folder that has the trials, by its name and where it was last


@dataclass(frozen=True)
class PendingTrial:
    """A trial to be run."""

    number: int
    config: TrialConfig


def default_storage(root: Path) -> str:
    """Optuna's own file; never MLflow's, the two cannot share one.

    Raises:
        ZooError: the path holds a character that a database URL gives a meaning to.
    """
    path = (root / "mlruns" / "optuna.db").resolve()
    if any(character in str(path) for character in "?#%"):
        raise ZooError(
            f"The path {path} holds one of '?', '#', '%', which a database URL cannot; use another folder."
        )
    return f"sqlite:///{path}"


class OptunaSearch:
    """Ask, report, tell: the only way to the Optuna study."""

    def __init__(
        self,
        definition: StudyDefinition,
        manifest: Mapping[str, Any],
        storage: str,
        *,
        record: StudyRecord,
        accept_versions: bool = False,
    ) -> None:
        """Open the study or begin it.

        Args:
            record: the study's folder, whose lock the caller holds.

        Raises:
            ManifestError: it was begun as something else.
            ZooError: the storage cannot be opened, or trials of the study run elsewhere.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._definition = definition
        self._digest = manifest["dataset"]["digest"]
        self._grid = grid_points(definition) if definition.search.sampler == "grid" else None
        self._live: dict[int, optuna.Trial] = {}
        opened = _open_storage(storage, record.folder)
        search = definition.search
        self._study = self._create(opened)
        uid, stored = (self._study.user_attrs.get(key) for key in ("zoo.uid", "zoo.manifest"))
        trials = self._study.get_trials(deepcopy=False)
        if trials and uid is None:
            raise ZooError(
                f"There is an Optuna study '{definition.name}' in {redacted(storage)} that zoo did not make; "
                f"give yours another name: the same command with --name {definition.name}-2"
            )
        if any(trial.state != optuna.trial.TrialState.WAITING for trial in trials):
            if stored is not None:
                check_manifest(definition.name, json.loads(stored), manifest, accept_versions=accept_versions)
        elif trials and stored != json.dumps(manifest):
            # It was never begun, as where MLflow did not take it, so it may be another one by now. What
            # waits in it is the baseline of the one that it was.
            optuna.delete_study(study_name=definition.name, storage=opened)
            self._study, trials = self._create(opened), []
        # A seeded sampler starts over in every process; without the count, a study that is resumed
        # would draw its first trials once more.
        self._study.sampler = make_sampler(search.sampler, _derived(search.seed, len(trials)), search.trials)
        self._study.set_user_attr("zoo.uid", uid or uuid.uuid4().hex)
        if not trials:
            self._enqueue(definition.encode(definition.baseline(self._digest, 0)))
        self._study.set_user_attr("zoo.manifest", json.dumps(manifest))
        self._settle(record)

    def _create(self, storage: optuna.storages.BaseStorage) -> optuna.Study:
        """The Optuna study, or what there is of it."""
        import optuna

        definition = self._definition
        return optuna.create_study(
            study_name=definition.name,
            storage=storage,
            directions=[objective.direction for objective in definition.objectives],
            load_if_exists=True,
            pruner=make_pruner(definition.search.pruner, definition.max_epochs(), definition.folds),
            sampler=optuna.samplers.RandomSampler(seed=0),
        )

    def uid(self, number: int | None = None) -> str:
        """A name no other study or trial has, anywhere."""
        uid = str(self._study.user_attrs["zoo.uid"])
        return uid if number is None else f"{uid}-{number}"

    def total(self) -> int:
        """How many trials the study is to have; a grid may have fewer points than that."""
        trials = self._definition.search.trials
        return trials if self._grid is None else min(trials, len(self._grid))

    def done(self) -> int:
        """Trials that came to an end of their own."""
        return sum(
            trial.state.is_finished() and not trial.user_attrs.get(_INTERRUPTED)
            for trial in self._study.get_trials(deepcopy=False)
        )

    def ask(self) -> PendingTrial:
        """The next trial: the baseline first, then what was interrupted, then what the sampler says."""
        import optuna

        waiting = (optuna.trial.TrialState.WAITING,)
        if self._grid is not None and not self._study.get_trials(deepcopy=False, states=waiting):
            self._enqueue(self._next_grid_point())
        trial = self._study.ask()
        self._live[trial.number] = trial
        seed = self._definition.seed_of(trial.number)
        return PendingTrial(trial.number, self._definition.sample(trial, self._digest, seed))

    def report(self, number: int, step: int, value: float) -> bool:
        """Tell what a trial reached by an epoch; True where it may go on, False where it is pruned.

        With several objectives nothing is pruned.
        """
        if len(self._definition.objectives) > 1:
            return True
        trial = self._live[number]
        trial.report(value, step=step)
        return not trial.should_prune()

    def tell(
        self,
        number: int,
        state: str,
        value: float | Sequence[float] | None,
        reason: str,
        *,
        interrupted: bool = False,
        parameters: int | None = None,
    ) -> None:
        """The final state of a trial: `complete`, `pruned` or `failed`.

        One that was interrupted does not count, and is asked for again with the same values.

        Args:
            value: of the objective, or of each; used where the trial is complete.
            parameters: of its network, where they are known; samplers learn from them what is too large.
        """
        import optuna

        trial = self._live.pop(number)
        if reason:
            trial.set_user_attr(_REASON, reason)
        limit = self._definition.search.max_parameters
        if limit is not None and parameters is not None and _BUDGET not in trial.constraints:
            trial.set_constraint(_BUDGET, parameters - limit)
        if interrupted:
            trial.set_user_attr(_INTERRUPTED, True)
            self._ask_again(number)  # before the end is told: whoever dies in between leaves it running
        if state == "complete":
            self._study.tell(trial, value)
        elif state == "pruned":
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)

    def abandoned(self) -> list[int]:
        """Trials that a supervisor which is gone left running. The caller holds the study's lock."""
        import optuna

        trials = self._running()
        for trial in trials:
            # Optuna has no public way to take up a running trial in another process.
            self._live.setdefault(trial.number, optuna.Trial(self._study, trial._trial_id))
        return [trial.number for trial in trials]

    def values(self) -> dict[int, tuple[float, ...]]:
        """Of every complete trial, a value for each objective."""
        import optuna

        complete = (optuna.trial.TrialState.COMPLETE,)
        return {
            trial.number: tuple(trial.values)
            for trial in self._study.get_trials(deepcopy=False, states=complete)
            if trial.values is not None
        }

    def front(self) -> dict[int, tuple[float, ...]]:
        """The complete trials that no other beats, the best in the first objective first."""
        values = self.values()
        return {number: values[number] for number in pareto_front(values, self._definition.objectives)}

    def best(self) -> tuple[int, float] | None:
        """Number and value of the best complete trial, by the first objective.

        Of trials that are equal in it the best in the next; of trials equal in all the first.
        """
        return next(((number, values[0]) for number, values in self.front().items()), None)

    def rejected(self) -> int:
        """How many trials had more parameters than they may have."""
        return sum(trial.constraints.get(_BUDGET, 0) > 0 for trial in self._study.get_trials(deepcopy=False))

    def _ask_again(self, number: int) -> None:
        """Put the values of a trial in line, unless they are there already."""
        import optuna

        trial = self._study.get_trials(deepcopy=False)[number]
        # What was enqueued and never asked for is no parameter yet.
        answers = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        waiting = self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,))
        if answers not in [one.system_attrs.get("fixed_params") for one in waiting]:
            self._enqueue(answers)

    def _settle(self, record: StudyRecord) -> None:
        """A storage can be shared, a folder's lock cannot: what runs elsewhere is not ours to end."""
        attributes = self._study.user_attrs
        home, place = record.home(), f"{socket.gethostname()}:{record.folder.resolve()}"
        elsewhere, running = attributes.get(_HOME, home), self._running()
        if elsewhere not in (home, place) and running:
            name = self._definition.name
            listed = ", ".join(str(trial.number) for trial in running)
            trials, run = ("Trial", "runs") if len(running) == 1 else ("Trials", "run")
            raise ZooError(
                f"{trials} {listed} of '{name}' {run} in {attributes.get(_PLACE, elsewhere)}; wait for it "
                "there. If nothing is at work there any more, take the study over: "
                f"echo {shlex.quote(elsewhere)} > {shlex.quote(str(record.folder / 'home'))}. "
                f"Or begin a study of your own: the same command with --name {name}-2"
            )
        self._study.set_user_attr(_PLACE, place)
        self._study.set_user_attr(_HOME, home)

    def _running(self) -> list[optuna.trial.FrozenTrial]:
        import optuna

        return list(self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)))

    def _enqueue(self, answers: Mapping[str, Any]) -> None:
        self._study.enqueue_trial(dict(answers))

    def _next_grid_point(self) -> Mapping[str, Any]:
        assert self._grid is not None
        used = {_key(trial.params) for trial in self._study.get_trials(deepcopy=False)}
        return next(point for point in self._grid if _key(point) not in used)


def _open_storage(url: str, home: Path) -> optuna.storages.BaseStorage:
    """The storage, its tables made if need be, one process of this folder at a time: Optuna's own
    making of them is a race."""
    import optuna

    options = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    try:
        with (home.parent / ".optuna.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if "://" in url and not url.startswith("redis"):
                return optuna.storages.RDBStorage(url, engine_kwargs=options)
            return optuna.storages.get_storage(url)
    except Exception as error:
        raise ZooError(
            f"The Optuna storage {redacted(url)} cannot be opened: {redacted(one_line(error))[:200]}. "
            "Name another one, such as --storage sqlite:///optuna.db, or leave it out for mlruns/optuna.db"
        ) from error


def redacted(text: str) -> str:
    """`text` without the password of a URL in it."""
    return re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:…@", text)


def _derived(seed: int, begun: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{begun}".encode()).digest()[:4], "big")


def _key(params: Mapping[str, Any]) -> str:
    return json.dumps(params, sort_keys=True)
