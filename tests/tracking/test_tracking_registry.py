"""Registered models: promotion, the aliases, the card, and listing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tracking_examples as examples

from zoo.errors import StudyError
from zoo.tracking import (
    ModelVersion,
    Store,
    StudyTracker,
    TrackingError,
    champion,
    check_registered_name,
    connect,
    find_version,
    named_address,
    promote,
    registered_versions,
    rename_study,
    run_model_address,
)


@pytest.fixture
def addresses(store: Store, tmp_path: Path, saved_model: Path, request: pytest.FixtureRequest) -> list[str]:
    """The addresses of the models of two trials; trial 7 is scored."""
    name = f"study-{request.node.callspec.id}"
    tracker = StudyTracker(store, examples.facts(name, uid=f"{name}-uid"))
    for number in (7, 8):
        folder = examples.make_folder(tmp_path / f"{number:03d}", saved_model / "model.keras")
        sent = [*examples.events(), examples.score()] if number == 7 else examples.events()
        examples.record(tracker, number, sent, folder)
    return [run_model_address(store, examples.run_of(tracker, number).info.run_id) for number in (7, 8)]


def aliases_of(store: Store, name: str) -> list[tuple[int, list[str]]]:
    return [(one.version, list(one.aliases)) for one in registered_versions(store, name)]


class TestPromotion:
    def test_promoted_models_take_turns(self, store: Store, addresses: list[str]) -> None:
        """One test for all, since each needs a study in each store."""
        first, second = addresses
        assert champion(store, "turns") is None
        version = promote(store, "turns", first, examples.INFO, 360)
        assert (version.title, version.aliases, version.was_promoted) == ("turns/1", ["champion"], True)
        assert (version.trial, version.digest, version.params["dataset"]) == (7, examples.DIGEST, "digits")
        assert version.metrics["test_accuracy"] == 0.88
        assert version.metrics["parameters"] == 650

        promote(store, "turns", first, examples.INFO)  # again: no second version
        assert aliases_of(store, "turns") == [(1, ["champion"])]
        promote(store, "turns", second, examples.INFO)
        assert aliases_of(store, "turns") == [(2, ["champion"]), (1, ["previous"])]
        promote(store, "turns", first, examples.INFO)  # back
        assert aliases_of(store, "turns") == [(2, ["previous"]), (1, ["champion"])]
        found = champion(store, "turns")
        assert found is not None
        assert (found.address, found.description) == (first, version.description)
        assert named_address(store, "turns") == "models:/turns/1"

    def test_model_that_another_process_creates_is_used(
        self, store: Store, addresses: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        create = store.client.create_registered_model
        monkeypatch.setattr(
            type(store.client), "create_registered_model", lambda self, name: [create(name), create(name)]
        )
        assert promote(store, "at_once", addresses[0], examples.INFO).aliases == ["champion"]
        assert aliases_of(store, "at_once") == [(1, ["champion"])]

    def test_interrupted_promotion_is_completed(self, store: Store, addresses: list[str]) -> None:
        client = store.client
        client.create_registered_model("cut")
        model = client.get_logged_model(addresses[0].removeprefix("models:/"))
        # With the files as its source, as `mlflow.register_model` creates a version.
        origin = {"run_id": model.source_run_id, "model_id": model.model_id}
        client.create_model_version("cut", model.artifact_location, **origin)
        found = find_version(store, "cut", addresses[0])
        assert found is not None
        assert (found.was_promoted, champion(store, "cut")) == (False, None)
        promote(store, "cut", addresses[0], examples.INFO)
        assert aliases_of(store, "cut") == [(1, ["champion"])]


@pytest.fixture
def trained(local_store: Store, tmp_path: Path, saved_model: Path) -> tuple[str, Callable[[], None]]:
    """The address of a recorded trial's model, and a function that adds test scores to the trial."""
    tracker = StudyTracker(local_store, examples.facts(command="zoo tune digits_cnn"))
    folder = examples.make_folder(tmp_path / "007", saved_model / "model.keras")
    examples.record(tracker, 7, examples.events(), folder)
    address = run_model_address(local_store, examples.run_of(tracker, 7).info.run_id)
    return address, lambda: examples.record(tracker, 7, [examples.score()], folder)


