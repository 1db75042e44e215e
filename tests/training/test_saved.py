"""Saved models: importing the plugin modules that they need, and loading."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import pytest
from training_tools import GAIN, keras_file

from zoo.errors import ModelError, PluginError
from zoo.registry import keep_files, plugin_file, using_plugins
from zoo.training import saved
from zoo.training.info import ModelInfo, add_info, read_info
from zoo.training.saved import check_layers_registered, import_required_modules, other_versions

LAYERED = Path(__file__).parents[1] / "plugins" / "zoo-layered" / "src"


class TestImport:
    @pytest.fixture
    def file(self, tmp_path):
        needs = {"modules": {"zoo_gained.layers": "zoo-gained==0.3"}}
        return keras_file(tmp_path / "model.keras", GAIN, zoo_json=json.dumps(needs))

    def test_modules_of_the_plugin_are_imported(self, installed, file):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            import_required_modules(file)
        assert "zoo_gained.layers" in sys.modules

    def test_missing_plugin_is_named_with_its_version(self, file):
        with pytest.raises(ModelError) as refused:
            import_required_modules(file)
        assert str(refused.value) == (
            f"the model {file} has layers of zoo_gained.layers (zoo-gained 0.3), which is not installed; "
            "pip install zoo-gained==0.3"
        )

    def test_other_version_is_a_warning(self, installed, file):
        metadata = installed / "zoo_gained-0.3.dist-info" / "METADATA"
        metadata.write_text(metadata.read_text().replace("Version: 0.3", "Version: 0.4"))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            import_required_modules(file, "models:/m-1")
        assert [str(one.message) for one in caught] == [
            "the model models:/m-1 was saved with zoo-gained 0.3, but 0.4 is installed and may give "
            "other results; pip install zoo-gained==0.3"
        ]

    def test_version_without_the_module_is_an_error(self, installed, file):
        (installed / "zoo_gained" / "layers.py").unlink()
        with pytest.raises(ModelError) as refused:
            import_required_modules(file)
        assert str(refused.value) == (
            f"the model {file} has layers of zoo_gained.layers (zoo-gained 0.3), which cannot be imported: "
            "ModuleNotFoundError: No module named 'zoo_gained.layers'; pip install zoo-gained==0.3"
        )

    def test_requirement_of_unknown_version_is_imported(self, installed, tmp_path):
        (installed / "zoo_gained-0.3.dist-info" / "METADATA").unlink()
        file = keras_file(tmp_path / "model.keras", {**GAIN, "config": {}})
        add_info(file, ModelInfo())
        import_required_modules(file)
        assert "zoo_gained.layers" in sys.modules

    def test_module_of_a_plugins_library_is_imported(self, installed, tmp_path):
        metadata = installed / "zoo_gained-0.3.dist-info" / "METADATA"
        sys.modules.pop("iniconfig._parse", None)  # of a distribution that pytest requires
        file = keras_file(tmp_path / "model.keras", {**GAIN, "module": "iniconfig._parse", "config": {}})
        with pytest.raises(ModelError, match="neither a zoo plugin nor a library that one requires"):
            import_required_modules(file)
        metadata.write_text(metadata.read_text() + "Requires-Dist: pytest\n")
        import_required_modules(file)
        assert "iniconfig._parse" in sys.modules

    def test_module_of_no_plugin_is_not_imported(self, tmp_path):
        """A file from an unknown source must not be able to import any module."""
        sys.modules.pop("antigravity", None)
        file = keras_file(tmp_path / "model.keras", {**GAIN, "module": "antigravity", "config": {}})
        with pytest.raises(ModelError) as refused:
            import_required_modules(file)
        assert str(refused.value) == (
            f"the model {file} has layers of antigravity, which is neither a zoo plugin nor a library that "
            "one requires; import antigravity first, if you trust it"
        )
        assert "antigravity" not in sys.modules

    def test_module_without_a_name_is_an_error(self, tmp_path):
        file = keras_file(tmp_path / "model.keras", {**GAIN, "module": ".layers", "config": {}})
        with pytest.raises(ModelError, match=r"has layers of \.layers, which is not installed"):
            import_required_modules(file)

    def test_imported_package_does_not_allow_other_modules(self, tmp_path):
        assert "json" in sys.modules
        sys.modules.pop("json.tool", None)
        file = keras_file(tmp_path / "model.keras", {**GAIN, "module": "json.tool", "config": {}})
        with pytest.raises(
            ModelError,
            match=r"json\.tool, which is neither a zoo plugin nor a .*; import json\.tool first",
        ):
            import_required_modules(file)
        assert "json.tool" not in sys.modules

    def test_imported_module_is_allowed(self, tmp_path):
        import_required_modules(
            keras_file(tmp_path / "model.keras", {**GAIN, "module": "json.decoder", "config": {}})
        )


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

    def test_lambda_is_refused_without_a_warning(self, keras):
        network = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda inputs: inputs)])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(
                PluginError, match=r"^its model cannot be loaded again, since Keras runs no Pyt"
            ):
                check_layers_registered(network)

    def test_only_a_model_that_loads_is_loadable(self, keras, tmp_path):
        def double(inputs):
            return inputs * 2

        for name, layer in (("good", keras.layers.ReLU()), ("bad", keras.layers.Lambda(double))):
            network = keras.Sequential([keras.Input((4,)), layer])
            network.save(tmp_path / f"{name}.keras")
        saved.check_loadable(tmp_path / "good.keras")
        with pytest.raises(ModelError, match=r"bad\.keras cannot be loaded: .*double"):
            saved.check_loadable(tmp_path / "bad.keras")

    def test_network_with_plugin_layers_is_loaded(self, layered, keras, tmp_path):
        import numpy as np

        network = layered.gained((8, 8, 1), 10)
        network.save(tmp_path / "model.keras")
        add_info(tmp_path / "model.keras", ModelInfo())
        # The module is on the path, but not installed, so it has no distribution.
        assert read_info(tmp_path / "model.keras").modules == {"zoo_layered.layers": ""}
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


class TestPluginFile:
    SOURCE = b"print('loaded')\nclass Gain: ...\n"

    @pytest.fixture
    def file(self, in_tmp):
        """The model of a study in this folder, with a layer of a plugin file."""
        (in_tmp / "tiny_gain.py").write_bytes(self.SOURCE)
        self.needed = plugin_file("tiny_gain.py")
        layer = {**GAIN, "module": "tiny_gain", "registered_name": "tiny>Gain", "config": {}}
        folder = in_tmp / "mlruns" / "zoo" / "tiny" / "trials" / "000"
        folder.mkdir(parents=True)
        path = keras_file(folder / "model.keras", layer)
        with using_plugins([self.needed]):
            add_info(path, ModelInfo(study="tiny"))
        yield path
        sys.modules.pop("tiny_gain", None)

    def test_model_names_file_and_digest(self, file):
        info = read_info(file)
        assert info.modules == {"tiny_gain": ""}
        assert info.plugin_files == {"tiny_gain.py": self.needed.digest}
        assert info.requirements == []

    @pytest.mark.parametrize("is_kept", [True, False])
    def test_missing_file_is_named_with_its_copy(self, file, is_kept):
        kept = f"plugins/{self.needed.version}/tiny_gain.py"
        copy = f"MLflow has a copy: {kept} among the artifacts of 'tiny'."
        if is_kept:
            keep_files(Path("mlruns/zoo/tiny"), [self.needed])
            copy = f"A copy is mlruns/zoo/tiny/{kept}."
        with pytest.raises(ModelError) as refused:
            import_required_modules(file, "tiny")
        assert str(refused.value) == (
            f"the model tiny has layers of the plugin file tiny_gain.py (SHA-256 {self.needed.version}…), "
            f'which was not given; add `--plugin tiny_gain.py`, in Python plugins=["tiny_gain.py"]. {copy}'
        )

    def test_given_file_is_imported(self, file, capsys):
        with using_plugins(["tiny_gain.py"]), warnings.catch_warnings():
            warnings.simplefilter("error")
            import_required_modules(file, "tiny")
        assert sys.modules["tiny_gain"].Gain
        assert capsys.readouterr() == ("", "loaded\n")
        import_required_modules(file, "tiny")  # a module that the user has imported is accepted

    def test_other_content_is_a_warning(self, file):
        Path("tiny_gain.py").write_bytes(self.SOURCE + b"#")
        with using_plugins(["tiny_gain.py"]):
            (warning,) = other_versions(file, "tiny")
            version = plugin_file("tiny_gain.py").version
        assert warning.startswith(
            f"the model tiny was saved with tiny_gain.py {self.needed.version}, but the given file is "
            f"{version} and may give other results. MLflow has a copy: "
        )

    def test_error_of_the_file_is_named(self, file):
        Path("tiny_gain.py").write_text("\nimport nothing_like_it\n")
        with using_plugins(["tiny_gain.py"]), pytest.raises(ModelError) as refused:
            import_required_modules(file, "tiny")
        assert str(refused.value) == (
            "the model tiny has layers of the plugin file tiny_gain.py, which cannot be imported: "
            "ModuleNotFoundError: No module named 'nothing_like_it' (tiny_gain.py:2)."
        )

    def test_library_that_file_imports_is_accepted(self, file):
        Path("tiny_gain.py").write_text("def net():\n    import colorsys_like\n")
        with using_plugins(["tiny_gain.py"]):
            assert saved._is_of_plugin("colorsys_like")
        assert not saved._is_of_plugin("colorsys_like")
