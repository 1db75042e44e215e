"""A study as it is used: what is searched and how, every name in it found, every range checked."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from zoo.errors import StudyError, did_you_mean
from zoo.registry import Registered
from zoo.space import Space, Suggester
from zoo.training import most_epochs
from zoo.trial import Chosen, TrialConfig

SAMPLERS = ("tpe", "random", "grid", "cmaes", "gp")
PRUNERS = ("median", "hyperband", "none")


@dataclass(frozen=True)
class Searched:
    """The architectures (or augmentation policies) a study chooses among, each with its space.

    A suggester is asked for `conv_net.dropout`; a name that is among `taken`, because the questions
    of something else begin with it, is told apart as `augmentation.NAME.…`.
    """

    kind: str
    entries: Mapping[str, Registered]
    spaces: Mapping[str, Space]
    taken: frozenset[str] = frozenset()

    def sample(self, suggester: Suggester) -> Chosen:
        names = list(self.spaces)
        name = names[0] if len(names) == 1 else suggester.suggest_categorical(self.kind, names)
        return Chosen(name, self.spaces[name].sample(suggester, self._prefix(name)))

    def baseline(self) -> Chosen:
        """The first one named, with its defaults."""
        name = next(iter(self.spaces))
        return Chosen(name, self.spaces[name].defaults())

    def encode(self, chosen: Chosen) -> dict[str, Any]:
        name = {self.kind: chosen.name} if len(self.spaces) > 1 else {}
        return {**name, **self.spaces[chosen.name].encode(chosen.parameters, self._prefix(chosen.name))}

    def as_json(self) -> dict[str, Any]:
        return {name: space.as_json() for name, space in self.spaces.items()}

    def _prefix(self, name: str) -> str:
        return f"{self.kind}.{name}." if name in self.taken else f"{name}."


@dataclass(frozen=True)
class Search:
    """How the search goes: `[search]`."""

    trials: int = 20
    sampler: str = "tpe"
    pruner: str = "median"
    seed: int = 0


@dataclass(frozen=True)
class StudyDefinition:
    """A study, checked: everything in it exists and fits."""

    name: str
    text: str
    dataset: Chosen
    dataset_entry: Registered
    validation: Mapping[str, Any]
    architecture: Searched
    augmentation: Searched
    training: Space
    objective: str
    direction: str
    search: Search

    def sample(self, suggester: Suggester, digest: str, seed: int) -> TrialConfig:
        """A trial with values from `suggester`, an Optuna trial or whatever answers like one."""
        return self._trial(
            self.architecture.sample(suggester),
            self.augmentation.sample(suggester),
            self.training.sample(suggester, prefix="training."),
            digest,
            seed,
        )

    def baseline(self, digest: str, seed: int) -> TrialConfig:
        """Trial 0: every default, with the study's pins."""
        return self._trial(
            self.architecture.baseline(), self.augmentation.baseline(), self.training.defaults(), digest, seed
        )

    def encode(self, config: TrialConfig) -> dict[str, Any]:
        """What a suggester would have to answer for `sample` to give `config`."""
        return {
            **self.architecture.encode(config.architecture),
            **self.augmentation.encode(config.augmentation),
            **self.training.encode(config.training, prefix="training."),
        }

    def seed_of(self, trial: int) -> int:
        """The seed of one trial: the same in every run of the study, different in every trial."""
        digest = hashlib.sha256(f"{self.search.seed}:{trial}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    def space_as_json(self) -> dict[str, Any]:
        """What is searched, for the manifest: two studies with equal ones may share their trials."""
        return {
            "architecture": self.architecture.as_json(),
            "augmentation": self.augmentation.as_json(),
            "training": self.training.as_json(),
        }

    def plugins(self) -> dict[str, str]:
        """Distribution and version of every plugin the study can use."""
        entries = [
            self.dataset_entry,
            *self.architecture.entries.values(),
            *self.augmentation.entries.values(),
        ]
        return dict(sorted({entry.distribution: entry.version for entry in entries}.items()))

    def max_epochs(self) -> int:
        """The most epochs a trial may train, for pruners that plan with it."""
        highest = {}
        for name in ("epochs", "fine_tune_layers", "fine_tune_epochs"):
            parameter = self.training[name]
            values = parameter.domain.values() if parameter.searched else None
            highest[name] = max(values or [parameter.default])
        return most_epochs(highest)

    def with_search(self, **changes: Any) -> StudyDefinition:
        """The same study with other `[search]` settings; None leaves one as it is."""
        kept = {name: value for name, value in changes.items() if value is not None}
        return replace(self, search=check_search(kept, self.search, "--"))

    def _trial(
        self, architecture: Chosen, augmentation: Chosen, training: Mapping[str, Any], digest: str, seed: int
    ) -> TrialConfig:
        return TrialConfig(
            dataset=self.dataset,
            digest=digest,
            validation=self.validation,
            architecture=architecture,
            augmentation=augmentation,
            training=training,
            objective=self.objective,
            direction=self.direction,
            seed=seed,
        )


def check_search(table: Mapping[str, Any], search: Search, dashes: str) -> Search:
    """`search` with the settings of `table`.

    Raises:
        StudyError: a line for each that may not be so, beginning with `dashes` and its key.
    """
    problems = []
    for key, value in table.items():
        expected = ""
        if key not in Search.__dataclass_fields__:
            expected = f"there is no such key. {did_you_mean(key, Search.__dataclass_fields__)}"
        elif key == "trials" and not (is_whole(value) and value >= 1):
            expected = f"expected a whole number from 1, but got {value!r}"
        elif key == "seed" and not (is_whole(value) and value >= 0):
            expected = f"expected a whole number from 0, but got {value!r}"
        elif key == "sampler" and value not in SAMPLERS:
            expected = f"there is no sampler {value!r}. {did_you_mean(str(value), SAMPLERS)}"
        elif key == "pruner" and value not in PRUNERS:
            expected = f"there is no pruner {value!r}. {did_you_mean(str(value), PRUNERS)}"
        if expected:
            problems.append(f"{dashes}{key}: {expected}")
    if problems:
        raise StudyError("\n".join(problems))
    return replace(search, **table)


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
