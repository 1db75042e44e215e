"""Exporting a model, and comparing the result with the original in its own runtime."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zoo
from zoo.data.store import open_dataset
from zoo.errors import ModelError, ZooError
from zoo.models import export_model, exporting, find_model, formats
from zoo.models.formats import FORMATS
from zoo.record import run_in
from zoo.tuning.display import NoDisplay, PlainDisplay

TRIAL = "mlruns/zoo/example/trials/001"
CLASSES = tuple("0123456789")


@pytest.fixture
def found(in_study):
    return find_model(TRIAL)


@pytest.fixture
def images(in_study):
    """Twenty images of the test split, float32, `(20, 8, 8, 1)`."""
    run = run_in(in_study / TRIAL)
    return np.asarray(open_dataset(run.cache_dir, run.config.digest).test.images[:20], np.float32)


@pytest.fixture
def export(keras_in_process, tmp_path):
    """export(found, format) -> the Exported, in an empty folder."""

    def call(found, format, display=None, **options):
        for module in FORMATS[format].modules:
            pytest.importorskip(module)
        output = tmp_path / f"exported{FORMATS[format].suffix}"
        return export_model(found, format, output, display or NoDisplay(), **options)

    return call


@pytest.fixture
def lonely(in_study, tmp_path):
    """The same model as a file without its dataset."""
    shutil.copyfile(f"{TRIAL}/model.keras", tmp_path / "lonely.keras")

    def find(monkeypatch):
        monkeypatch.chdir(tmp_path)
        return find_model("lonely.keras")

    return find


class TestComparison:
    @pytest.mark.parametrize("format", FORMATS)
    def test_exported_model_answers_as_the_original(self, found, images, export, format):
        result = export(found, format)
        expected = zoo.load_model(TRIAL).predict_on_batch(images)
        tolerance = 0.1 if FORMATS[format].is_quantized else 1e-5
        np.testing.assert_allclose(FORMATS[format].run(result.path, images), expected, atol=tolerance)
        assert result.images == "100 images of the test split of digits"
        assert result.largest_difference < tolerance
        assert (result.num_images, result.num_equal > 95) == (100, True)

    def test_int8_model_says_its_accuracy(self, found, export):
        result = export(found, "litert-int8")
        original, exported, count = result.accuracies
        test = open_dataset(found.run.cache_dir, found.info.digest).test
        expected = zoo.load_model(TRIAL).predict_on_batch(np.asarray(test.images)).argmax(axis=1)
        assert (original, count) == (pytest.approx((expected == test.labels).mean()), 359)
        assert abs(original - exported) < 0.05
        assert result.calibration == "300 images of the training split of digits"

    def test_int8_model_has_int8_weights_and_activations(self, found, export):
        pytest.importorskip("ai_edge_litert")
        from ai_edge_litert.interpreter import Interpreter

        result = export(found, "litert-int8")
        with zipfile.ZipFile(result.path) as archive:
            assert archive.read("labels.txt").decode().split() == list(map(str, range(10)))
            assert json.loads(archive.read("zoo.json"))["dataset"] == "digits"
        dtypes = [one["dtype"] for one in Interpreter(str(result.path)).get_tensor_details()]
        assert dtypes.count(np.int8) > len(dtypes) / 2
        assert dtypes.count(np.float32) <= 2  # input and output

    def test_network_inside_a_network_is_exported_for_inference(self, tmp_path, export):
        import keras

        base = keras.Sequential([keras.Input((6, 6, 3)), keras.layers.BatchNormalization()])
        base.layers[0].moving_mean.assign([50.0, 60.0, 70.0])
        image = keras.Input((6, 6, 3))
        hidden = keras.layers.Dropout(0.5)(keras.layers.Flatten()(base(image)))
        keras.Model(image, keras.layers.Dense(3, activation="softmax")(hidden)).save(tmp_path / "m.keras")
        result = export(find_model(tmp_path / "m.keras"), "saved_model")
        assert result.largest_difference < 1e-5

    @pytest.mark.parametrize("format", ["saved_model", "onnx", "tflite"])
    def test_every_activation_is_exported(self, tmp_path, export, format):
        import keras

        stack = [keras.Input((4, 4, 1)), keras.layers.Flatten()]
        activations = ("relu", "elu", "gelu", "silu", "tanh", "sigmoid", "linear")
        stack += [keras.layers.Dense(8, activation=name) for name in activations]
        keras.Sequential([*stack, keras.layers.Dense(3, activation="softmax")]).save(tmp_path / "m.keras")
        assert export(find_model(tmp_path / "m.keras"), format).largest_difference < 1e-5

    def test_operation_that_onnx_does_not_have_is_named(self, tmp_path, keras_in_process):
        pytest.importorskip("tf2onnx")
        import keras

        image = keras.Input((4, 4, 1))
        hidden = keras.ops.erfinv(keras.layers.Flatten()(image) / 300)
        keras.Model(image, keras.layers.Dense(3, activation="softmax")(hidden)).save(tmp_path / "m.keras")
        with pytest.raises(ModelError, match=r"it uses Erfinv, which ONNX does not have; use --format"):
            export_model(find_model(tmp_path / "m.keras"), "onnx", tmp_path / "m.onnx", NoDisplay())
        assert not (tmp_path / "m.onnx").exists()

    def test_given_images_are_compared(self, found, export, images, tmp_path):
        for number, image in enumerate(images[:3]):
            Image.fromarray(image[..., 0].astype("uint8")).save(tmp_path / f"{number}.png")
        (tmp_path / "broken.png").write_bytes(b"no image")
        result = export(found, "keras", images=[str(tmp_path)])
        assert (result.images, result.num_images) == ("3 images of --images", 3)

    def test_given_images_are_decoded_as_in_training(self, found, tmp_path):
        Image.new("LA", (8, 8), (255, 0)).save(tmp_path / "transparent.png")
        for background, value in (("white", 255), ("black", 0)):
            trained = replace(found, info=replace(found.info, background=background))
            pixels = exporting._read_images(trained, [str(tmp_path)], NoDisplay()).pixels
            assert (pixels == value).all()

    def test_without_images_pixels_are_random(self, lonely, export, monkeypatch):
        result = export(lonely(monkeypatch), "keras")
        assert result.images == "100 images of random pixels, because the model's dataset is not available"

    def test_int8_model_is_made_from_given_images(self, lonely, export, images, tmp_path, monkeypatch):
        (tmp_path / "photos").mkdir()
        Image.fromarray(images[0, ..., 0].astype("uint8")).save(tmp_path / "photos" / "0.png")
        result = export(lonely(monkeypatch), "litert-int8", images=["photos"])
        assert (result.calibration, result.accuracies) == ("1 image of --images", None)

    def test_wrong_answers_are_reported(self, found, export, monkeypatch, capsys):
        run = FORMATS["keras"].run
        wrong = replace(FORMATS["keras"], run=lambda path, images: run(path, images) + 0.25)
        monkeypatch.setitem(FORMATS, "keras", wrong)
        export(found, "keras", display=PlainDisplay())
        message = "the exported model differs from the original: a probability differs by 0.25"
        assert message in capsys.readouterr().err

    def test_models_run_in_worker_processes(self, found, tmp_path):
        result = export_model(found, "saved_model", tmp_path / "model", NoDisplay())
        assert result.num_equal == 100


class TestFiles:
    def test_details_are_beside_the_model(self, found, export, tmp_path):
        result = export(found, "saved_model")
        details = json.loads((tmp_path / "exported.json").read_text())
        assert tuple(details["class_names"]) == CLASSES
        assert (details["format"], details["dataset"]) == ("saved_model", "digits")
        assert details["input"]["shape"] == [None, 8, 8, 1]
        assert json.loads((result.path / "assets.extra" / "zoo.json").read_text()) == details
        assert {path.name for path in tmp_path.iterdir()} == {"exported", "exported.json"}

    def test_onnx_metadata_has_class_names(self, found, export):
        onnx = pytest.importorskip("onnx")
        properties = {one.key: one.value for one in onnx.load(export(found, "onnx").path).metadata_props}
        assert tuple(json.loads(properties["class_names"])) == CLASSES
        assert json.loads(properties["zoo"])["digest"] == found.info.digest

    def test_default_name_is_the_study(self, found, keras_in_process, tmp_path, monkeypatch):
        absolute = replace(find_model(Path(TRIAL).resolve()), run=None)  # whose dataset is not available
        monkeypatch.chdir(tmp_path)
        assert export_model(absolute, "keras", None, NoDisplay()).path == Path("example.keras")

    @pytest.mark.parametrize("format", ["keras", "saved_model"])
    def test_existing_files_are_replaced_only_if_asked(self, found, export, tmp_path, format):
        first = export(found, format)
        with pytest.raises(ZooError, match=r"exported.* exists already\. .* --output, or add --overwrite\.$"):
            export(found, format)
        (tmp_path / "exported.json").write_text("{}")
        assert export(found, format, overwrite=True).path == first.path
        assert not list(tmp_path.glob(".*"))

    def test_model_never_replaces_itself(self, lonely, keras_in_process, monkeypatch):
        found = lonely(monkeypatch)
        with pytest.raises(ZooError, match=r"^lonely\.keras is or contains the model to export\."):
            export_model(found, "keras", Path("lonely.keras"), NoDisplay(), overwrite=True)

    @pytest.mark.parametrize("format", ["saved_model", "keras"])
    def test_folder_of_other_files_is_never_replaced(self, found, tmp_path, format):
        output = tmp_path / f"photos{FORMATS[format].suffix}"
        output.mkdir()
        (output / "rex.jpg").touch()
        with pytest.raises(ZooError, match=r"photos.* is a folder without a SavedModel\. Give another name"):
            export_model(found, format, output, NoDisplay(), overwrite=True)
        assert (output / "rex.jpg").exists()


class TestErrors:
    @pytest.mark.parametrize(("format", "extra"), [("onnx", "onnx"), ("litert-int8", "litert")])
    def test_missing_converter_names_the_extra(self, found, monkeypatch, format, extra):
        monkeypatch.setattr(exporting, "find_spec", lambda module: None)
        with pytest.raises(ModelError, match=rf"which is not installed: pip install 'keras-zoo\[{extra}\]'$"):
            export_model(found, format, None, NoDisplay())

    @pytest.mark.parametrize("function", ["convert", "run"])
    def test_failed_export_leaves_no_file(self, found, tmp_path, monkeypatch, function):
        def fail(*arguments, log_path):
            if arguments[0] is getattr(formats, function):
                raise ModelError("the converter failed")
            return arguments[0](*arguments[1:])

        monkeypatch.setattr(exporting, "call_in_worker", fail)
        with pytest.raises(ModelError, match=r"trials/001 cannot be exported as keras: the converter failed"):
            export_model(found, "keras", tmp_path / "x.keras", NoDisplay())
        assert list(tmp_path.iterdir()) == []

    def test_unwritable_folder_is_an_error(self, found, tmp_path, monkeypatch):
        def denied(parent):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(exporting, "temporary_folder", denied)
        with pytest.raises(ZooError, match=r"x\.keras cannot be written: Permission denied$"):
            export_model(found, "keras", tmp_path / "x.keras", NoDisplay())

    def test_unknown_operations_are_named(self):
        error = RuntimeError("Could not … \nCustom ops: Erfinv\nDetails:\n\ttf.Erfinv(tensor<1x4xf32>) …")
        assert formats._reason(error, Path("x.tflite")) == "LiteRT does not support Erfinv"

    def test_long_reason_is_cut_and_names_no_temporary_folder(self):
        path = Path("/tmp/zoo-x/model.onnx")
        error = RuntimeError(f"Load model from {path} failed: " + "node " * 100)
        reason = formats._reason(error, path)
        assert reason.startswith("RuntimeError: Load model from model.onnx failed: node node ")
        assert reason.endswith(" …")
        assert len(reason) == len("RuntimeError: ") + 300 + len(" …")

    def test_other_backend_is_refused(self, found, monkeypatch):
        import keras

        monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
        with pytest.raises(ModelError, match=r"models, got jax; set KERAS_BACKEND=tensorflow$"):
            formats.convert("onnx", found.path, Path("x.onnx"), {}, np.zeros((1, 8, 8, 1)), None)

    def test_int8_needs_training_images(self, lonely, keras_in_process, monkeypatch):
        pytest.importorskip("ai_edge_litert")
        with pytest.raises(ModelError, match=r"needs training images, but the dataset of lonely\.keras"):
            export_model(lonely(monkeypatch), "litert-int8", None, NoDisplay())

    @pytest.mark.parametrize(
        ("output", "message"),
        [
            ("model.h5", r"a file that ends in \.keras, got"),
            ("no/model.keras", "--output .*no/model.keras.*: cannot be written .No such file or directory."),
        ],
    )
    def test_impossible_output_is_refused(self, found, tmp_path, output, message):
        with pytest.raises(ZooError, match=message):
            export_model(found, "keras", tmp_path / output, NoDisplay())

    def test_working_folder_is_refused(self, found):
        with pytest.raises(ZooError, match=r"^--output: expected the name of a new folder, got \.$"):
            export_model(found, "saved_model", Path(), NoDisplay(), overwrite=True)

    def test_no_readable_image_is_an_error(self, found, tmp_path):
        with pytest.raises(
            ZooError, match=r"^--images: no image can be read: .*this folder has no images\.$"
        ):
            export_model(found, "keras", tmp_path / "x.keras", NoDisplay(), images=[str(tmp_path)])
