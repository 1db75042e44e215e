"""Reading a study file: everything wrong with it is found at once, a line for each."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from zoo.errors import PluginError, SpaceError, StudyError, did_you_mean
from zoo.registry import Component, Registry
from zoo.space import REQUIRED, List, Parameter, Plain, Space, is_int, is_real, narrow_domain
from zoo.study._definition import ComponentSpace, Search, StudyDefinition, check_search
from zoo.study._objectives import Objective
from zoo.study._places import Places, override_value, syntax_error
from zoo.training import training_space
from zoo.trial import EPOCH_METRICS, MODEL_METRICS, PluginConfig

_TABLES = ("dataset", "objective", "validation", "architecture", "augmentation", "training", "search")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def parse_study(
    text: str, registry: Registry, name: str, file: str = "study", overrides: Sequence[str] = ()
) -> StudyDefinition:
    """A study from the text of its file.

    Raises:
        StudyError: a line for each problem, with its place and the likely spelling.
    """
    if not _NAME.fullmatch(name):
        raise StudyError(
            f"{file}: a study's name is letters, digits, '_', '-' and '.', but got '{name}'; "
            "rename the file, or give a name with --name"
        )
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise StudyError(syntax_error(file, text, error)) from None
    places = Places(file, text)
    for override in overrides:
        override_value(document, override, places)
    reader = _Reader(document, registry, places)
    definition = reader.read(name, text + "".join(f"\n# --set {override}" for override in overrides))
    if reader.problems:
        raise StudyError("\n".join(reader.problems))
    assert definition is not None
    return definition


class _Reader:
    """Reads one document, collecting what is wrong with it."""

    def __init__(self, document: dict[str, Any], registry: Registry, places: Places) -> None:
        self._document = document
        self._registry = registry
        self._places = places
        self._moved: dict[tuple[str, ...], tuple[str, ...]] = {}  # a merged key -> where it was
        self.problems: list[str] = []

    def read(self, name: str, text: str) -> StudyDefinition | None:
        for key in self._document:
            if key not in _TABLES:
                self._problem((key,), f"there is no such key. {did_you_mean(key, _TABLES)}")
        dataset = self._dataset()
        validation = self._validation()
        architecture = self._searched("architecture", None, ["training"])
        used = list(architecture.spaces) if architecture else []
        augmentation = self._searched("augmentation", "none", ["training", *used])
        training = self._narrow(("training",), training_space(), self._table("training"))
        objectives = self._objectives()
        search = self._search(len(objectives))
        if self.problems or dataset is None or architecture is None or augmentation is None:
            return None
        return StudyDefinition(
            name=name,
            text=text,
            dataset=dataset[0],
            dataset_entry=dataset[1],
            validation=validation,
            architecture=architecture,
            augmentation=augmentation,
            training=training,
            objectives=objectives,
            search=search,
        )

    def _dataset(self) -> tuple[PluginConfig, Component] | None:
        table = self._named_table("dataset", default=None)
        if table is None:
            return None
        name = table.pop("name")
        entry = self._get("dataset", name, ("dataset", "name"))
        if entry is None:
            return None
        for key, parameter in entry.space.items():
            if not isinstance(parameter.domain, Plain) and isinstance(table.get(key), dict):
                self._problem(
                    ("dataset", key), "a dataset's parameters are set, not searched; give one value"
                )
                del table[key]
        narrowed = self._narrow(("dataset",), entry.space, table)
        return (PluginConfig(name, narrowed.defaults()), entry) if not self.problems else None

    def _searched(self, kind: str, default: str | None, taken: Sequence[str]) -> ComponentSpace | None:
        """What is said of the architecture or augmentation; None where it has no name to go by."""
        table = self._named_table(kind, default)
        if table is None:
            return None
        name = table.pop("name")
        several = isinstance(name, dict)
        names = name["choices"] if several else [name]
        entries: dict[str, Component] = {}
        spaces: dict[str, Space] = {}
        for one in names:
            own = self._own_table(kind, one, table) if several else table
            entry = self._get(kind, one, (kind, "name"))
            if entry is not None:
                entries[one] = entry
                if not several:
                    self._merge_own(kind, entry, table)
                    self._take_others(kind, table, entry.space)
                spaces[one] = self._narrow((kind, one) if several else (kind,), entry.space, own)
        if several:
            self._take_others(kind, table, ())
        for key in table if several else ():
            self._problem(
                (kind, key),
                "with several to choose from, what is said of each goes into its own table, "
                f"[{kind}.{names[0]}] for one. {did_you_mean(key, names)}",
            )
        return ComponentSpace(kind, entries, spaces, frozenset(taken))

    def _merge_own(self, kind: str, chosen: Component, table: dict[str, Any]) -> None:
        """`[augmentation.affine]` into `[augmentation]`, where affine is the only one."""
        name = chosen.name
        for key, value in self._own_table(kind, name, table).items() if name not in chosen.space else ():
            here, there = (kind, key), (kind, name, key)
            if key in table:  # `--set` takes the place of the file's
                given = [keys for keys in (here, there) if self._places.is_override(*keys)]
                if given == [here]:
                    continue
                if given != [there]:
                    self._problem(there, f"it is in [{kind}] too; leave out one of them")
            table[key] = value
            self._moved[here] = there

    def _take_others(self, kind: str, table: dict[str, Any], space: Collection[str]) -> None:
        """Take out the tables of others than the chosen: `--set augmentation.name=none` leaves them over."""
        of_file = not any(self._places.is_override(kind, *keys) for keys in (["name"], ["name", "choices"]))
        for key in [key for key, value in table.items() if isinstance(value, dict) and key not in space]:
            if key in self._registry.names(kind):
                del table[key]
                if of_file:
                    self._problem(
                        (kind, key),
                        f"it is not among the {kind}s that are chosen; add '{key}' to the choices of name, "
                        "or remove its table",
                    )

    def _own_table(self, kind: str, name: str, table: dict[str, Any]) -> dict[str, Any]:
        """`[architecture.NAME]`, taken out of the table of them all."""
        own = table.pop(name, {})
        if isinstance(own, dict):
            return own
        self._problem((kind, name), f"expected a table [{kind}.{name}], but got {own!r}")
        return {}

    def _named_table(self, kind: str, default: str | None) -> dict[str, Any] | None:
        """`kind = "name"` or `[kind] name = …` as a table that has a valid `name`."""
        value = self._document.get(kind, default)
        if value is None:
            known = ", ".join(self._registry.names(kind))
            self._problem((kind,), f'it is missing; write {kind} = "NAME". Available: {known}.')
            return None
        table = dict(value) if isinstance(value, dict) else {"name": value}
        name = table.setdefault("name", None if table else default)
        if isinstance(name, str):
            return table
        if kind != "dataset" and isinstance(name, dict) and list(name) == ["choices"]:
            choices = name["choices"]
            if isinstance(choices, list) and choices and all(isinstance(one, str) for one in choices):
                if len(set(choices)) == len(choices):
                    return table
                self._problem((kind, "name"), "choices differ from each other, but one is there twice")
                return None
            self._problem((kind, "name"), "choices is a list of at least one name")
            return None
        shown = "a name" if kind == "dataset" else 'a name, or { choices = ["…", "…"] }'
        self._problem(
            (kind, "name"), f"expected {shown}, but got {name!r}" if name is not None else f"expected {shown}"
        )
        return None

    def _get(self, kind: str, name: str, keys: tuple[str, ...]) -> Component | None:
        try:
            return self._registry.get(kind, name)
        except PluginError as error:
            self._problem(keys, str(error))
            return None

    def _narrow(self, keys: tuple[str, ...], space: Space, table: Mapping[str, Any]) -> Space:
        """Key by key, so that every mistake gets its line; then all together."""
        before = len(self.problems)
        for key, value in table.items():
            if key in space:
                self._narrow_one((*keys, key), space[key], value)
            elif len(keys) == 1 and isinstance(value, dict) and key in self._registry.names(keys[0]):
                self._problem((*keys, key), f"with one {keys[0]}, what is said of it goes into [{keys[0]}]")
            else:
                self._problem((*keys, key), f"there is no such parameter. {did_you_mean(key, space)}")
        for name, parameter in space.items():
            if parameter.default is REQUIRED and name not in table:
                self._problem((*keys, name), f"it has no default and has to be given: {parameter.domain}")
        if len(self.problems) > before:
            return space
        try:
            return space.narrow(table)
        except SpaceError as error:
            key, _, text = str(error).partition(": ")
            self._problem((*keys, key) if key in space else keys, text if key in space else str(error))
            return space

    def _narrow_one(self, keys: tuple[str, ...], parameter: Parameter, value: Any) -> None:
        """What is wrong with one parameter whatever the others are."""
        domain = parameter.domain
        follows = isinstance(domain, List) and domain.same_length_as is not None
        try:
            if not follows:
                Space([parameter]).narrow({parameter.name: value})
            elif isinstance(value, Mapping):
                narrow_domain(domain, value)
            else:
                domain.check(value)
        except SpaceError as error:
            self._problem(keys, str(error).removeprefix(f"{parameter.name}: "))

    def _validation(self) -> Mapping[str, Any]:
        """`fraction` or `folds`, and `seed`."""
        table = dict(self._table("validation"))
        values: dict[str, Any] = {"fraction": 0.1, "seed": 0}
        self._choose_between(table, "fraction", "folds")
        for key, value in table.items():
            if key not in ("fraction", "folds", "seed"):
                hint = did_you_mean(key, ("fraction", "folds", "seed"))
                self._problem(("validation", key), f"there is no such key. {hint}")
            elif key == "fraction" and not (is_real(value) and 0 < value < 1):
                self._problem(
                    ("validation", key), f"expected a share between 0 and 1, both excluded, but got {value!r}"
                )
            elif key == "folds" and not (is_int(value) and value >= 2):
                hint = "; without folds, fraction says what is held out" if value == 1 else ""
                self._problem(("validation", key), f"expected a whole number from 2, but got {value!r}{hint}")
            elif key == "seed" and not (is_int(value) and value >= 0):
                self._problem(("validation", key), f"expected a whole number from 0, but got {value!r}")
            else:
                values[key] = float(value) if key == "fraction" else value
        if "folds" in values:
            del values["fraction"]
        return values

    def _choose_between(self, table: dict[str, Any], one: str, other: str) -> None:
        """Of these keys of `[validation]` a study has one; `--set` takes the place of the file's."""
        if one not in table or other not in table:
            return
        given = [key for key in (one, other) if self._places.is_override("validation", key)]
        if len(given) == 1:
            del table[other if given == [one] else one]
        else:
            self._problem(
                ("validation", other), f"a study has {one} or {other}, not both; leave out one of them"
            )
            del table[other]

    def _objectives(self) -> tuple[Objective, ...]:
        """One or several; val_accuracy where what is said is wrong."""
        value = self._document.get("objective", "val_accuracy")
        table = value if isinstance(value, dict) else {"metric": value}
        metric, direction = table.get("metric", "val_accuracy"), table.get("direction")
        before = len(self.problems)
        for key in table:
            if key not in ("metric", "direction"):
                hint = did_you_mean(key, ("metric", "direction"))
                self._problem(("objective", key), f"there is no such key. {hint}")
        metrics = metric if isinstance(metric, list) else [metric]
        directions = self._directions(direction, len(metrics), isinstance(metric, list))
        what = self._wrong_metrics(metrics)
        if what:
            self._problem(("objective", "metric") if isinstance(value, dict) else ("objective",), what)
        if len(self.problems) > before:
            return (Objective("val_accuracy", "maximize"),)
        known = {**EPOCH_METRICS, **MODEL_METRICS}
        return tuple(
            Objective(one, which or known[one]) for one, which in zip(metrics, directions, strict=True)
        )

    def _directions(self, direction: Any, count: int, several: bool) -> list[Any]:
        """One for each metric; None where the metric's own holds."""
        if direction is None:
            return [None] * count
        stated = direction if several else [direction]
        if not isinstance(stated, list) or len(stated) != count:
            got = f"a list of {len(stated)}" if isinstance(stated, list) else repr(direction)
            self._problem(
                ("objective", "direction"),
                f"expected a list of {count}, a direction for each metric, but got {got}",
            )
            return [None] * count
        for one in stated:
            if one not in ("maximize", "minimize"):
                self._problem(("objective", "direction"), f"expected maximize or minimize, but got {one!r}")
        return stated

    def _wrong_metrics(self, metrics: list[Any]) -> str:
        """What is wrong with the metrics that are searched for; "" where nothing is."""
        known = {**EPOCH_METRICS, **MODEL_METRICS}
        if not metrics:
            return f"expected at least one metric. Available: {', '.join(known)}."
        for position, metric in enumerate(metrics):
            if not isinstance(metric, str) or metric not in known:
                hint = did_you_mean(metric if isinstance(metric, str) else "", known)
                return f"expected a metric, or a list of them, but got {metric!r}. {hint}"
            if metric in metrics[:position]:
                return f"each objective is there once, but '{metric}' is there twice"
        if not any(metric in EPOCH_METRICS for metric in metrics):
            told = f"'{metrics[0]}' alone says" if len(metrics) == 1 else "these alone say"
            return f"{told} nothing of how well a network learned; add one of {', '.join(EPOCH_METRICS)}"
        return ""

    def _search(self, objectives: int) -> Search:
        """With several objectives Optuna prunes nothing, so that silence says `none`."""
        default = Search() if objectives == 1 else Search(pruner="none")
        table = dict(self._table("search"))
        given = self._places.is_override
        by_override = given("objective") or given("objective", "metric")
        if objectives > 1 and by_override and not given("search", "pruner"):
            table.pop("pruner", None)  # the file's is for the file's one objective
        try:
            return check_search(table, default, "", objectives)
        except StudyError as error:
            for line in str(error).splitlines():
                key, _, text = line.partition(": ")
                self._problem(("search", key), text)
            return default

    def _table(self, key: str) -> dict[str, Any]:
        value = self._document.get(key, {})
        if isinstance(value, dict):
            return value
        self._problem((key,), f"expected a table [{key}], but got {value!r}")
        return {}

    def _problem(self, keys: tuple[str, ...], text: str) -> None:
        # One line, even of a key that has a line break in it.
        place = self._places.of(*self._moved.get(keys, keys))
        self.problems.append("\\n".join(f"{place}: {text}".splitlines()))
