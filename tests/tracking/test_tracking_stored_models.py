"""Models in MLflow by name, alias, version and run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tracking_examples as examples

from zoo.tracking import (
    Store,
    StudyTracker,
    TrackingError,
    fetch_model_file,
    named_address,
    registered_address,
    run_model_address,
)


@pytest.fixture
def run(local_store: Store, tmp_path: Path, saved_model: Path) -> Any:
    """The run of a complete trial of the study `digits_cnn`, whose model MLflow has."""
    tracker = StudyTracker(local_store, examples.facts())
    folder = examples.make_folder(tmp_path / "007", saved_model / "model.keras")
    examples.record(tracker, 7, examples.events(), folder)
    return examples.run_of(tracker, 7)


@pytest.fixture
def registered(local_store: Store, run: Any) -> None:
    """The model is registered as `digits` in two versions; the first has the alias `champion`."""
    client, source = local_store.client, run_model_address(local_store, run.info.run_id)
    client.create_registered_model("digits")
    for _ in range(2):
        client.create_model_version("digits", source, run_id=run.info.run_id)
    client.set_registered_model_alias("digits", "champion", "1")


@pytest.mark.usefixtures("registered")
class TestRegistered:
    @pytest.mark.parametrize("names", [{"alias": "champion"}, {"version": "1"}])
    def test_version_has_an_address(self, local_store: Store, names: dict[str, str]) -> None:
        assert registered_address(local_store, "digits", **names) == "models:/digits/1"

    def test_name_may_have_an_apostrophe(self, local_store: Store) -> None:
        local_store.client.rename_registered_model("digits", "ada's digits")
        assert registered_address(local_store, "ada's digits", version="2") == "models:/ada's digits/2"

    def test_name_alone_is_the_champion_else_newest(self, local_store: Store) -> None:
        assert named_address(local_store, "digits") == "models:/digits/1"
        local_store.client.delete_registered_model_alias("digits", "champion")
        assert named_address(local_store, "digits") == "models:/digits/2"

    @pytest.mark.parametrize("address", ["models:/digits/2", "models:/digits@champion"])
    def test_file_is_fetched(
        self, local_store: Store, tmp_path: Path, saved_model: Path, address: str
    ) -> None:
        (tmp_path / "here").mkdir()
        file = fetch_model_file(local_store, address, tmp_path / "here")
        assert file.read_bytes() == (saved_model / "model.keras").read_bytes()

    @pytest.mark.parametrize(
        ("name", "names", "message"),
        [
            ("digit", {"version": "1"}, r"has no registered model named 'digit'\. Did you mean 'digits'\?$"),
            ("digits", {"version": "3"}, r"^the .* 'digits' has no version 3\. Available: 1, 2\.$"),
            ("digits", {"alias": "best"}, r"^the .* 'digits' has no alias 'best'\. Available: champion\.$"),
        ],
    )
    def test_unknown_version_is_an_error(
        self, local_store: Store, name: str, names: dict[str, str], message: str
    ) -> None:
        with pytest.raises(TrackingError, match=message):
            registered_address(local_store, name, **names)


class TestNames:
    def test_name_of_a_study_is_its_best_trial(self, local_store: Store, run: Any) -> None:
        assert named_address(local_store, "digits_cnn") == run_model_address(local_store, run.info.run_id)

    def test_unknown_name_suggests_studies_and_models(self, local_store: Store, run: Any) -> None:
        with pytest.raises(
            TrackingError, match=r"no study and no .* named 'digit_cnn'\. Did .* 'digits_cnn'\?"
        ):
            named_address(local_store, "digit_cnn")

    def test_model_without_versions_is_an_error(self, local_store: Store) -> None:
        local_store.client.create_registered_model("empty")
        with pytest.raises(TrackingError, match=r"^the registered model 'empty' in .* has no versions"):
            named_address(local_store, "empty")


class TestRuns:
    def test_run_leads_to_its_model(
        self, local_store: Store, run: Any, tmp_path: Path, model_file: Path
    ) -> None:
        (tmp_path / "here").mkdir()
        file = fetch_model_file(local_store, f"runs:/{run.info.run_id}", tmp_path / "here")
        assert file.read_bytes() == model_file.read_bytes()

    def test_run_without_model_is_an_error(self, local_store: Store) -> None:
        tracker = StudyTracker(local_store, examples.facts())
        with pytest.raises(TrackingError, match=f"^the run {tracker.run_id} in .* has no model; expected"):
            run_model_address(local_store, str(tracker.run_id))

    def test_unknown_run_is_an_error(self, local_store: Store) -> None:
        with pytest.raises(TrackingError, match=r"^MLflow at .* has no run abc: "):
            run_model_address(local_store, "abc")
