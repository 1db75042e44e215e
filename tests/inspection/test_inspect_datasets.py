"""Pictures of datasets: named or a study's, with parameters, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from zoo import inspection
from zoo.data.prepare import prepare
from zoo.errors import ZooError
from zoo.inspection import _datasets
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
def prepared_once(recorded_study, monkeypatch):
    """The digits are in the cache; only one test prepares them in a process, as users do."""
    cache = recorded_study / "mlruns" / "zoo" / ".cache"
    registry = Registry.load([])
    prepared = prepare(registry.get("dataset", "digits"), {}, _datasets._VALIDATION, cache)
    monkeypatch.setattr(_datasets, "prepare", lambda dataset, validation, cache, display: prepared)


@pytest.fixture
def with_study(in_study):
    (in_study / "studies").mkdir(exist_ok=True)
    (in_study / "studies" / "turned.toml").write_text(STUDY)
    return in_study


@pytest.fixture
def calls(monkeypatch):
    """The arguments of calls in a worker process, which happen in this process."""
    calls = []

    def call(function, *arguments, log_path):
        calls.append(arguments)
        return function(*arguments)

    monkeypatch.setattr(_datasets, "start_loading_keras", lambda: None)
    monkeypatch.setattr(_datasets, "call_in_worker", call)
    return calls


def test_samples(in_study, tmp_path, read_picture):
    picture = inspection.samples("digits", output=tmp_path / "deep" / "s.png", **QUIET)
    assert picture.path == tmp_path / "deep" / "s.png"
    read_picture(picture)


def test_in_the_working_folder_by_default(in_study, tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE_DIR", str(in_study / "mlruns" / "zoo" / ".cache"))
    monkeypatch.chdir(tmp_path)
    assert inspection.samples("digits", **QUIET).path.name == "samples-digits.png"
    assert inspection.kernels("digits", image=3, **QUIET).path.name == "kernels-digits-3.png"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kernels-digits-3.png", "samples-digits.png"]


def test_the_dataset_of_a_study(with_study, tmp_path):
    by_name = inspection.samples("digits", output=tmp_path / "a.png", **QUIET)
    by_study = inspection.samples(study="turned", output=tmp_path / "b.png", **QUIET)
    assert by_name.path.read_bytes() == by_study.path.read_bytes()


def test_another_image_is_another_picture(in_study, tmp_path, read_picture):
    first, second = (
        read_picture(inspection.kernels("digits", image=image, output=tmp_path / f"{image}.png", **QUIET))
        for image in (0, 1)
    )
    assert (first[80:] != second[80:]).any()


class TestAugmentation:
    def test_parameters(self, in_study, calls, tmp_path, read_picture):
        picture = inspection.augmentation(
            "affine", "digits", image=5, seed=3, overrides=["rotation=12.5", "augmentation.shear=0"],
            output=tmp_path / "a.png", **QUIET,
        )  # fmt: skip
        read_picture(picture)
        ((chosen, (copies, originals), seed),) = calls
        assert (chosen.name, seed) == ("affine", 3)
        assert (chosen.parameters["rotation"], chosen.parameters["shear"]) == (12.5, 0.0)
        assert (
            chosen.parameters["shift"]
            == Registry.load([]).get("augmentation", "affine").space["shift"].default
        )
        assert (copies == originals[0]).all()
        assert len({image.tobytes() for image in originals}) == len(originals) == 8

    def test_a_study_says_what_it_pins(self, with_study, calls, tmp_path):
        inspection.augmentation("affine", study="turned", output=tmp_path / "a.png", **QUIET)
        inspection.augmentation(
            "affine", study="turned", overrides=["rotation=1"], output=tmp_path / "a.png", **QUIET
        )
        found = [chosen.parameters for chosen, *_ in calls]
        assert [one["rotation"] for one in found] == [33.0, 1.0]
        assert all(one["zoom"] == 0.01 for one in found)  # the value of its range nearest to the default

    def test_one_that_the_study_does_not_name(self, with_study, calls, tmp_path):
        inspection.augmentation("none", study="turned", output=tmp_path / "a.png", **QUIET)
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
    def test_the_others_are_spread_over_all(self, first, images, expected):
        assert _datasets._spread(first, images, 8) == expected

    def test_from_the_last_image_on(self, in_study, calls, tmp_path):
        inspection.augmentation("none", "digits", image=1437, output=tmp_path / "a.png", **QUIET)
        (_, (copies, originals), _) = calls[0]
        np.testing.assert_array_equal(originals[0], copies[0])
        assert len(originals) == 8

    def test_a_policy_that_fails_is_named(self, in_study, monkeypatch, tmp_path):
        monkeypatch.setattr(_datasets, "start_loading_keras", lambda: None)

        def fail(*_, log_path):
            raise ZooError("KeyError: 'x'")

        monkeypatch.setattr(_datasets, "call_in_worker", fail)
        with pytest.raises(ZooError, match=r"^The augmentation 'affine' of keras-zoo .*: KeyError: 'x'$"):
            inspection.augmentation("affine", "digits", output=tmp_path / "a.png", **QUIET)


@pytest.mark.parametrize(
    ("draw", "arguments", "options", "complaint"),
    [
        ("samples", [], {}, "Name either a dataset or, with --study STUDY"),
        ("samples", ["digits"], {"study": "digits_cnn"}, "Name either a dataset or"),
        ("samples", ["digist"], {}, "no dataset named 'digist'. Did you mean 'digits'"),
        ("samples", [], {"study": "digit_cnn"}, "Did you mean 'digits_cnn'"),
        ("samples", ["digits"], {"overrides": ["count=3"]}, "has no parameter 'count'. It has none."),
        ("samples", ["digits"], {"overrides": ["count"]}, "--set count: expected KEY=VALUE"),
        ("kernels", ["digits"], {"image": 1438}, "no image 1438 in the training split; expected 0 … 1437"),
        ("augmentation", ["afine", "digits"], {}, "Did you mean 'affine'"),
        ("augmentation", ["affine"], {}, "Name either a dataset or"),
        (
            "augmentation",
            ["affine", "digits"],
            {"overrides": ["rotatoin=3"]},
            "--set rotatoin=3: the augmentation affine has no parameter 'rotatoin'. Did you mean",
        ),
        (
            "augmentation",
            ["affine", "digits"],
            {"overrides": ["rotation=99"]},
            "--set rotation=99: expected 0 … 45, got 99",
        ),
        (
            "augmentation",
            ["affine", "digits"],
            {"overrides": ["dataset.count=9"]},
            "--set dataset.count=9: the dataset digits has no parameter 'count'",
        ),
    ],
)
def test_what_is_refused(in_study, calls, tmp_path, draw, arguments, options, complaint):
    with pytest.raises(ZooError) as refused:
        getattr(inspection, draw)(*arguments, **options, output=tmp_path / "p.png", **QUIET)
    assert complaint in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert not list(tmp_path.iterdir())
