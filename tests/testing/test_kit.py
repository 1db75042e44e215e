"""The functions of the conformance kit, their options, and the messages about failed checks."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import broken_architectures
import broken_augmentations
import broken_datasets
import keras
import numpy as np
import pytest
import sound_plugins
from sound_plugins import deep_net, residual_net, small_net, smaller_net, subclassed_net

from zoo import ZooError, variant
from zoo.builtin.augmentations import affine
from zoo.builtin.datasets import digits
from zoo.testing import (
    CheckFailed,
    _workers,
    check_architecture,
    check_augmentation,
    check_dataset,
    parametrize_with_checks,
)
from zoo.testing.architectures import ArchitectureSubject
from zoo.testing.augmentations import PolicySubject
from zoo.testing.datasets import DatasetSubject
from zoo.testing.kit import Result, origin_of

FAST = {"input_shapes": [(12, 12, 1)], "samples": 4, "class_counts": [2]}
BUILDING = ["search_space", "output_shape", "probabilities", "global_state"]


def results_of(function, **options):
    """Return the result of each check of an architecture, by name."""
    subject = ArchitectureSubject(function, options)
    results = {result.check: result for result in subject.results(list(subject.suite.checks))}
    for name, result in results.items():
        print(f"{name:16} {result.state:8} {result.text}")
    return results


class TestSoundPlugins:
    """A plugin that meets the contract passes every check."""

    def test_network_with_conditions_and_impossible_points_passes(self):
        results = results_of(small_net, **FAST)
        assert {name for name, result in results.items() if result.state == "failed"} == set()
        assert results["search_space"].text.endswith("2 of them impossible")
        assert results["saving"].text.endswith("without sound_plugins and zoo installed")

    def test_layer_too_large_for_some_points_passes(self):
        results = results_of(deep_net, input_shapes=[(16, 16, 1)], samples=0)
        assert {name for name, result in results.items() if result.state == "failed"} == set()
        assert results["search_space"].text.endswith("1 of them impossible")

    def test_weight_without_gradient_in_first_step_passes(self):
        check_architecture(residual_net, checks=["gradients"], **FAST)

    def test_declared_layers_of_the_plugin_pass(self):
        check_architecture(residual_net, checks=["saving"], needs_plugin_to_load=True, **FAST)

    def test_subclassed_model_fails_only_saving(self):
        results = results_of(subclassed_net, **FAST)
        assert {name for name, result in results.items() if result.state == "failed"} == {"saving"}

    def test_variant_passes(self):
        check_architecture(smaller_net, checks=BUILDING, **FAST)


class TestOptions:
    def test_input_shape_gives_one_size(self):
        check_architecture(small_net, checks=["image_sizes"], input_shape=(5, 9, 3), points=[])

    def test_input_shapes_gives_more_sizes(self):
        results = results_of(small_net, points=[], input_shapes=[(9, 9, 1), (10, 4, 2)], class_counts=[])
        assert results["image_sizes"].text == "9×9×1, 10×4×2"

    def test_space_fixes_and_narrows(self):
        widths = []

        def net(
            input_shape, num_classes, *, width: sound_plugins.Annotated[int, sound_plugins.Int(1, 99)] = 4
        ):
            """A network."""
            widths.append(width)
            return small_net(input_shape, num_classes)

        check_architecture(net, checks=["search_space"], space={"width": {"high": 9}}, **FAST)
        assert (min(widths), max(widths)) == (1, 9)
        widths.clear()
        check_architecture(net, checks=["search_space"], space={"width": 77}, **FAST)
        assert set(widths) == {77}

    def test_points_replace_corners_and_random_points(self):
        results = results_of(small_net, points=[{"widths": (3, 5)}, {"head": "dense"}], class_counts=[])
        assert results["search_space"].text == "2 points"

    def test_time_limit_does_not_affect_corners(self):
        subject = ArchitectureSubject(small_net, {**FAST, "samples": 50, "seconds": 0})
        text = subject.result("search_space").text
        tried, planned = len(subject.corners) + 1, len(subject.corners) + len(subject.random_points)
        assert text.startswith(f"{tried} of {planned} points (time limit)")

    def test_time_limit_is_reported(self):
        results = results_of(small_net, **FAST, seconds=0)
        for name in ("gradients", "saving"):
            assert results[name].text.startswith("1 of 3 networks (time limit)"), name
        subject = PolicySubject(affine, {"samples": 1, "seconds": 0})
        for name in ("serialisable", "training_step"):
            assert re.fullmatch(r"1 of \d (point|model)s \(time limit\)", subject.result(name).text), name
        assert " of " not in PolicySubject(affine, {"points": []}).result("training_step").text

    def test_same_seed_gives_same_points(self):
        tried = []

        def net(
            input_shape, num_classes, *, rate: sound_plugins.Annotated[float, sound_plugins.Float(0, 1)] = 0.1
        ):
            """A network."""
            tried.append(rate)
            return small_net(input_shape, num_classes)

        for _ in range(2):
            check_architecture(net, checks=["search_space"], samples=3, seed=4, input_shape=(8, 8, 1))
        assert tried[: len(tried) // 2] == tried[len(tried) // 2 :]
        assert len(set(tried)) > 3

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"checks": ["probabilty"]}, "no check 'probabilty' for an architecture. Did you mean 'prob"),
            ({"checks": "defaults"}, r"checks: expected a list of names, such as \['defaults'\]"),
            ({"sample": 3}, "check_architecture: there is no option 'sample'. Did you mean 'samples'"),
            ({"input_shapes": (28, 28, 1)}, r"input_shapes: expected a list of \(height, width, channels\)"),
            ({"space": {"widht": 3}}, "small_net: there is no parameter 'widht'. Did you mean 'widths'"),
            ({"space": {"units": 99}}, r"small_net: units: expected 2 … 8, got 99"),
            ({"points": [{"units": 99}]}, r"small_net: points: units: expected 2 … 8, got 99"),
        ],
    )  # fmt: skip
    def test_wrong_option_is_an_error_not_a_failure(self, options, message):
        with pytest.raises(ZooError, match=message) as failure:
            check_architecture(small_net, **options)
        assert not isinstance(failure.value, CheckFailed)

    def test_policy_is_tried_on_input_shapes(self):
        with pytest.raises(ZooError, match=r"input_shapes: expected a list of .* got \[\(28, 28\)\]"):
            check_augmentation(affine, input_shape=(28, 28))
        check_augmentation(broken_augmentations.takes_no_colors, input_shape=(9, 7, 1), checks=["applies"])
        with pytest.raises(CheckFailed) as failure:
            check_augmentation(broken_augmentations.height_and_width_change_places, checks=["shape"])
        first, second = str(failure.value).splitlines()
        assert first.startswith("height_and_width_change_places() for images of (33, 27, 3): shape: expected")
        assert second.endswith('points=[], input_shapes=[(28, 28, 1), (33, 27, 3)])"')

    def test_dataset_parameters_are_options_of_its_checks(self):
        def bars(*, count: int, path: str = "nowhere"):
            """A dataset."""
            raise FileNotFoundError(path)

        with pytest.raises(
            CheckFailed, match=r"bars\(count=3, path='here'\): loads: .* FileNotFoundError: here"
        ):
            check_dataset(bars, count=3, path="here")
        with pytest.raises(ZooError, match="bars: 'count' has no default; give it a value: int"):
            check_dataset(bars)
        with pytest.raises(ZooError, match=r"bars: there is no parameter 'cuont'\. Did you mean 'count'"):
            check_dataset(bars, cuont=3)

    def test_dataset_parameters_may_have_names_of_options(self):
        def bars(*, function: str = "a", user_options: str = "b", values: int = 1):
            """A dataset."""
            raise FileNotFoundError(function + user_options)

        with pytest.raises(
            CheckFailed, match=r"bars\(function='x', user_options='y', .* FileNotFoundError: xy"
        ):
            check_dataset(bars, function="x", user_options="y", values=2)
        mark = parametrize_with_checks(bars, kind="dataset", function="x", user_options="y", values=2)
        checks = {parameter.id: parameter.values[0] for parameter in mark.args[1]}
        with pytest.raises(CheckFailed, match=r"values=2\): loads: .* FileNotFoundError: xy"):
            checks["loads"]()


class TestFailures:
    def test_failure_is_assertion_and_zoo_error(self):
        assert issubclass(CheckFailed, AssertionError)
        assert issubclass(CheckFailed, ZooError)

    def test_failure_names_call_check_and_command(self):
        with pytest.raises(CheckFailed) as failure:
            check_architecture(broken_architectures.logits_at_one_option, checks=["probabilities"])
        first, second = str(failure.value).splitlines()
        assert first.startswith(
            "logits_at_one_option((28, 28, 1), 10, head='b'): probabilities: "
            "expected class probabilities (each row sums to 1), got rows that sum to "
        )
        assert second.endswith(
            "check_architecture(logits_at_one_option, checks=['probabilities'], points=[{'head': 'b'}])\""
        )
        assert failure.value.failed == ("probabilities",)

    def test_all_failures_are_reported_together(self):
        def net(input_shape, num_classes):
            model = keras.Sequential(
                [keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(3)]
            )
            model.compile("sgd", "mse")
            return model

        with pytest.raises(CheckFailed) as failure:
            check_architecture(net, **FAST)
        assert failure.value.failed == ("docstring", "uncompiled", "output_shape")
        assert len(str(failure.value).splitlines()) == 6

    def test_error_of_plugin_is_cause_of_failure(self):
        with pytest.raises(CheckFailed) as failure:
            check_architecture(broken_architectures.raises_at_its_defaults, checks=["defaults"])
        assert isinstance(failure.value.__cause__, KeyError)

    def test_error_of_keras_is_printable(self):
        with pytest.raises(CheckFailed) as failure:
            check_architecture(broken_architectures.takes_only_even_sizes, checks=["image_sizes"], points=[])
        assert all(line.isprintable() for line in str(failure.value).splitlines())

    @pytest.mark.parametrize(
        ("function", "options", "text"),
        [
            (
                broken_architectures.a_layer_of_its_own,
                {},
                "expected a model of Keras's own layers, but its layer Twice (broken_architectures) is "
                "defined in the plugin; declare needs_plugin_to_load=True, or --needs-plugin on the command "
                "line",
            ),
            (
                broken_architectures.an_unregistered_layer,
                {"needs_plugin_to_load": True},
                "expected a model that can be loaded again, but its class Unregistered "
                "(broken_architectures) cannot be loaded again, since it is not registered with Keras; put "
                "@keras.saving.register_keras_serializable(package=…) above it",
            ),
            (
                broken_architectures.a_layer_without_its_number,
                {"needs_plugin_to_load": True},
                "expected a saved model that can be loaded with broken_architectures imported, got "
                "TypeError: Numbered.__init__() missing 1 required positional argument: 'factor'",
            ),
        ],
    )
    def test_unloadable_model_is_reported_with_cause(self, function, options, text):
        with pytest.raises(CheckFailed) as failure:
            check_architecture(function, checks=["saving"], **FAST, **options)
        assert f"{function.__name__}((12, 12, 1), 10): saving: {text}\n  reproduce: " in str(failure.value)

    def test_impossible_size_or_class_count_names_the_option(self):
        results = results_of(broken_architectures.only_small_and_few, points=[], num_classes=2)
        assert (
            "declare its image sizes: input_shapes=[…], or --shape 64x64x3 on the command line"
            in results["image_sizes"].text
        )
        assert "class_counts=[…], or --classes on the command line" in results["class_numbers"].text

    def test_failure_of_needed_check_is_reported(self):
        with pytest.raises(CheckFailed) as failure:
            check_architecture(broken_architectures.raises_at_its_defaults, checks=["saving"])
        assert failure.value.failed == ("defaults",)

    def test_images_in_two_splits_are_counted(self):
        with pytest.raises(
            CheckFailed, match=r"but 7 of the 20 test images are also in train, such as test\[0\]"
        ):
            check_dataset(broken_datasets.test_images_to_train_on, checks=["separate_splits"])

    def test_slow_dataset_gets_longer_timeout(self, monkeypatch):
        def first_load_takes(seconds):
            monkeypatch.setattr(
                DatasetSubject,
                "_load_s",
                property(lambda subject: seconds, lambda subject, measured: None),
                raising=False,
            )

        monkeypatch.setattr(_workers, "TIMEOUT_S", 0.0)
        first_load_takes(0.0)
        failure = r"got none in 0 s; the first load took 0 s\. .* check_dataset\(digits, …=…\)"
        with pytest.raises(CheckFailed, match=failure):
            check_dataset(digits, checks=["digest"])
        first_load_takes(600.0)
        check_dataset(digits, checks=["digest"])


class TestBackends:
    """The check `backends`; here its process uses the same backend, because only one may be installed."""

    @pytest.fixture(autouse=True)
    def same_backend(self, monkeypatch):
        monkeypatch.setattr(_workers, "other_backends", lambda: [keras.backend.backend()])

    def test_network_with_same_outputs_passes(self):
        results = results_of(small_net, **FAST)
        assert results["backends"] == Result(
            "backends", "passed", " and ".join(2 * [keras.backend.backend()])
        )

    def test_policy_passes(self):
        subject = PolicySubject(affine, {"points": []})
        assert subject.result("backends").state == "passed"

    def test_failure_in_the_other_process_is_reported(self):
        with pytest.raises(CheckFailed) as failure:
            check_architecture(sound_plugins.only_in_the_first_process, checks=["backends"], **FAST)
        assert f"expected the checks to pass with {keras.backend.backend()}, but: only_in" in str(
            failure.value
        )
        assert "got RuntimeError: a worker process" in str(failure.value)


class TestReproducing:
    """The second line of a failure, run as a shell command."""

    def test_command_reproduces_failure_in_a_shell(self):
        with pytest.raises(CheckFailed) as failure:
            check_dataset(broken_datasets.float_images, checks=["contract"])
        line = str(failure.value).splitlines()[1].removeprefix("  reproduce: ")
        again = subprocess.run(
            line.replace("python -c", f"{sys.executable} -c"),
            shell=True,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert again.returncode == 1
        assert str(failure.value).splitlines()[0] in again.stderr

    def test_failure_of_inner_function_shows_a_call(self):
        def net(input_shape, num_classes):
            """Nothing."""

        with pytest.raises(
            CheckFailed,
            match=r"reproduce: call check_architecture\(net, checks=\['defaults'\], points=\[\]\) in",
        ):
            check_architecture(net, checks=["defaults"])

    def test_origin_loads_functions_and_variants(self):
        assert origin_of(small_net).expression == "small_net"
        assert origin_of(smaller_net).load() is smaller_net
        assert origin_of(lambda: None) is None
        nameless = variant(small_net, "third_net", "A third.", widths=(3,), dropout=0.0)
        origin = origin_of(nameless)
        names: dict = {}
        exec("\n".join([*origin.imports, f"found = {origin.expression}"]), names)
        for found in (origin.load(), names["found"]):
            assert (found.__name__, found.__doc__) == ("third_net", "A third.")
            assert ArchitectureSubject(found, {}).defaults == ArchitectureSubject(nameless, {}).defaults
        local = variant(lambda input_shape, num_classes: None, "fourth_net", "A fourth.")
        assert origin_of(local) is None


class TestGlobalState:
    def test_global_state_is_restored_after_each_check(self):
        before = (random.getstate(), np.random.get_state()[1].tolist(), dict(os.environ), Path.cwd())
        for function in (
            broken_architectures.sets_the_seeds,
            broken_architectures.changes_the_environment,
            broken_architectures.moves_to_another_folder,
            broken_architectures.switches_to_half_precision_at_one_option,
        ):
            with pytest.raises(CheckFailed):
                check_architecture(function, checks=["global_state"], **FAST)
        after = (random.getstate(), np.random.get_state()[1].tolist(), dict(os.environ), Path.cwd())
        assert before == after
        assert keras.config.floatx() == "float32"

    @pytest.mark.parametrize(
        ("function", "text"),
        [
            (broken_architectures.sets_numpys_seed, "the function set the seed of NumPy's random numbers"),
            (broken_architectures.changes_the_environment, "the environment variable OMP_NUM"),
            (broken_architectures.moves_to_another_folder, "the working folder changed from .* to '/'"),
            (broken_architectures.silences_warnings, "warnings.filters changed: .'ignore', None"),
            (broken_architectures.switches_to_half_precision, r"keras\.config\.dtype_policy\(\) changed"),
        ],
    )  # fmt: skip
    def test_change_of_global_state_is_named(self, function, text):
        with pytest.raises(CheckFailed, match=f"expected unchanged global state, but {text}"):
            check_architecture(function, checks=["global_state"], **FAST)

    def test_change_by_first_import_is_ignored(self):
        for check, function in (
            (check_architecture, sound_plugins.importing_net),
            (check_augmentation, sound_plugins.importing_policy),
        ):
            sys.modules.pop("changes_when_imported", None)
            check(function, checks=["global_state"], points=[])
            assert "changes_when_imported" in sys.modules
            assert "CHANGES_WHEN_IMPORTED" not in os.environ


class TestProbe:
    def test_policy_that_keeps_digits_readable_passes(self):
        check_augmentation(affine, checks=["labels"], probe=digits, points=[])
