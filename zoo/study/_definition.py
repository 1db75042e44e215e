"""A study as it is used: what is searched and how, every name in it found, every range checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from zoo.errors import StudyError, did_you_mean
from zoo.registry import Component, distribution_digests, distribution_versions, plugin_versions
from zoo.space import Space, Suggester, is_int
from zoo.study._objectives import Objective
from zoo.training import max_epochs
from zoo.trial import PluginConfig, TrialConfig, count_folds

SAMPLERS = ("tpe", "random", "grid", "nsga2", "cmaes", "gp")
FOR_ONE_OBJECTIVE = ("cmaes", "gp")
PRUNERS = ("median", "hyperband", "none")


@dataclass(frozen=True)
class ComponentSpace:
    """The architectures (or augmentation policies) a study chooses among, each with its space.

    A suggester is asked for `conv_net.dropout`; a name that is among `taken`, because the questions
    of something else begin with it, is told apart as `augmentation.NAME.…`.
    """

    kind: str
    entries: Mapping[str, Component]
    spaces: Mapping[str, Space]
    taken: frozenset[str] = frozenset()

    def sample(self, suggester: Suggester) -> PluginConfig:
        names = list(self.spaces)
        name = names[0] if len(names) == 1 else suggester.suggest_categorical(self.kind, names)
        return PluginConfig(name, self.spaces[name].sample(suggester, self._prefix(name)))

    def baseline(self) -> PluginConfig:
        """The first one named, with its defaults."""
        name = next(iter(self.spaces))
        return PluginConfig(name, self.spaces[name].defaults())

    def encode(self, chosen: PluginConfig) -> dict[str, Any]:
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
    max_parameters: int | None = None


@dataclass(frozen=True)
class StudyDefinition:
    """A study, checked: everything in it exists and fits."""

    name: str
    text: str
    dataset: PluginConfig
    dataset_entry: Component
    validation: Mapping[str, Any]
    architecture: ComponentSpace
    augmentation: ComponentSpace
    training: Space
    objectives: tuple[Objective, ...]
    search: Search

    @property
    def objective(self) -> str:
        """The metric of the first objective, by which the best trial is found."""
        return self.objectives[0].metric

    @property
    def direction(self) -> str:
        """Which way the first objective is better."""
        return self.objectives[0].direction

    @property
    def epoch_objective(self) -> Objective:
        """The objective that decides which epoch of a trial is best: the first that epochs report."""
        return next(objective for objective in self.objectives if objective.is_per_epoch)

    @property
    def folds(self) -> int:
        """How often a trial trains; 1 where a part of the training split is held out."""
        return count_folds(self.validation)

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
        return distribution_versions(*self._entries())

    def code(self) -> dict[str, str]:
        """Distribution and digest of the code of every such plugin, without zoo's own."""
        return distribution_digests(*self._entries())

    def _entries(self) -> list[Component]:
        searched = (*self.architecture.entries.values(), *self.augmentation.entries.values())
        return [self.dataset_entry, *searched]

    def max_epochs(self) -> int:
        """The most epochs a trial may train, in each fold, for pruners that plan with it."""
        highest = {}
        for name in ("epochs", "fine_tune_layers", "fine_tune_epochs"):
            parameter = self.training[name]
            values = parameter.domain.values() if parameter.searched else None
            highest[name] = max(values or [parameter.default])
        return max_epochs(highest)

    def with_search(self, **changes: Any) -> StudyDefinition:
        """The same study with other `[search]` settings; None leaves one as it is."""
        kept = {name: value for name, value in changes.items() if value is not None}
        return replace(self, search=check_search(kept, self.search, "--", len(self.objectives)))

    def _trial(
        self,
        architecture: PluginConfig,
        augmentation: PluginConfig,
        training: Mapping[str, Any],
        digest: str,
        seed: int,
    ) -> TrialConfig:
        return TrialConfig(
            dataset=self.dataset,
            digest=digest,
            validation=self.validation,
            architecture=architecture,
            augmentation=augmentation,
            training=training,
            objective=self.epoch_objective.metric,
            direction=self.epoch_objective.direction,
            seed=seed,
            measures=self._measures(),
            max_parameters=self.search.max_parameters,
            plugins=plugin_versions(
                self.dataset_entry,
                self.architecture.entries[architecture.name],
                self.augmentation.entries[augmentation.name],
            ),
        )

    def _measures(self) -> tuple[str, ...]:
        """What trials have to find out besides the metric they follow; `parameters` they always say."""
        others = (one.metric for one in self.objectives if one != self.epoch_objective)
        return tuple(metric for metric in others if metric != "parameters")


def check_search(table: Mapping[str, Any], search: Search, dashes: str, objectives: int = 1) -> Search:
    """`search` with the settings of `table`, for a study of so many `objectives`.

    Raises:
        StudyError: a line for each that may not be so, beginning with `dashes` and its key.
    """
    expected = {key: _what_is_wrong(key, value, objectives) for key, value in table.items()}
    problems = [f"{dashes}{key}: {text}" for key, text in expected.items() if text]
    if problems:
        raise StudyError("\n".join(problems))
    return replace(search, **table)


def _what_is_wrong(key: str, value: Any, objectives: int) -> str:
    """Of one setting of `[search]`; "" where nothing is."""
    least = {"trials": 1, "seed": 0, "max_parameters": 1}
    most = {"seed": 2**32 - 1}  # that every sampler of Optuna takes
    known = {"sampler": SAMPLERS, "pruner": PRUNERS}
    if key not in Search.__dataclass_fields__:
        return f"there is no such key. {did_you_mean(key, Search.__dataclass_fields__)}"
    if key in least and not (is_int(value) and least[key] <= value <= most.get(key, value)):
        upto = f" to {most[key]}" if key in most else ""
        return f"expected a whole number from {least[key]}{upto}, but got {value!r}"
    if key in known and value not in known[key]:
        return f"there is no {key} {value!r}. {did_you_mean(str(value), known[key])}"
    if objectives > 1 and key == "sampler" and value in FOR_ONE_OBJECTIVE:
        able = ", ".join(name for name in SAMPLERS if name not in FOR_ONE_OBJECTIVE)
        return (
            f"'{value}' searches for one objective, but there are {objectives}. For several there is: {able}."
        )
    if objectives > 1 and key == "pruner" and value != "none":
        return (
            f"'{value}' judges by one objective, but there are {objectives}; "
            'with several nothing is pruned: leave it out, or write "none"'
        )
    return ""
