"""Figures of recorded trials: their content, their files, and invalid arguments."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import zoo
from zoo import inspection
from zoo.data.store import open_dataset
from zoo.errors import StudyError, ZooError
from zoo.events import EpochEnd, EventLog, Finished
from zoo.figures import curve_of, draw_trial
from zoo.figures._page import Page
from zoo.inspection import _network, _trials
from zoo.inspection._figure import image_at
from zoo.models.recorded import find_run, validation_data
from zoo.record import load_runs
from zoo.tuning.display import NoDisplay

QUIET = {"display": NoDisplay()}


def test_public_name_is_zoo_inspect():
    assert zoo.inspect is inspection


def test_figure_equals_the_automatic_figure(in_study, figures_of, tmp_path):
    run = find_run("example", None, None, NoDisplay())
    split, names = validation_data(run, NoDisplay())
    automatic = {
        path.name: path.read_bytes()
        for path in draw_trial(run.directory.path, split.images, names, title=run.title)
    }
    drawn = [
        inspection.curves("example", 1),
        inspection.confusion("example", **QUIET),
        inspection.mistakes("example", **QUIET),
        inspection.predictions("example", **QUIET),
    ]
    assert {figure.path.name: figure.path.read_bytes() for figure in drawn} == automatic
    assert {figure.path.parent for figure in drawn} == {figures_of(1)}


def test_title_and_message_name_the_validation_split(in_study, keras_in_process, monkeypatch, capsys):
    headers, create = [], Page.__init__

    def spy(page, width, height, title, subtitle, *key):
        headers.append(f"{title}; {subtitle}")
        create(page, width, height, title, subtitle, *key)

    monkeypatch.setattr(Page, "__init__", spy)
    for draw in (inspection.confusion, inspection.mistakes, inspection.predictions):
        draw("example")
        assert "of 288 validation images " in headers[-1]
        assert "example, trial 1: 288 images of the validation split\n" in capsys.readouterr().err
    inspection.features("example", image=7)
    assert headers[-1].startswith("example, trial 1, validation image 7; ")
    assert "example, trial 1: image 7 of the validation split\n" in capsys.readouterr().err


def test_notebook_displays_the_figure(in_study):
    figure = inspection.mistakes("example", **QUIET)
    assert figure._repr_png_() == figure.path.read_bytes()
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_missing_predictions_are_computed_again(in_study, keras_in_process, tmp_path):
    best = find_run("example", 1, None, NoDisplay())
    recorded = inspection.confusion("example", 1, output=tmp_path / "a.png", **QUIET)
    (tmp_path / "run").mkdir()
    for name in ("config.json", "events.jsonl", "model.keras"):
        (tmp_path / "run" / name).write_bytes((best.directory.path / name).read_bytes())
    _, _, again = _trials._CompleteRun(None, None, tmp_path / "run", NoDisplay()).predictions()
    with np.load(best.directory.predictions_path) as kept:
        np.testing.assert_allclose(again, kept["probabilities"], atol=1e-5)
    assert recorded.path.exists()


@pytest.mark.parametrize("draw", [inspection.confusion, inspection.mistakes, inspection.predictions])
def test_missing_predictions_and_dataset_are_computed_again(in_study, keras_in_process, in_tmp, draw):
    best = in_study / "mlruns" / "zoo" / "example" / "trials" / "001"
    (in_tmp / "copy").mkdir()
    for name in ("config.json", "events.jsonl", "model.keras"):
        (in_tmp / "copy" / name).write_bytes((best / name).read_bytes())
    assert draw(run="copy", output=in_tmp / "p.png", **QUIET).path.exists()


def test_damaged_predictions_are_an_error(in_study, in_tmp):
    folder = shutil.copytree(in_study / "mlruns" / "zoo" / "example" / "trials" / "001", in_tmp / "copy")
    recorded = (folder / "predictions.npz").read_bytes()
    (folder / "predictions.npz").write_bytes(recorded[: len(recorded) // 2])
    with pytest.raises(ZooError, match=r"^cannot read the predictions in .*predictions\.npz: "):
        inspection.confusion(run=folder, **QUIET)


def test_images_select_predictions(in_study, figures_of, read_figure):
    figure = inspection.predictions("example", images=[5, 2], **QUIET)
    assert figure.path == figures_of(1) / "predictions-5-2.png"
    assert read_figure(figure).shape[0] < read_figure(inspection.predictions("example", **QUIET)).shape[0]
    with pytest.raises(ZooError, match="no image 288 in the validation split; expected 0 … 287"):
        inspection.predictions("example", images=[5, 288], **QUIET)


class TestCurves:
    def test_study_compares_all_trials(self, in_study, read_figure):
        figure = inspection.curves("example")
        assert figure.path.as_posix() == "mlruns/zoo/example/figures/curves.png"
        read_figure(figure)

    def test_study_can_be_a_file(self, in_study):
        path = inspection.curves("studies/example.toml").path
        assert path.as_posix() == "mlruns/zoo/example/figures/curves.png"

    def test_several_trials_are_compared(self, in_study, tmp_path):
        figure = inspection.curves("example", 2, 0)
        assert figure.path.name == "curves-2-0.png"
        other = inspection.curves("example", 0, 2, output=tmp_path / "c.png")
        assert other.path.read_bytes() != figure.path.read_bytes()  # another order

    def test_pruned_or_running_trial_has_curves(self, in_study, figures_of):
        for trial in (2, 3):
            assert inspection.curves("example", trial).path == figures_of(trial) / "learning_curves.png"

    def test_standalone_run_has_curves(self, in_study):
        (folder,) = (in_study / "mlruns" / "zoo" / "example" / "standalone").iterdir()
        assert inspection.curves(run=folder).path == folder / "figures" / "learning_curves.png"

    def test_names_have_value_and_state(self, in_study):
        names = [curve_of(run).name for run in load_runs("example")]
        value = find_run("example", 1, None, NoDisplay()).summary["best_val_accuracy"]
        assert names == [
            "trial 0: 0.1000",
            f"trial 1: {value:.4f}",
            f"trial 2 (pruned): {value:.4f}",
            "trial 3 (running)",
        ]

    def test_trial_with_folds_marks_no_epoch(self, in_study, tmp_path):
        best = find_run("example", 1, None, NoDisplay()).directory.path
        (tmp_path / "config.json").write_bytes((best / "config.json").read_bytes())
        for fold in (1, 2):
            EventLog(tmp_path / "events.jsonl").append(EpochEnd(1.0, 1, {"val_loss": 1.0}, fold=fold))
        EventLog(tmp_path / "events.jsonl").append(Finished(2.0, "complete", summary={"best_epoch": 1}))
        assert curve_of(find_run(None, None, tmp_path, NoDisplay())).best_epoch is None

    def test_run_without_epochs_is_an_error(self, in_study, tmp_path):
        best = find_run("example", 1, None, NoDisplay()).directory.path
        (tmp_path / "config.json").write_bytes((best / "config.json").read_bytes())
        with pytest.raises(StudyError, match="has not finished an epoch, so it has no curves"):
            inspection.curves(run=tmp_path)
        with pytest.raises(StudyError, match="expected a study, or the folder of a run"):
            inspection.curves()


@pytest.mark.usefixtures("keras_in_process")
class TestNetwork:
    def test_features_of_every_layer(self, in_study, figures_of, read_figure):
        figure = inspection.features("example", image=7, **QUIET)
        assert figure.path == figures_of(1) / "features-7.png"
        read_figure(figure)

    def test_features_of_one_layer(self, in_study, figures_of, read_figure):
        layer = inspection.layers("example", **QUIET).layers[5].name
        figure = inspection.features("example", layer=layer, **QUIET)
        assert figure.path == figures_of(1) / f"features-{layer}-0.png"
        read_figure(figure)

    def test_unknown_layer_error_names_the_run(self, in_study):
        layer = inspection.layers("example", **QUIET).layers[5].name
        message = rf"^example, trial 1: there is no layer '{layer}x'\. Did you mean '{layer}'\?$"
        with pytest.raises(ZooError, match=message):
            inspection.features("example", layer=f"{layer}x", **QUIET)

    def test_unknown_image_is_an_error(self, in_study):
        with pytest.raises(ZooError, match="no image 999 in the validation split"):
            inspection.features("example", image=999, **QUIET)

    def test_filters_are_written(self, in_study, figures_of, read_figure):
        figure = inspection.filters("example", **QUIET)
        assert figure.path == figures_of(1) / "filters.png"
        read_figure(figure)

    def test_layers_agree_with_the_record(self, in_study):
        table = inspection.layers("example", **QUIET)
        summary = find_run("example", 1, None, NoDisplay()).summary
        assert table.parameters == summary["parameters"]
        assert [layer.kind for layer in table.layers][:3] == ["InputLayer", "Rescaling", "Conv2D"]

    @pytest.mark.parametrize("draw", [inspection.features, inspection.filters, inspection.layers])
    def test_pruned_trial_has_no_network(self, in_study, monkeypatch, draw):
        monkeypatch.setattr(_trials, "call_on_model", lambda *_: pytest.fail("a process was started"))
        with pytest.raises(StudyError, match="trial 2 of 'example' was pruned"):
            draw("example", 2, **QUIET)


def test_filters_are_computed_in_a_worker_process(in_study, tmp_path):
    figure = inspection.filters("example", output=tmp_path / "f.png", **QUIET)
    here = _network.first_filters(find_run("example", 1, None, NoDisplay()).directory.model_path)
    assert here[1].shape == (3, 3, 1, 8)
    assert figure.path.stat().st_size > 1_000


@pytest.mark.parametrize(
    ("output", "complaint"),
    [
        ("figure.jpg", r"ends in \.png, got figure\.jpg"),
        (".", r"\. is a folder; expected a file, such as mis"),
    ],
)
def test_invalid_output_is_an_error(in_study, output, complaint):
    with pytest.raises(ZooError, match=f"^--output: .*{complaint}"):
        inspection.mistakes("example", output=output, **QUIET)


def test_unwritable_folder_is_an_error(in_study, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ZooError, match=r"^--output .*m\.png: cannot be written \(Not a directory\)\."):
        inspection.mistakes("example", output=tmp_path / "file" / "m.png", **QUIET)


def test_image_number_is_checked(in_study):
    run = find_run("example", 1, None, NoDisplay())
    images = open_dataset(run.cache_dir, run.config.digest).train.images
    assert image_at(images, 5, "training").shape == (8, 8, 1)
    for number in (-1, len(images)):
        with pytest.raises(
            ZooError, match=rf"no image {number} in the training split; expected 0 … {len(images) - 1}"
        ):
            image_at(images, number, "training")
