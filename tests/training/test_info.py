"""Facts about a model in its `.keras` file."""

from __future__ import annotations

import json
import zipfile
from importlib import metadata

import pytest
from training_tools import FLAT, GAIN, KERAS_VERSION, keras_file

from zoo.errors import ModelError
from zoo.training.info import ModelInfo, add_info, decoding_of, read_info

INFO = ModelInfo(
    class_names=("cat", "dog"),
    image_height=8,
    image_width=6,
    channels=1,
    dataset="pets",
    source="pets.zip",
    digest="d" * 64,
    architecture="conv_net",
    study="pets_cnn",
    trial=3,
    metrics={"best_val_accuracy": 0.75},
    plugins={"keras-zoo": "0.1.0"},
)


def needs_in(tmp_path, *layers):
    """Return the modules and requirements that a file of a model with these layers gets."""
    file = keras_file(tmp_path / "model.keras", *layers)
    add_info(file, ModelInfo())
    return read_info(file).modules, read_info(file).requirements


class TestDocument:
    def test_facts_survive_the_file(self, tmp_path):
        file = keras_file(tmp_path / "model.keras", FLAT)
        add_info(file, INFO)
        info = read_info(file)
        assert info.keras_version == KERAS_VERSION
        assert ModelInfo.from_json({**info.as_json(), "keras_version": ""}) == INFO
        assert (info.image_shape, info.color_mode, info.resize) == ((8, 6, 1), "grayscale", "bilinear")

    def test_document_is_plain_json(self):
        document = json.loads(json.dumps(INFO.as_json()))
        assert document["class_names"] == ["cat", "dog"]
        assert (document["color_mode"], document["resize"]) == ("grayscale", "bilinear")

    def test_keys_of_a_newer_version_are_ignored(self):
        assert ModelInfo.from_json({**INFO.as_json(), "key_of_2031": "CC0"}) == INFO

    @pytest.mark.parametrize(
        ("document", "problem"),
        [
            ('{"keras_version": "3", "plugins": 3}', "plugins: expected dict, got 3"),
            ('{"keras_version": "3", "modules": [1]}', r"modules: expected dict, got \[1\]"),
            ('{"keras_version": "3", "image_height": "8"}', "image_height: expected int, got '8'"),
            ('{"keras_version": "3", "class_names": 2}', "not iterable"),
            ('{"study": 1}', "study: expected str, got 1"),
            ("[" * 100_000, "recursion"),
        ],
    )
    def test_facts_of_other_types_are_refused(self, tmp_path, document, problem):
        file = keras_file(tmp_path / "model.keras", FLAT)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("zoo.json", document)
        with pytest.raises(ModelError, match=f"expected a file that Keras saved .*{problem}"):
            read_info(file)

    def test_keras_loads_the_file(self, keras, tmp_path):
        network = keras.Sequential([keras.Input((8, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
        network.save(tmp_path / "model.keras")
        add_info(tmp_path / "model.keras", INFO)
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert loaded.output_shape == (None, 2)
        assert read_info(tmp_path / "model.keras").keras_version == keras.__version__


class TestDecoding:
    @pytest.mark.parametrize(
        ("parameters", "expected"),
        [
            (
                {"image_size": 8, "color_mode": "rgb", "background": "black", "seed": 1},
                {"background": "black"},
            ),
            ({"image_size": 8, "color_mode": "rgb", "bit_depth": 12}, {"bit_depth": 12}),
            ({"background": "of another kind"}, {}),
        ],
    )
    def test_parameters_of_image_files_are_kept(self, parameters, expected):
        assert decoding_of(parameters) == expected
        assert set(ModelInfo(**decoding_of(parameters)).decoding) == {"background", "bit_depth"}


class TestFilesOfOthers:
    def test_file_of_keras_has_image_size(self, tmp_path):
        info = read_info(keras_file(tmp_path / "model.keras", GAIN))
        modules = {"zoo_gained.functions": "", "zoo_gained.layers": ""}
        assert info == ModelInfo(None, 8, 6, 1, keras_version=KERAS_VERSION, modules=modules)

    def test_facts_that_a_file_lacks_have_defaults(self, tmp_path):
        modules = {"zoo_gained.layers": "zoo-gained==0.3"}
        file = keras_file(tmp_path / "model.keras", GAIN, zoo_json=json.dumps({"modules": modules}))
        assert read_info(file).modules == modules
        assert read_info(file).class_names is None

    def test_input_of_any_size_is_unknown(self, tmp_path):
        shape = {"class_name": "InputLayer", "config": {"batch_shape": [None, None, None, 3]}}
        with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
            archive.writestr("config.json", json.dumps({"config": {"layers": [shape]}}))
            archive.writestr("metadata.json", json.dumps({"keras_version": "3.0"}))
        assert read_info(tmp_path / "model.keras").image_shape == (0, 0, 0)

    @pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
    def test_file_that_is_no_model_is_rejected(self, tmp_path, content):
        (tmp_path / "model.keras").write_bytes(content)
        with pytest.raises(ModelError, match=r"cannot be loaded: expected a file that Keras saved"):
            read_info(tmp_path / "model.keras")


class TestBounds:
    """A small file that unpacks to gigabytes is refused before it is read."""

    def test_long_configuration_is_refused(self, tmp_path):
        path = self.archive(tmp_path, "config.json", b" " * (17 * 2**20) + b"{}")
        with pytest.raises(ModelError, match=r"config\.json has 17,825,794 bytes, expected at"):
            read_info(path)

    @pytest.mark.parametrize("document", [b"[" * 100_000, b'{"a":' * 100_000])
    @pytest.mark.parametrize("name", ["config.json", "metadata.json", "zoo.json"])
    def test_deeply_nested_document_is_refused(self, tmp_path, name, document):
        path = self.archive(tmp_path, name, document)
        with pytest.raises(ModelError, match="expected a file that Keras saved"):
            read_info(path)

    def test_weights_that_unpack_to_more_are_refused(self, tmp_path, monkeypatch):
        monkeypatch.setattr("zoo.training.info._MIN_CHECKED_SIZE", 1000)
        path = self.archive(tmp_path, "model.weights.h5", bytes(10**7))
        with pytest.raises(ModelError, match=r"model\.weights\.h5 is [\d,]+ bytes that unpack to 10,000,000"):
            read_info(path)

    def archive(self, folder, name, content):
        documents = {"config.json": b"{}", "metadata.json": b'{"keras_version": "3.0"}', name: content}
        with zipfile.ZipFile(folder / "model.keras", "w", zipfile.ZIP_DEFLATED) as archive:
            for member, data in documents.items():
                archive.writestr(member, data)
        return folder / "model.keras"


class TestNeeds:
    def test_model_of_keras_layers_needs_nothing(self, tmp_path):
        assert needs_in(tmp_path, FLAT) == ({}, [])

    def test_module_of_plugin_has_its_requirement(self, installed, tmp_path):
        expected = {"zoo_gained.functions": "zoo-gained==0.3", "zoo_gained.layers": "zoo-gained==0.3"}
        assert needs_in(tmp_path, FLAT, GAIN) == (expected, ["zoo-gained==0.3"])

    def test_requirement_of_unknown_version_is_the_name(self, installed, tmp_path):
        (installed / "zoo_gained-0.3.dist-info" / "METADATA").unlink()
        assert needs_in(tmp_path, {**GAIN, "config": {}})[1] == ["zoo_gained"]

    def test_other_package_has_its_distribution(self, tmp_path):
        _, requirements = needs_in(tmp_path, {**GAIN, "module": "pluggy._hooks", "config": {}})
        assert requirements == [f"pluggy=={metadata.version('pluggy')}"]

    def test_module_without_distribution_has_no_requirement(self, tmp_path):
        needs = needs_in(tmp_path, {**GAIN, "module": "my_notebook", "config": {}})
        assert needs == ({"my_notebook": ""}, [])

    def test_file_of_keras_alone_lists_modules(self, tmp_path):
        file = keras_file(tmp_path / "model.keras", GAIN)
        assert read_info(file).modules == {"zoo_gained.functions": "", "zoo_gained.layers": ""}

    def test_library_needs_the_plugin_that_installs_it(self, installed, tmp_path):
        file = keras_file(tmp_path / "model.keras", {**GAIN, "module": "pluggy._hooks", "config": {}})
        add_info(file, ModelInfo(), "zoo_gained")
        pluggy = f"pluggy=={metadata.version('pluggy')}"
        assert read_info(file).modules == {"zoo_gained": "zoo-gained==0.3", "pluggy._hooks": pluggy}
