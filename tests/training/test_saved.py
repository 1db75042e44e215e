"""Saved models: the plugin modules that they need, and loading."""

from __future__ import annotations

import json
import sys
import warnings
import zipfile
from pathlib import Path

import pytest

from zoo.errors import ModelError, PluginError
from zoo.training import saved
from zoo.training.saved import check_layers_registered, import_needs, needs_of, note_needs, requirements

LAYERED = Path(__file__).parents[1] / "plugins" / "zoo-layered" / "src"
FLAT = {"module": "keras.layers", "class_name": "Flatten", "config": {}, "registered_name": None}
GAIN = {
    "module": "zoo_gained.layers",
    "class_name": "Gain",
    "config": {"activation": {"module": "zoo_gained.functions", "class_name": "function", "config": "bent"}},
    "registered_name": "zoo-gained>Gain",
}


def keras_file(path, *layers, **members):
    """Write a `.keras` file of a model with these layers, without weights."""
    config = {"module": "keras", "class_name": "Sequential", "config": {"layers": list(layers)}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        for name, text in members.items():
            archive.writestr(name.replace("_json", ".json"), text)
    return path


@pytest.fixture
def installed(install_plugin, monkeypatch):
    """zoo-gained 0.3, with its layers in a module of their own; yields its folder."""
    site = install_plugin(
        "zoo-gained", "0.3", "", module="zoo_gained_entry", entry_point="gained = zoo_gained"
    )
    (site / "zoo_gained").mkdir()
    for name in ("__init__", "layers", "functions"):
        (site / "zoo_gained" / f"{name}.py").write_text("")
    monkeypatch.syspath_prepend(site)
    yield site
    for name in [name for name in sys.modules if name.partition(".")[0] == "zoo_gained"]:
        del sys.modules[name]


class TestNeeds:
    def test_model_of_keras_layers_needs_nothing(self, tmp_path):
        file = keras_file(tmp_path / "model.keras", FLAT)
        before = file.read_bytes()
        note_needs(file)
        assert file.read_bytes() == before
        assert needs_of(file) == {}

    def test_module_of_plugin_has_its_requirement(self, installed, tmp_path):
        file = keras_file(tmp_path / "model.keras", FLAT, GAIN)
        note_needs(file)
        needs = needs_of(file)
        expected = {"zoo_gained.functions": "zoo-gained==0.3", "zoo_gained.layers": "zoo-gained==0.3"}
        assert needs == expected
        assert requirements(needs) == ["zoo-gained==0.3"]

    def test_requirement_of_unknown_version_is_the_name(self, installed, tmp_path):
        (installed / "zoo_gained-0.3.dist-info" / "METADATA").unlink()
        file = keras_file(tmp_path / "model.keras", {**GAIN, "config": {}})
        note_needs(file)
        assert requirements(needs_of(file)) == ["zoo_gained"]
        import_needs(file)
        assert "zoo_gained.layers" in sys.modules

    def test_other_package_has_its_distribution(self, tmp_path):
        file = keras_file(tmp_path / "model.keras", {**GAIN, "module": "pluggy._hooks", "config": {}})
        note_needs(file)
        assert requirements(needs_of(file)) == [f"pluggy=={saved.metadata.version('pluggy')}"]

    def test_module_without_distribution_has_no_requirement(self, tmp_path):
        file = keras_file(tmp_path / "model.keras", {**GAIN, "module": "my_notebook", "config": {}})
        note_needs(file)
        assert (needs_of(file), requirements(needs_of(file))) == ({"my_notebook": ""}, [])

    def test_file_of_keras_alone_lists_modules(self, tmp_path):
        file = keras_file(tmp_path / "model.keras", GAIN)
        assert needs_of(file) == {"zoo_gained.functions": "", "zoo_gained.layers": ""}

    @pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
    def test_file_that_is_no_model_is_rejected(self, tmp_path, content):
        (tmp_path / "model.keras").write_bytes(content)
        with pytest.raises(ModelError, match=r"cannot be loaded: expected a file that Keras saved"):
            needs_of(tmp_path / "model.keras")


class TestImport:
    @pytest.fixture
    def file(self, tmp_path):
        needs = {"modules": {"zoo_gained.layers": "zoo-gained==0.3"}}
        return keras_file(tmp_path / "model.keras", GAIN, zoo_json=json.dumps(needs))

    def test_modules_of_the_plugin_are_imported(self, installed, file):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            import_needs(file)
        assert "zoo_gained.layers" in sys.modules

    def test_missing_plugin_is_named_with_its_version(self, file):
        with pytest.raises(ModelError) as refused:
            import_needs(file)
        assert str(refused.value) == (
            f"The model {file} has layers of zoo_gained.layers (zoo-gained 0.3), which is not installed; "
            "pip install zoo-gained==0.3"
        )

    def test_other_version_is_a_warning(self, installed, file):
        metadata = installed / "zoo_gained-0.3.dist-info" / "METADATA"
        metadata.write_text(metadata.read_text().replace("Version: 0.3", "Version: 0.4"))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            import_needs(file, "models:/m-1")
        assert [str(one.message) for one in caught] == [
            "The model models:/m-1 was saved with zoo-gained 0.3, but 0.4 is installed and may give "
            "other results; pip install zoo-gained==0.3"
        ]

    def test_version_without_the_module_is_an_error(self, installed, file):
        (installed / "zoo_gained" / "layers.py").unlink()
        with pytest.raises(ModelError) as refused:
            import_needs(file)
        assert str(refused.value) == (
            f"The model {file} has layers of zoo_gained.layers (zoo-gained 0.3), which cannot be imported: "
            "ModuleNotFoundError: No module named 'zoo_gained.layers'; pip install zoo-gained==0.3"
        )

    def test_module_of_no_plugin_is_not_imported(self, tmp_path):
        """A file from an unknown source must not be able to import any module."""
        sys.modules.pop("antigravity", None)
        file = keras_file(tmp_path / "model.keras", {**GAIN, "module": "antigravity", "config": {}})
        with pytest.raises(ModelError) as refused:
            import_needs(file)
        assert str(refused.value) == (
            f"The model {file} has layers of antigravity, which is not a zoo plugin; "
            "import antigravity first, if you trust it"
        )
        assert "antigravity" not in sys.modules

    def test_imported_package_does_not_allow_other_modules(self, tmp_path):
        assert "json" in sys.modules
        sys.modules.pop("json.tool", None)
        file = keras_file(tmp_path / "model.keras", {**GAIN, "module": "json.tool", "config": {}})
        with pytest.raises(
            ModelError, match=r"json\.tool, which is not a zoo plugin; import json\.tool first"
        ):
            import_needs(file)
        assert "json.tool" not in sys.modules

    def test_imported_module_is_allowed(self, tmp_path):
        import_needs(keras_file(tmp_path / "model.keras", {**GAIN, "module": "json.decoder", "config": {}}))


class TestNetwork:
    @pytest.fixture
    def layered(self, keras, monkeypatch):
        monkeypatch.syspath_prepend(LAYERED)
        import zoo_layered

        return zoo_layered

    def test_registered_layers_pass(self, layered):
        check_layers_registered(layered.gained((8, 8, 1), 10))

    def test_unregistered_layer_is_rejected(self, layered):
        with pytest.raises(PluginError) as refused:
            check_layers_registered(layered.unregistered((8, 8, 1), 10))
        assert str(refused.value) == (
            "its class Forgotten (zoo_layered.layers) cannot be loaded again, since it is not registered "
            "with Keras; put @keras.saving.register_keras_serializable(package=…) above it"
        )

    def test_layer_defined_in_function_is_rejected(self, layered):
        with pytest.raises(PluginError) as refused:
            check_layers_registered(layered.unregistered((8, 8, 1), 10, where="function"))
        assert str(refused.value) == (
            "its class Hidden (zoo_layered) cannot be loaded again, since it is defined inside a function; "
            "define it in a module of its own, which the function imports"
        )

    def test_unregistered_layer_in_a_wrapper_is_rejected(self, layered, keras):
        from zoo_layered.layers import Forgotten

        class Wrapped(Forgotten):
            def compute_output_shape(self, shape):
                return shape

        network = keras.Sequential([keras.Input((4, 3)), keras.layers.TimeDistributed(Wrapped())])
        with pytest.raises(PluginError, match=r"its class Wrapped .* is not registered with Keras"):
            check_layers_registered(network)

    def test_layer_without_get_config_is_rejected(self, keras):
        @keras.saving.register_keras_serializable(package="test_saved")
        class Opaque(keras.layers.Layer):
            def __init__(self, value):
                super().__init__()

            def call(self, inputs):
                return inputs

        network = keras.Sequential([keras.Input((4,)), Opaque(object())])
        with pytest.raises(PluginError, match=r"its model cannot be saved: .*get_config"):
            check_layers_registered(network)

    def test_lambda_is_not_warned_of(self, keras):
        network = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda inputs: inputs)])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_layers_registered(network)

    def test_network_with_plugin_layers_is_loaded(self, layered, keras, tmp_path):
        import numpy as np

        network = layered.gained((8, 8, 1), 10)
        network.save(tmp_path / "model.keras")
        note_needs(tmp_path / "model.keras")
        # The module is on the path, but not installed, so it has no distribution.
        assert needs_of(tmp_path / "model.keras") == {"zoo_layered.layers": ""}
        loaded = saved.load_file(tmp_path / "model.keras")
        images = np.random.default_rng(0).random((3, 8, 8, 1), dtype="float32")
        expected, actual = (keras.ops.convert_to_numpy(model(images)) for model in (network, loaded))
        np.testing.assert_array_equal(expected, actual)

    def test_loading_unregistered_layer_names_it(self, layered, keras, tmp_path):
        layered.unregistered((8, 8, 1), 10).save(tmp_path / "model.keras")
        with pytest.raises(
            ModelError, match=r"model\.keras cannot be loaded: Could not locate class 'Forgotten'"
        ):
            saved.load_file(tmp_path / "model.keras")
