"""A study to search, and an Optuna file to search it in."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tuning_examples import MANIFEST, STUDY

from zoo.registry import Registry
from zoo.study import StudyDefinition, parse_study
from zoo.tuning.search import OptunaSearch


@pytest.fixture(scope="session")
def registry() -> Registry:
    """The built-ins, whatever else is installed."""
    return Registry.load([])


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
def home(tmp_path: Path) -> Path:
    """The folder of the example study."""
    folder = tmp_path / "mlruns" / "zoo" / "example"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def open_search(
    define: Callable[..., StudyDefinition], storage: str, home: Path
) -> Callable[..., OptunaSearch]:
    """open_search("search.trials=3") -> the example's search, as every new process opens it."""

    def make(
        *overrides: str, name: str = "example", manifest: Any = MANIFEST, url: str = storage, **keywords: Any
    ) -> OptunaSearch:
        return OptunaSearch(define(*overrides, name=name), manifest, url, **{"home": home, **keywords})

    return make
