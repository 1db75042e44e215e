"""Parameters and names as MLflow stores them."""

from __future__ import annotations

from typing import Any

import pytest
import tracking_examples as examples
from hypothesis import given
from hypothesis import strategies as st
from tracking_examples import CONFIG

from zoo.tracking import _names as names


def test_parameters_are_flat() -> None:
    flat = names.flat_parameters(CONFIG)
    assert flat["dataset"] == "digits"
    assert flat["dataset.subset"] == "100"
    assert flat["conv_net.filters"] == "[32, 64]"
    assert flat["training.optimizer"] == "adam"
    assert names.DIGEST not in flat
    assert "digest" not in flat


def test_lists_are_also_numbers() -> None:
    flat = names.flat_parameters(CONFIG)
    assert [flat[f"conv_net.filters.{key}"] for key in ("length", 1, 2)] == ["2", "32", "64"]


def test_inactive_parameters_are_left_out() -> None:
    training = {"optimizer": "adam", "momentum": 0.9}
    flat = names.flat_parameters({**CONFIG, "training": training, "inactive": ["training.momentum"]})
    assert "training.momentum" not in flat
    assert "inactive" not in flat


def test_note_has_parameters_and_result() -> None:
    config = {**CONFIG, "architecture": {"name": "net", "parameters": {"norm": False, "rate": 0.123456}}}
    facts = examples.facts(searched=["net.norm", "net.rate", "training.epochs", "net.inactive"])
    what = "net.norm false, net.rate 0.1235, training.epochs 3"
    assert (
        names.trial_note(config, facts, examples.end())
        == f"{what}: val_accuracy 0.9000, parameters 650, epoch 2"
    )
    pruned = examples.end("pruned", reason="pruned after epoch 3")
    assert names.trial_note(config, facts, pruned) == f"{what}: pruned after epoch 3"
    failed = examples.end("failed", reason="exit status 1")
    assert names.trial_note({}, facts, failed) == "configuration lost: failed, exit status 1"


def named(dataset: str, architecture: str, augmentation: str) -> dict[str, Any]:
    return {
        "dataset": {"name": dataset, "parameters": {"size": 1}},
        "architecture": {"name": architecture, "parameters": {"size": 2}},
        "augmentation": {"name": augmentation, "parameters": {"size": 3}},
        "training": {"size": 4},
    }


@pytest.mark.parametrize(
    "plugins", [("a", "simple", "simple"), ("a", "training", "dataset"), ("a", "a", "augmentation")]
)
def test_plugins_with_one_name_keep_their_parameters(plugins: tuple[str, str, str]) -> None:
    flat = names.flat_parameters(named(*plugins))
    assert sorted(value for key, value in flat.items() if key.endswith(".size")) == ["1", "2", "3", "4"]


def test_lost_configuration_has_no_parameters() -> None:
    assert names.flat_parameters({}) == {}


scalars = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.none()


@given(scalars | st.lists(scalars))
def test_value_survives_round_trip(value: object) -> None:
    assert names.from_text(names.as_text(value)) == value


@given(st.text(alphabet="abcxyz_-", min_size=1).filter(lambda text: text not in {"true", "false", "null"}))
def test_word_survives_round_trip(word: str) -> None:
    assert names.from_text(names.as_text(word)) == word


@given(st.text(max_size=10_000))
def test_tag_is_never_too_long(text: str) -> None:
    assert len(names.shorten(text)) <= 4000
    assert names.shorten(text) == text or names.shorten(text).endswith("…")
