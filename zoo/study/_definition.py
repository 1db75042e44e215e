"""A validated study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from zoo.data import Dataset
from zoo.errors import StudyError
from zoo.registry import (
    Component,
    PluginFile,
    distribution_digests,
    distribution_versions,
    plugin_versions,
)
from zoo.space import Space, Suggester
from zoo.study._objectives import Objective
from zoo.study._search import Search, search_problems
from zoo.training import max_epochs
from zoo.trial import PluginConfig, TrialConfig, count_folds, derived_seed


@dataclass(frozen=True)
class ComponentSpace:
    """The components of one kind that a study chooses among, each with its space.

    A suggestion is named `conv_net.dropout`. If `conv_net` is in `reserved`, since another part of the study
    uses the prefix `conv_net.`, it is named `augmentation.conv_net.dropout`.
    """

    kind: str
    components: Mapping[str, Component]
    spaces: Mapping[str, Space]
    reserved: frozenset[str] = frozenset()

    def sample(self, suggester: Suggester) -> PluginConfig:
        names = list(self.spaces)
        name = names[0] if len(names) == 1 else suggester.suggest_categorical(self.kind, names)
        return PluginConfig(name, self.spaces[name].sample(suggester, self._prefix(name)))

    def baseline(self) -> PluginConfig:
        """Return the first component with its defaults."""
        name = next(iter(self.spaces))
        return PluginConfig(name, self.spaces[name].defaults())

    def encode(self, config: PluginConfig) -> dict[str, Any]:
        """Return the suggestions that make `sample` return `config`."""
        choice = {self.kind: config.name} if len(self.spaces) > 1 else {}
        return {**choice, **self.spaces[config.name].encode(config.parameters, self._prefix(config.name))}

    def searched(self) -> list[str]:
        """Return the names of the searched suggestions: of the choice of a component, and of parameters."""
        choice = [self.kind] if len(self.spaces) > 1 else []
        return choice + [
            f"{self._prefix(one)}{name}" for one, space in self.spaces.items() for name in space.searched()
        ]

    def inactive(self, config: PluginConfig) -> list[str]:
        """Return the inactive parameters of `config`: `architecture.dropout` …."""
        return [f"{self.kind}.{name}" for name in self.spaces[config.name].inactive(config.parameters)]

    def as_json(self) -> dict[str, Any]:
        return {name: space.as_json() for name, space in self.spaces.items()}

    def _prefix(self, name: str) -> str:
        return f"{self.kind}.{name}." if name in self.reserved else f"{name}."


@dataclass(frozen=True)
class StudyDefinition:
    """A study file after validation.

    Args:
        metrics: the registered metrics that trials measure, such as `val_auc`, as objectives or besides.
        in_memory: the dataset that the caller passed in place of the file's, if any.
    """

    name: str
    text: str
    dataset: PluginConfig
    dataset_component: Component
    validation: Mapping[str, Any]
    architecture: ComponentSpace
    augmentation: ComponentSpace
    training: Space
    objectives: tuple[Objective, ...]
    search: Search
    metrics: Mapping[str, Component] = field(default_factory=dict)
    in_memory: Dataset | None = field(default=None, compare=False, repr=False)
    plugin_files: tuple[PluginFile, ...] = ()  # those whose components the study can use

    @property
    def objective(self) -> str:
        """The metric of the first objective, which decides the best trial."""
        return self.objectives[0].metric

    @property
    def epoch_objective(self) -> Objective:
        """The first objective that every epoch reports; it decides the best epoch of a trial."""
        return next(objective for objective in self.objectives if objective.is_per_epoch)

    @property
    def folds(self) -> int:
        """Number of folds; 1 with a single validation split."""
        return count_folds(self.validation)

    def sample(self, suggester: Suggester, digest: str, seed: int) -> TrialConfig:
        """Return the configuration of a trial with values from `suggester`, such as an Optuna trial."""
        return self._trial_config(
            self.architecture.sample(suggester),
            self.augmentation.sample(suggester),
            self.training.sample(suggester, prefix="training."),
            digest,
            seed,
        )

    def baseline(self, digest: str, seed: int) -> TrialConfig:
        """Return the configuration of the baseline, trial 0: every default within the study's ranges."""
        return self._trial_config(
            self.architecture.baseline(), self.augmentation.baseline(), self.training.defaults(), digest, seed
        )

    def encode(self, config: TrialConfig) -> dict[str, Any]:
        """Return the suggestions that make `sample` return `config`."""
        return {
            **self.architecture.encode(config.architecture),
            **self.augmentation.encode(config.augmentation),
            **self.training.encode(config.training, prefix="training."),
        }

    def searched(self) -> list[str]:
        """Return the names of the searched parameters: `architecture`, `conv_net.filters` …."""
        training = [f"training.{name}" for name in self.training.searched()]
        return [*self.architecture.searched(), *self.augmentation.searched(), *training]

    def seed_of(self, trial: int) -> int:
        """Return the seed of a trial: different for every trial, the same in every run of the study."""
        return derived_seed(f"{self.search.seed}:{trial}")

    def space_as_json(self) -> dict[str, Any]:
        """Return the search space for the manifest; studies with equal search spaces can share trials."""
        return {
            "architecture": self.architecture.as_json(),
            "augmentation": self.augmentation.as_json(),
            "training": self.training.as_json(),
        }

    def plugin_versions(self) -> dict[str, str]:
        """Return the versions, by name, of all distributions whose plugins the study can use."""
        return distribution_versions(*self.components())

    def plugin_digests(self) -> dict[str, str]:
        """Return the code digests, by name, of the same distributions except zoo."""
        return distribution_digests(*self.components())

    def max_epochs(self) -> int:
        """Return the largest number of epochs that one fold of a trial can train."""
        highest = {}
        for name in ("epochs", "fine_tune_layers", "fine_tune_epochs"):
            parameter = self.training[name]
            values = parameter.domain.values() if parameter.searched else None
            highest[name] = max(values or [parameter.default])
        return max_epochs(highest)

    def with_search(self, **settings: Any) -> StudyDefinition:
        """Return the study with other `[search]` settings; None leaves a setting as it is.

        Raises StudyError with one line per invalid setting, which is named like the command-line option.
        """
        table = {key: value for key, value in settings.items() if value is not None}
        if problems := search_problems(table, self.objectives):
            raise StudyError("\n".join(f"--{key}: {problem}" for key, problem in problems.items()))
        return replace(self, search=self.search.with_table(table))

    def components(self) -> list[Component]:
        """Return all components that the study can use."""
        searched = (*self.architecture.components.values(), *self.augmentation.components.values())
        return [self.dataset_component, *searched, *self.metrics.values()]

    def _trial_config(
        self,
        architecture: PluginConfig,
        augmentation: PluginConfig,
        training: Mapping[str, Any],
        digest: str,
        seed: int,
    ) -> TrialConfig:
        objective = self.epoch_objective
        others = dict.fromkeys([*(one.metric for one in self.objectives), *self.metrics])
        return TrialConfig(
            dataset=self.dataset,
            digest=digest,
            validation=self.validation,
            architecture=architecture,
            augmentation=augmentation,
            training=training,
            objective=objective.metric,
            direction=objective.direction,
            seed=seed,
            # The number of parameters is in every trial's summary, so it needs no measurement.
            measures=tuple(one for one in others if one not in (objective.metric, "parameters")),
            max_parameters=self.search.max_parameters,
            plugins=plugin_versions(
                self.dataset_component,
                self.architecture.components[architecture.name],
                self.augmentation.components[augmentation.name],
                *self.metrics.values(),
            ),
            inactive=(
                *self.architecture.inactive(architecture),
                *self.augmentation.inactive(augmentation),
                *(f"training.{name}" for name in self.training.inactive(training)),
            ),
        )
