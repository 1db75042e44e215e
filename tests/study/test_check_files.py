"""Files that a study's dataset reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo import Dataset, ZooError, hookimpl, reads
from zoo.errors import StudyError
from zoo.registry import Plugin, Registry
from zoo.study import check_files, parse_study


def _listed(*, path: str, broken: bool) -> list[str] | None:
    if path == "server":
        return None
    if broken:
        raise KeyError("no table")
    return [path, f"{path}.labels"]


class FilesPlugin:
    """A dataset that declares its files, and one that does not."""

    @hookimpl
    def register_datasets(self, register):
        @reads(_listed)
        def listed(*, path: str, broken: bool = False) -> Dataset:
            """Reads two files."""

        def unlisted(*, path: str) -> Dataset:
            """Reads files that it does not declare."""

        register(listed)
        register(unlisted)


@pytest.fixture(scope="module")
def registry():
    registry = Registry.load([])
    registry.add(Plugin("files", "zoo-files", "1.0"), FilesPlugin)
    assert registry.problems == []
    return registry


def study(registry, **dataset):
    settings = "".join(
        f"{name} = {str(value).lower() if value is True else repr(value)}\n"
        for name, value in dataset.items()
    )
    text = f"[dataset]\n{settings}[architecture]\nname = 'conv_net'\n"
    return parse_study(text, registry, "example")


def test_only_the_missing_file_is_reported(registry, tmp_path):
    image = tmp_path / "images"
    image.touch()
    definition = study(registry, name="listed", path=str(image))
    with pytest.raises(StudyError, match=f"there is no file {image}.labels; add it, or correct its path"):
        check_files(definition)
    Path(f"{image}.labels").touch()
    check_files(definition)


def test_undeclared_files_are_not_checked(registry):
    check_files(study(registry, name="unlisted", path="nowhere"))


def test_study_with_a_missing_file_is_refused(registry):
    with pytest.raises(StudyError) as refused:
        check_files(study(registry, name="listed", path="/nowhere/x"))
    assert str(refused.value).splitlines() == [
        "study 'example': dataset 'listed': there is no file /nowhere/x; add it, or correct its path",
        "study 'example': dataset 'listed': there is no file /nowhere/x.labels; add it, or correct its path",
    ]


def test_builtin_dataset_names_its_missing_file(registry, in_tmp, monkeypatch):
    monkeypatch.delenv("ZOO_DATA_DIR", raising=False)
    with pytest.raises(StudyError, match=r"^study 'example': dataset 'csv_images': train = \"signs\.csv\": "):
        check_files(study(registry, name="csv_images", train="signs.csv"))


def test_failing_list_of_files_names_the_plugin(registry):
    with pytest.raises(StudyError) as refused:
        check_files(study(registry, name="listed", path="x", broken=True))
    assert str(refused.value) == "study 'example': dataset 'listed': zoo-files 1.0: KeyError: 'no table'"
    assert issubclass(StudyError, ZooError)


def test_dataset_of_a_server_has_no_files(registry):
    check_files(study(registry, name="listed", path="server"))
