"""Pictures of trials, from a real record: drawn, put where they belong, refused in one line."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import zoo
from zoo import inspection
from zoo.data.store import open_dataset
from zoo.errors import StudyError, ZooError
from zoo.events import EpochEnd, EventLog
from zoo.figures import draw_trial
from zoo.inspection import _network, _trials
from zoo.inspection._picture import image_of
from zoo.models.recorded import find_run, validation_data
from zoo.record import load_runs
from zoo.tuning.display import NoDisplay

QUIET = {"display": NoDisplay()}


def test_the_public_name():
    assert zoo.inspect is inspection


def test_what_every_trial_leaves_is_what_is_drawn_on_demand(in_study, figures_of, tmp_path):
    """Same record, same function: the same bytes."""
    run = find_run("example", None, None, NoDisplay())
    split, names = validation_data(run, NoDisplay())
    left = {
        path.name: path.read_bytes()
        for path in draw_trial(run.directory.path, split.images, names, title=run.title)
    }
    drawn = [
        inspection.curves("example", 1),
        inspection.confusion("example", **QUIET),
        inspection.mistakes("example", **QUIET),
        inspection.predictions("example", **QUIET),
    ]
    assert {picture.path.name: picture.path.read_bytes() for picture in drawn} == left
    assert {picture.path.parent for picture in drawn} == {figures_of(1)}


def test_a_notebook_shows_it(in_study):
    picture = inspection.mistakes("example", **QUIET)
    assert picture._repr_png_() == picture.path.read_bytes()
    assert picture._repr_png_().startswith(b"\x89PNG")


def test_predictions_that_were_not_kept_are_made_again(in_study, keras_in_process, monkeypatch, tmp_path):
    """Trial 0 has neither predictions nor model here; its model comes from elsewhere."""
    best = find_run("example", 1, None, NoDisplay())
    recorded = inspection.confusion("example", 1, output=tmp_path / "a.png", **QUIET)
    (tmp_path / "run").mkdir()
    for name in ("config.json", "events.jsonl", "model.keras"):
        (tmp_path / "run" / name).write_bytes((best.directory.path / name).read_bytes())
    monkeypatch.chdir(in_study)
    again = _trials.predictions_of(find_run(None, None, tmp_path / "run", NoDisplay()), NoDisplay())
    with np.load(best.directory.predictions_path) as kept:
        np.testing.assert_allclose(again, kept["probabilities"], atol=1e-5)
    assert recorded.path.exists()


@pytest.mark.parametrize("draw", [inspection.confusion, inspection.mistakes, inspection.predictions])
def test_predictions_and_prepared_dataset_that_are_gone_are_made_again(
    in_study, keras_in_process, in_tmp, draw
):
    best = in_study / "mlruns" / "zoo" / "example" / "trials" / "001"
    (in_tmp / "copy").mkdir()
    for name in ("config.json", "events.jsonl", "model.keras"):
        (in_tmp / "copy" / name).write_bytes((best / name).read_bytes())
    assert draw(run="copy", output=in_tmp / "p.png", **QUIET).path.exists()


def test_predictions_that_cannot_be_read(in_study, in_tmp):
    folder = shutil.copytree(in_study / "mlruns" / "zoo" / "example" / "trials" / "001", in_tmp / "copy")
    recorded = (folder / "predictions.npz").read_bytes()
    (folder / "predictions.npz").write_bytes(recorded[: len(recorded) // 2])
    with pytest.raises(ZooError, match=r"^Cannot read the predictions in .*predictions\.npz: "):
        inspection.confusion(run=folder, **QUIET)


def test_chosen_images(in_study, figures_of, read_picture):
    chosen = inspection.predictions("example", images=[5, 2], **QUIET)
    assert chosen.path == figures_of(1) / "predictions-5-2.png"
    assert read_picture(chosen).shape[0] < read_picture(inspection.predictions("example", **QUIET)).shape[0]
    with pytest.raises(ZooError, match="no image 288 in the validation split; expected 0 … 287"):
        inspection.predictions("example", images=[5, 288], **QUIET)


class TestCurves:
    def test_of_all_trials_compared(self, in_study, read_picture):
        picture = inspection.curves("example")
        assert picture.path.as_posix() == "mlruns/zoo/example/figures/curves.png"
        read_picture(picture)

    def test_of_a_study_by_its_file(self, in_study):
        path = inspection.curves("studies/example.toml").path
        assert path.as_posix() == "mlruns/zoo/example/figures/curves.png"

    def test_of_some_trials(self, in_study, tmp_path):
        picture = inspection.curves("example", 2, 0)
        assert picture.path.name == "curves-2-0.png"
        other = inspection.curves("example", 0, 2, output=tmp_path / "c.png")
        assert other.path.read_bytes() != picture.path.read_bytes()  # in the order asked for

    def test_of_one_that_was_pruned_or_is_running(self, in_study, figures_of):
        for trial in (2, 3):
            assert inspection.curves("example", trial).path == figures_of(trial) / "learning_curves.png"

    def test_of_a_training(self, in_study):
        (folder,) = (in_study / "mlruns" / "zoo" / "example" / "standalone").iterdir()
        assert inspection.curves(run=folder).path == folder / "figures" / "learning_curves.png"

    def test_what_is_compared(self, in_study):
        names = [_trials._curve(run).name for run in load_runs("example")]
        value = find_run("example", 1, None, NoDisplay()).summary["best_val_accuracy"]
        assert names == [
            "trial 0: 0.1000",
            f"trial 1: {value:.4f}",
            f"trial 2 (pruned): {value:.4f}",
            "trial 3 (running)",
        ]

    def test_folds_are_their_mean_as_far_as_all_came(self, in_study, tmp_path):
        events = [
            EpochEnd(float(fold), epoch, {"val_loss": float(fold * epoch)}, fold=fold)
            for fold, epochs in ((1, 3), (2, 2))
            for epoch in range(1, epochs + 1)
        ]
        folder = tmp_path / "run"
        folder.mkdir()
        best = find_run("example", 1, None, NoDisplay()).directory.path
        (folder / "config.json").write_bytes((best / "config.json").read_bytes())
        for event in events:
            EventLog(folder / "events.jsonl").append(event)
        curve = _trials._curve(find_run(None, None, folder, NoDisplay()))
        assert list(curve.epochs) == [
            EpochEnd(2.0, 1, {"val_loss": 1.5}),
            EpochEnd(2.0, 2, {"val_loss": 3.0}),
        ]

    def test_nothing_to_draw(self, in_study, tmp_path):
        best = find_run("example", 1, None, NoDisplay()).directory.path
        (tmp_path / "config.json").write_bytes((best / "config.json").read_bytes())
        with pytest.raises(StudyError, match="has no epoch, so it has no curves"):
            inspection.curves(run=tmp_path)
        with pytest.raises(StudyError, match="Name a study"):
            inspection.curves()


@pytest.mark.usefixtures("keras_in_process")
class TestNetwork:
    def test_maps_of_every_layer(self, in_study, figures_of, read_picture):
        picture = inspection.features("example", image=7, **QUIET)
        assert picture.path == figures_of(1) / "features-7.png"
        read_picture(picture)

    def test_maps_of_one_layer(self, in_study, figures_of, read_picture):
        layer = inspection.layers("example", **QUIET).layers[5].name
        picture = inspection.features("example", layer=layer, **QUIET)
        assert picture.path == figures_of(1) / f"features-{layer}-0.png"
        read_picture(picture)

    def test_an_unknown_layer_is_told_with_its_run(self, in_study):
        with pytest.raises(ZooError, match=r"^example, trial 1: There is no layer 'conv3d'\. Did you mean"):
            inspection.features("example", layer="conv3d", **QUIET)

    def test_an_unknown_image(self, in_study):
        with pytest.raises(ZooError, match="no image 999 in the validation split"):
            inspection.features("example", image=999, **QUIET)

    def test_filters(self, in_study, figures_of, read_picture):
        picture = inspection.filters("example", **QUIET)
        assert picture.path == figures_of(1) / "filters.png"
        read_picture(picture)

    def test_layers(self, in_study):
        table = inspection.layers("example", **QUIET)
        summary = find_run("example", 1, None, NoDisplay()).summary
        assert table.parameters == summary["parameters"]
        assert [layer.kind for layer in table.layers][:3] == ["InputLayer", "Rescaling", "Conv2D"]

    @pytest.mark.parametrize("draw", [inspection.features, inspection.filters, inspection.layers])
    def test_a_trial_without_a_model_is_refused_before_anything_is_begun(self, in_study, monkeypatch, draw):
        monkeypatch.setattr(_trials, "start_loading_keras", lambda: pytest.fail("Keras is being loaded"))
        with pytest.raises(StudyError, match="Trial 2 of 'example' was pruned"):
            draw("example", 2, **QUIET)


def test_a_question_is_asked_in_a_process_of_its_own(in_study, tmp_path):
    """The whole way once: the model of the record, in a process with Keras, to a picture."""
    picture = inspection.filters("example", output=tmp_path / "f.png", **QUIET)
    here = _network.first_filters(find_run("example", 1, None, NoDisplay()).directory.model_path)
    assert here[1].shape == (3, 3, 1, 8)
    assert picture.path.stat().st_size > 1_000


@pytest.mark.parametrize(
    ("output", "complaint"),
    [
        ("picture.jpg", r"ends in \.png, but got picture\.jpg"),
        (".", r"\. is a folder; expected a file, such as mis"),
    ],
)
def test_an_output_that_cannot_be(in_study, output, complaint):
    with pytest.raises(ZooError, match=f"^--output: .*{complaint}"):
        inspection.mistakes("example", output=output, **QUIET)


def test_a_place_that_cannot_be_written(in_study, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ZooError, match=r"m\.png cannot be written \(.*\); --output names another place"):
        inspection.mistakes("example", output=tmp_path / "file" / "m.png", **QUIET)


def test_an_image_that_is_not_there(in_study):
    run = find_run("example", 1, None, NoDisplay())
    images = open_dataset(run.cache_dir, run.config.digest).train.images
    assert image_of(images, 5, "the training split").shape == (8, 8, 1)
    for number in (-1, len(images)):
        with pytest.raises(
            ZooError, match=rf"no image {number} in the training split; expected 0 … {len(images) - 1}"
        ):
            image_of(images, number, "the training split")
