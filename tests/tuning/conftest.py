"""A study to search, and an Optuna file to search it in."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from tuning_examples import MANIFEST, STUDY

from zoo.hookspecs import hookimpl
from zoo.record import StudyDirectory
from zoo.registry import Plugin, Registry
from zoo.space import Int
from zoo.study import StudyDefinition, parse_study
from zoo.tuning.search import OptunaSearch


def shallow_net(input_shape, num_classes, *, units: Annotated[int, Int(4, 64)] = 16):
    """One hidden layer."""


@hookimpl
def register_architectures(register):
    register(shallow_net)


small_plugin = SimpleNamespace(register_architectures=register_architectures)


@pytest.fixture(scope="session")
def registry() -> Registry:
    """The built-ins, whatever else is installed."""
    return Registry.load([])


@pytest.fixture(scope="session")
def two_architectures() -> Registry:
    """The built-ins and another small network."""
    registry = Registry.load([])
    registry.add(Plugin("small", "zoo-small", "0.1"), lambda: small_plugin)
    assert registry.problems == []
    return registry


@pytest.fixture
def define(registry: Registry) -> Callable[..., StudyDefinition]:
    """define("training.epochs=5") -> the example study with that changed."""

    def make(*overrides: str, text: str = STUDY, name: str = "example") -> StudyDefinition:
        return parse_study(text, registry, name, "example.toml", overrides)

    return make


@pytest.fixture(scope="session")
def empty_optuna(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An Optuna file with its tables; making them takes a while, so tests work on copies."""
    import optuna

    path = tmp_path_factory.mktemp("optuna") / "optuna.db"
    optuna.storages.RDBStorage(f"sqlite:///{path}")
    return path


@pytest.fixture
def storage(tmp_path: Path, empty_optuna: Path) -> str:
    """The URL of an Optuna storage with nothing in it."""
    path = tmp_path / "optuna.db"
    shutil.copyfile(empty_optuna, path)
    return f"sqlite:///{path}"


@pytest.fixture
def directory(tmp_path: Path) -> StudyDirectory:
    """The directory of the example study."""
    directory = StudyDirectory(tmp_path, "example")
    directory.create()
    return directory


@pytest.fixture
def open_search(
    define: Callable[..., StudyDefinition], storage: str, directory: StudyDirectory
) -> Callable[..., OptunaSearch]:
    """open_search("search.trials=3") -> the example's search, as every new process opens it."""

    def make(
        *overrides: str,
        name: str = "example",
        manifest: Any = MANIFEST,
        directory: StudyDirectory = directory,
        url: str | None = storage,
        accept_versions: bool = False,
    ) -> OptunaSearch:
        return OptunaSearch(define(*overrides, name=name), manifest, directory, url, accept_versions)

    return make
