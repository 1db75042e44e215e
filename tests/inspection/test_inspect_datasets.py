"""Figures of a dataset, named or that of a study, with parameters; and invalid arguments."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from zoo import Dataset, inspection
from zoo.data.prepare import prepare
from zoo.errors import ZooError
from zoo.inspection import _datasets, _opening
from zoo.models import recorded
from zoo.record import StudyDirectory
from zoo.registry import Registry
from zoo.tuning.display import NoDisplay

QUIET = {"display": NoDisplay()}
STUDY = """
dataset = "digits"
[validation]
fraction = 0.3
[architecture]
name = "conv_net"
[augmentation]
name = "affine"
rotation = 33.0
zoom = { high = 0.01 }
"""


@pytest.fixture(autouse=True)
def prepared_digits(recorded_study, monkeypatch):
    """The digits are prepared once, in this process."""
    cache = recorded_study / "mlruns" / "zoo" / ".cache"
    registry = Registry.load([])
    prepared = prepare(registry.get("dataset", "digits"), {}, {}, cache)
    monkeypatch.setattr(_opening, "prepare", lambda dataset, validation, cache, display: prepared)


@pytest.fixture
def study_file(in_study):
    (in_study / "studies").mkdir(exist_ok=True)
    (in_study / "studies" / "rotated.toml").write_text(STUDY)
    return in_study


@pytest.fixture
def calls(monkeypatch):
    """The arguments of calls in a worker process; the calls run in this process."""
    calls = []

    def call(function, *arguments, log_path):
        calls.append(arguments)
        return function(*arguments)

    monkeypatch.setattr(_datasets, "start_loading_keras", lambda: None)
    monkeypatch.setattr(_datasets, "call_in_worker", call)
    return calls


def test_samples_are_written_to_output(in_study, tmp_path, read_figure):
    figure = inspection.samples("digits", output=tmp_path / "deep" / "s.png", **QUIET)
    assert figure.path == tmp_path / "deep" / "s.png"
    read_figure(figure)


def test_message_names_the_training_split(in_study, tmp_path, capsys):
    inspection.samples("digits", output=tmp_path / "s.png")
    assert "digits: 1,438 images of the training split\n" in capsys.readouterr().err


def test_default_output_is_in_working_folder(in_study, tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE_DIR", str(in_study / "mlruns" / "zoo" / ".cache"))
    monkeypatch.chdir(tmp_path)
    assert inspection.samples("digits", **QUIET).path.name == "samples-digits.png"
    assert inspection.kernels("digits", image=3, **QUIET).path.name == "kernels-digits-3.png"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kernels-digits-3.png", "samples-digits.png"]


def test_study_gives_its_dataset(study_file, tmp_path):
    by_name = inspection.samples("digits", output=tmp_path / "a.png", **QUIET)
    by_study = inspection.samples(study="rotated", output=tmp_path / "b.png", **QUIET)
    assert by_name.path.read_bytes() == by_study.path.read_bytes()


def test_image_selects_the_image(in_study, tmp_path, read_figure):
    first, second = (
        read_figure(inspection.kernels("digits", image=image, output=tmp_path / f"{image}.png", **QUIET))
        for image in (0, 1)
    )
    assert (first[80:] != second[80:]).any()


class TestAugmentation:
    def test_overrides_set_parameters(self, in_study, calls, tmp_path, read_figure):
        figure = inspection.augmentation(
            "affine", "digits", image=5, seed=3, overrides=["rotation=12.5", "augmentation.shear=0"],
            output=tmp_path / "a.png", **QUIET,
        )  # fmt: skip
        read_figure(figure)
        ((config, (copies, originals), seed),) = calls
        assert (config.name, seed) == ("affine", 3)
        assert (config.parameters["rotation"], config.parameters["shear"]) == (12.5, 0.0)
        assert (
            config.parameters["shift"]
            == Registry.load([]).get("augmentation", "affine").space["shift"].default
        )
        assert (copies == originals[0]).all()
        assert len({image.tobytes() for image in originals}) == len(originals) == 8

    def test_study_gives_parameters_of_its_policy(self, study_file, calls, tmp_path):
        inspection.augmentation("affine", study="rotated", output=tmp_path / "a.png", **QUIET)
        inspection.augmentation(
            "affine", study="rotated", overrides=["rotation=1"], output=tmp_path / "a.png", **QUIET
        )
        found = [config.parameters for config, *_ in calls]
        assert [one["rotation"] for one in found] == [33.0, 1.0]
        assert all(one["zoom"] == 0.01 for one in found)  # the value of its range nearest to the default

    def test_policy_that_study_lacks_has_defaults(self, study_file, calls, tmp_path):
        inspection.augmentation("none", study="rotated", output=tmp_path / "a.png", **QUIET)
        assert calls[0][0].parameters == {}

    @pytest.mark.parametrize(
        ("first", "images", "expected"),
        [
            (0, 16, [0, 2, 4, 6, 8, 10, 12, 14]),
            (15, 16, [15, 1, 3, 5, 7, 9, 11, 13]),
            (2, 3, [2, 0, 1]),
            (0, 1, [0]),
        ],
    )
    def test_images_are_evenly_spaced(self, first, images, expected):
        assert _datasets._evenly_spaced(first, images, 8) == expected

    def test_last_image_can_be_the_first(self, in_study, calls, tmp_path):
        inspection.augmentation("none", "digits", image=1437, output=tmp_path / "a.png", **QUIET)
        (_, (copies, originals), _) = calls[0]
        np.testing.assert_array_equal(originals[0], copies[0])
        assert len(originals) == 8

    def test_failing_policy_is_named(self, in_study, monkeypatch, tmp_path):
        monkeypatch.setattr(_datasets, "start_loading_keras", lambda: None)

        def fail(*_, log_path):
            raise ZooError("KeyError: 'x'")

        monkeypatch.setattr(_datasets, "call_in_worker", fail)
        with pytest.raises(ZooError, match=r"^the augmentation 'affine' of keras-zoo .*: KeyError: 'x'$"):
            inspection.augmentation("affine", "digits", output=tmp_path / "a.png", **QUIET)


@pytest.mark.parametrize(
    ("draw", "arguments", "options", "complaint"),
    [
        ("samples", [], {}, "expected a dataset or --study STUDY, got neither"),
        ("samples", ["digits"], {"study": "digits_cnn"}, "name one of them"),
        ("samples", ["digist"], {}, "no dataset named 'digist'. Did you mean 'digits'"),
        ("samples", [], {"study": "digit_cnn"}, "Did you mean 'digits_cnn'"),
        (
            "samples",
            ["digits"],
            {"overrides": ["count=3"]},
            "the dataset 'digits': there is no parameter 'count'. None available.",
        ),
        ("samples", ["digits"], {"overrides": ["count"]}, "--set count: expected KEY=VALUE"),
        ("kernels", ["digits"], {"image": 1438}, "no image 1438 in the training split; expected 0 … 1437"),
        ("augmentation", ["afine", "digits"], {}, "Did you mean 'affine'"),
        ("augmentation", ["affine"], {}, "name one of them"),
        (
            "augmentation",
            ["affine", "digits"],
            {"overrides": ["rotatoin=3"]},
            "--set: the augmentation 'affine': there is no parameter 'rotatoin'. Did you mean",
        ),
        (
            "augmentation",
            ["affine", "digits"],
            {"overrides": ["rotation=99"]},
            "--set: the augmentation 'affine': rotation: expected 0 … 45, got 99",
        ),
        (
            "augmentation",
            ["affine", "digits"],
            {"overrides": ["dataset.count=9"]},
            "--set: the dataset 'digits': there is no parameter 'count'",
        ),
    ],
)
def test_invalid_argument_is_one_line(in_study, calls, tmp_path, draw, arguments, options, complaint):
    with pytest.raises(ZooError) as error:
        getattr(inspection, draw)(*arguments, **options, output=tmp_path / "p.png", **QUIET)
    assert complaint in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_policy_of_plugin_file_is_drawn(in_study, calls, tmp_path):
    file = tmp_path / "own_policy.py"
    file.write_text("import zoo\n\n@zoo.augmentation\ndef own_policy():\n    return []\n")
    output = tmp_path / "p.png"
    inspection.augmentation("own_policy", "digits", plugins=[file], output=output, **QUIET)
    assert calls[0][0].name == "own_policy"
    with pytest.raises(ZooError, match="there is no augmentation named 'own_policy'"):
        inspection.augmentation("own_policy", "digits", output=output, **QUIET)


@pytest.mark.parametrize("name", sorted({*inspection.__all__} - {"curves"}))
def test_every_function_that_loads_plugins_takes_files(name):
    function = getattr(inspection, name)
    if not isinstance(function, type):
        with pytest.raises(ZooError, match="there is no plugin file"):
            function(plugins=["none.py"])


class TestInMemory:
    DATA = Dataset.from_arrays(np.arange(20 * 64).reshape(20, 8, 8) % 251, np.arange(20) % 2)

    @pytest.fixture(autouse=True)
    def prepare_in_memory(self, monkeypatch):
        monkeypatch.setattr(_opening, "prepare", recorded.prepare)

    def test_arrays_are_drawn(self, in_tmp):
        assert inspection.samples(self.DATA, **QUIET).path == Path("samples-in-memory.png")
        assert inspection.kernels(self.DATA, image=3, **QUIET).path.exists()

    def test_overrides_are_refused(self, in_tmp):
        with pytest.raises(ZooError, match=r"data in memory has no parameters, got overrides \['count=9'\]"):
            inspection.samples(self.DATA, overrides=["count=9"], **QUIET)

    def test_study_on_arrays_is_drawn_from_the_cache(self, in_tmp):
        directory = StudyDirectory(in_tmp, "mine")
        prepared = recorded.prepare(self.DATA, {}, directory.cache_dir, NoDisplay())
        config = {"dataset": {"name": "in memory"}, "digest": prepared.digest}
        directory.trial(0).create({**config, "validation": {"fraction": 0.2, "seed": 0}})
        assert inspection.samples(study="mine", **QUIET).path == Path("samples-in-memory.png")
        report = inspection.data(study="mine", **QUIET)
        assert report.path == Path("data-in-memory.png")
        assert report.classes["train"].sum() + report.classes["validation"].sum() == 20
        for draw in (inspection.samples, inspection.kernels, inspection.data):
            with pytest.raises(
                ZooError, match=r"data in memory has no parameters, got overrides \['dataset.count=9'\]"
            ):
                draw(study="mine", overrides=["dataset.count=9"], **QUIET)
        shutil.rmtree(directory.cache_dir)
        with pytest.raises(ZooError, match=r"^the trials of 'mine' use a dataset in memory, and its copy"):
            inspection.samples(study="mine", **QUIET)

    def test_policy_of_study_without_dataset_is_drawn(self, in_tmp, calls):
        directory = StudyDirectory(in_tmp, "mine")
        prepared = recorded.prepare(self.DATA, {}, directory.cache_dir, NoDisplay())
        config = {"dataset": {"name": "in memory"}, "digest": prepared.digest, "validation": {}}
        directory.trial(0).create(config)
        (in_tmp / "studies").mkdir()
        text = STUDY.replace('dataset = "digits"', "").replace("rotation = 33.0", "rotation = 0.0")
        (in_tmp / "studies" / "mine.toml").write_text(text)
        assert inspection.augmentation("affine", study="mine", **QUIET).path.exists()
        assert calls[0][0].parameters["rotation"] == 0.0