class TestCard:
    @pytest.fixture
    def card(self, local_store: Store, trained: tuple[str, Callable[[], None]]) -> str:
        address, add_scores = trained
        add_scores()
        return promote(local_store, "digits", address, examples.INFO, 360).description

    @pytest.mark.parametrize(
        "line",
        [
            "# digits_cnn, trial 7",
            "A classifier of images into 10 classes: conv_net, 650 parameters.",
            "- dataset `digits`, from scikit-learn",
            f"- digest `{examples.DIGEST}`",
            "- licence: CC BY 4.0",
            "- warning: only 1,797 images",
            "- test_accuracy 0.8800, 95 % confidence interval 0.8424 to 0.9096 (Wilson)",
            "- best_val_accuracy 0.9000",
            "- seeds: seed 7, validation.seed 0",
            "- versions: Keras 3.13.2, keras-zoo 0.1.0",
            "- command: `zoo tune digits_cnn`",
            "- `zoo predict digits/1 IMAGE…`, `zoo.Classifier('digits/1')`",
        ],
    )
    def test_card_states_it(self, card: str, line: str) -> None:
        assert line in card.splitlines()

    def test_list_parameters_are_listed_once(self, card: str) -> None:
        (line,) = [line for line in card.splitlines() if line.startswith("- parameters: ")]
        assert "conv_net.filters [32, 64], " in line
        assert "conv_net.filters.1" not in line


def test_card_is_written_again_with_test_scores(
    local_store: Store, trained: tuple[str, Callable[[], None]]
) -> None:
    address, add_scores = trained
    assert (
        "- test split: not scored\n"
        in promote(local_store, "digits", address, examples.INFO, 360).description
    )
    add_scores()
    assert (
        "- test_accuracy 0.8800, " in promote(local_store, "digits", address, examples.INFO, 360).description
    )
    local_store.client.update_model_version("digits", "1", "written by a user")
    assert promote(local_store, "digits", address, examples.INFO).description == "written by a user"


class TestListing:
    @pytest.fixture
    def registered(self, local_store: Store) -> None:
        """Versions that zoo did not train: without a run, and with a run that is gone."""
        for name, run_id in (("their model", None), ("it's", "f" * 32)):
            local_store.client.create_registered_model(name)
            local_store.client.create_model_version(name, "file:///nowhere", run_id=run_id)

    @pytest.mark.usefixtures("registered")
    def test_versions_of_others_have_no_facts(self, local_store: Store) -> None:
        found = registered_versions(local_store)
        assert [(one.title, one.trial, one.digest, one.study) for one in found] == [
            ("it's/1", None, "", ""),
            ("their model/1", None, "", ""),
        ]

    @pytest.mark.usefixtures("registered")
    def test_pattern_selects_names(self, local_store: Store) -> None:
        def names(pattern: str) -> list[Any]:
            return [one.name for one in registered_versions(local_store, pattern)]

        assert (names("their*"), names("nothing")) == (["their model"], [])

    @pytest.mark.usefixtures("registered")
    def test_name_with_quote_has_no_champion(self, local_store: Store) -> None:
        assert champion(local_store, "it's") is None


def test_renamed_study_renames_its_registered_model(
    local_store: Store, trained: tuple[str, Callable[[], None]]
) -> None:
    promote(local_store, "digits_cnn", trained[0], examples.INFO)
    rename_study(local_store, "digits_cnn", "renamed")
    found = champion(local_store, "renamed")
    assert isinstance(found, ModelVersion)
    assert (found.study, registered_versions(local_store, "digits_cnn")) == ("renamed", [])


def test_champion_of_interrupted_promotion_is_renamed(
    local_store: Store, trained: tuple[str, Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alias is set before the tag that zoo has promoted the version."""

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(local_store.client), "set_model_version_tag", stop)
        with pytest.raises(KeyboardInterrupt):
            promote(local_store, "digits_cnn", trained[0], examples.INFO)
    assert rename_study(local_store, "digits_cnn", "renamed") == ""
    assert [one.title for one in registered_versions(local_store)] == ["renamed/1"]


def test_registered_model_keeps_its_name_if_the_new_one_exists(
    local_store: Store, trained: tuple[str, Callable[[], None]]
) -> None:
    promote(local_store, "digits_cnn", trained[0], examples.INFO)
    local_store.client.create_registered_model("renamed")
    assert rename_study(local_store, "digits_cnn", "renamed") == (
        "its registered model is still named 'digits_cnn', because there is a registered model 'renamed' "
        "already"
    )
    assert champion(local_store, "digits_cnn") is not None


def test_registered_model_of_others_keeps_its_name(
    local_store: Store, trained: tuple[str, Callable[[], None]]
) -> None:
    local_store.client.create_registered_model("digits_cnn")
    local_store.client.create_model_version("digits_cnn", "file:///nowhere")
    local_store.client.set_registered_model_alias("digits_cnn", "champion", "1")
    assert rename_study(local_store, "digits_cnn", "renamed") == ""
    assert [one.title for one in registered_versions(local_store)] == ["digits_cnn/1"]


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", "a@b", "..", "x" * 257, "a\nb", "a\x1b[1m"])
def test_name_that_mlflow_refuses_is_an_error(name: str) -> None:
    with pytest.raises(StudyError, match=r"^a registered model cannot be named '.*--as NAME\.$"):
        check_registered_name(name)


def test_error_names_the_address_of_the_registry(local_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TrackingError, match=r"^MLflow at http://127\.0\.0\.1:9 refused a request: "):
        champion(connect(create=False), "digits")
