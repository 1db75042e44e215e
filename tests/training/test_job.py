"""Trials, from their configuration to their files, run in this process."""

from __future__ import annotations

import types
import weakref
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from training_tools import FAULTY, line_of

from zoo import hookimpl, hookspecs
from zoo.data.store import open_dataset
from zoo.data.validation import fold_of_images, training_and_validation, validation_split
from zoo.errors import PluginError
from zoo.events import EpochEnd, Finished, Progress, Started, from_json, to_json
from zoo.registry import Plugin
from zoo.training import backend, components, job
from zoo.training.components import plugin_errors
from zoo.training.info import read_info
from zoo.trial import PluginConfig

HERE = Path(__file__)
SHARPNESS = "KeyError" + '("sharpness")'  # a line that has no other such text


@pytest.fixture(scope="module")
def trial(run, config):
    """A complete trial; the high learning rate makes it unlikely that the last epoch is the best."""
    augmented = replace(config, augmentation=PluginConfig("affine", {}), seed=3)
    return run(augmented, epochs=6, learning_rate=0.08)


@pytest.fixture(scope="module")
def validation(prepared, config):
    cache, facts = prepared
    return validation_split(cache, facts.digest, open_dataset(cache, facts.digest), config.validation)


@pytest.fixture(scope="module")
def model(keras, trial):
    return keras.saving.load_model(trial.folder / "model.keras", compile=False)


class Metrics:
    """Metrics of a plugin: two sound ones, and some with mistakes."""

    @hookimpl
    def register_metrics(self, register):
        def images(y_true, probabilities):
            """Number of images with the right shapes."""
            assert y_true.shape == (len(probabilities),)
            return np.float32(len(y_true))

        def broken(y_true, probabilities):
            """Raises an error."""
            raise KeyError("weights")

        def undefined(y_true, probabilities):
            """Is not a number."""
            return float("nan")

        def listed(y_true, probabilities):
            """Is a list."""
            return [1.0, 2.0]

        def written(y_true, probabilities):
            """Is a number in text."""
            return "0.5"

        def greedy(y_true, probabilities):
            """Changes its input."""
            probabilities[:] = 0
            return 1.0

        for metric in (images, broken, undefined, listed, written, greedy):
            register(metric)


class TestMetrics:
    @pytest.fixture(scope="class")
    def measured(self, run, config):
        measures = ("val_calibration_error", "val_loss")
        return run(replace(config, objective="val_balanced_accuracy", measures=measures), epochs=3)

    def test_each_epoch_has_the_metrics(self, measured):
        assert measured.final_event.state == "complete", measured.final_event.reason
        for epoch in measured.epochs:
            assert epoch["val_balanced_accuracy"] == pytest.approx(epoch["val_accuracy"], abs=0.1)
            assert 0 <= epoch["val_calibration_error"] <= 1

    def test_best_epoch_is_that_of_the_metric(self, measured):
        values = [epoch["val_balanced_accuracy"] for epoch in measured.epochs]
        summary = measured.final_event.summary
        assert summary["best_val_balanced_accuracy"] == max(values)
        assert summary["best_epoch"] == values.index(max(values)) + 1
        best = measured.epochs[values.index(max(values))]
        assert summary["best_val_calibration_error"] == best["val_calibration_error"]

    def test_validation_images_are_predicted_once_an_epoch(self, run, config, keras, monkeypatch):
        num_images, forward_pass = [], backend.forward_pass

        def counting(model):
            predict = forward_pass(model)
            return lambda images: num_images.append(len(images)) or predict(images)

        monkeypatch.setattr(backend, "forward_pass", counting)
        for name in ("predict", "evaluate"):
            monkeypatch.setattr(keras.Model, name, None)
        run(replace(config, objective="val_macro_f1", measures=("val_auc", "val_balanced_accuracy")))
        assert num_images == [256, 32, 256, 32]  # two epochs; the predictions of the best one are kept

    def test_other_results_are_those_without_the_metric(self, measured, run, config):
        plain = run(config, epochs=3)
        for with_metrics, without in zip(measured.epochs, plain.epochs, strict=True):
            for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
                assert with_metrics[name] == pytest.approx(without[name], rel=1e-5)

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("broken", "the metric 'broken' of zoo-measures 1.0 raised KeyError: 'weights'"),
            (
                "undefined",
                "the metric 'undefined' of zoo-measures 1.0: expected a finite number, got nan in ",
            ),
            ("written", "the metric 'written' of zoo-measures 1.0: expected a number, got str in epoch 1"),
            ("listed", "the metric 'listed' of zoo-measures 1.0: expected a number, got list in epoch 1"),
            (
                "greedy",
                "the metric 'greedy' of zoo-measures 1.0 raised ValueError: assignment destination is",
            ),
        ],
    )
    def test_mistake_of_a_metric_fails_the_trial(self, run, config, registry, name, reason):
        if not any(plugin.distribution == "zoo-measures" for plugin in registry.plugins):
            registry.add(Plugin("measures", "zoo-measures", "1.0"), Metrics)
        sound = run(replace(config, measures=("val_images",)), epochs=1)
        assert sound.epochs[0]["val_images"] == len(np.load(sound.folder / "predictions.npz")["labels"])
        failed = run(replace(config, measures=(f"val_{name}",)), epochs=1).final_event
        assert (failed.state, failed.is_plugin_error) == ("failed", True)
        assert failed.reason.startswith(reason)


class TestComplete:
    def test_events_come_in_order(self, trial):
        kinds = [type(event) for event in trial.events if not isinstance(event, Progress)]
        assert kinds == [Started, *[EpochEnd] * 6, Finished]
        assert [event.epoch for event in trial.epoch_ends] == [1, 2, 3, 4, 5, 6]
        times = [event.time for event in trial.events if not isinstance(event, Progress)]
        assert times == sorted(times)
        assert (trial.final_event.state, trial.final_event.reason) == ("complete", "")

    def test_events_are_plain_json(self, trial):
        assert [from_json(to_json(event)) for event in trial.events] == trial.events

    def test_started_has_device_backend_and_size(self, trial, model, keras):
        started = trial.events[0]
        assert (started.device, started.backend) == ("cpu", keras.backend.backend())
        assert started.num_parameters == model.count_params() == trial.final_event.summary["parameters"]

    def test_every_epoch_has_metrics_and_seconds(self, trial):
        names = {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "epoch_seconds"}
        assert all(set(metrics) == names for metrics in trial.epochs)
        assert all(metrics["learning_rate"] == pytest.approx(0.08) for metrics in trial.epochs)
        spent = sum(metrics["epoch_seconds"] for metrics in trial.epochs)
        assert 0 < spent < trial.final_event.summary["train_seconds"]

    def test_summary_is_of_the_best_epoch(self, trial):
        values = [metrics["val_accuracy"] for metrics in trial.epochs]
        summary = trial.final_event.summary
        assert summary["best_val_accuracy"] == max(values)
        assert summary["best_epoch"] == 1 + values.index(max(values))

    def test_complete_trial_leaves_its_files(self, trial):
        assert trial.files == ["model.keras", "predictions.npz", "summary.txt"]

    def test_saved_model_has_weights_of_best_epoch(self, trial, model, validation):
        probabilities = model.predict(validation.images, verbose=0)
        accuracy = (probabilities.argmax(axis=1) == validation.labels).mean()
        assert accuracy == pytest.approx(trial.final_event.summary["best_val_accuracy"], abs=1e-6)

    def test_predictions_are_of_the_validation_images(self, trial, model, validation):
        with np.load(trial.folder / "predictions.npz") as kept:
            probabilities, labels = kept["probabilities"], kept["labels"]
        assert probabilities.dtype == np.float32
        np.testing.assert_array_equal(labels, validation.labels)
        expected = model.predict(validation.images, verbose=0)
        np.testing.assert_allclose(probabilities, expected, atol=1e-5)

    def test_saved_model_takes_pixels_without_augmentation(self, model, keras):
        assert model.input_shape == (None, 8, 8, 1)
        assert [type(layer) for layer in model.layers] == [
            keras.layers.InputLayer,
            keras.layers.Rescaling,
            keras.Sequential,
        ]
        assert model.layers[1].scale == pytest.approx(1 / 255)

    def test_saved_model_does_not_need_zoo(self, trial):
        with zipfile.ZipFile(trial.folder / "model.keras") as archive:
            assert "zoo" not in archive.read("config.json").decode()

    def test_model_file_has_facts_of_the_trial(self, trial, prepared, keras):
        info = read_info(trial.folder / "model.keras")
        assert info.class_names == tuple("0123456789")
        assert (info.image_shape, info.color_mode) == ((8, 8, 1), "grayscale")
        assert (info.dataset, info.digest) == ("digits", prepared[1].digest)
        assert (info.source, info.architecture) == (prepared[1].source, "conv_net")
        assert info.metrics == trial.final_event.summary
        assert (info.keras_version, info.modules) == (keras.__version__, {})

    def test_summary_file_lists_the_layers(self, trial):
        text = (trial.folder / "summary.txt").read_text()
        assert all(layer in text for layer in ("conv2d", "flatten", "dense", "Total params"))
        assert max(map(len, text.splitlines())) <= 80


@pytest.fixture(scope="module")
def random_config(config):
    """A trial with everything that draws random numbers: dropout and augmentation."""
    network = PluginConfig("conv_net", {"filters": (8,), "dense_units": (), "dropout": 0.3})
    return replace(config, architecture=network, augmentation=PluginConfig("affine", {}))


@pytest.fixture(scope="module")
def first(run, random_config):
    return run(random_config)


class TestReproducibility:
    def test_same_seed_gives_same_metrics(self, run, random_config, first):
        assert run(random_config).metrics_without_seconds() == first.metrics_without_seconds()

    def test_other_seed_gives_other_metrics(self, run, random_config, first):
        assert (
            run(replace(random_config, seed=8), epochs=1).metrics_without_seconds()[0]
            != first.metrics_without_seconds()[0]
        )

    def test_without_augmentation_metrics_differ(self, run, random_config, first):
        plain = replace(random_config, augmentation=PluginConfig("none"))
        assert run(plain, epochs=1).metrics_without_seconds()[0] != first.metrics_without_seconds()[0]


class TestEnd:
    def test_training_stops_early_without_improvement(self, run, config, keras, validation):
        """With the loss maximized, the first epoch is the best."""
        trial = run(replace(config, objective="loss", direction="maximize"), epochs=9, patience=2)
        assert len(trial.epochs) == 3
        lasts = [event.is_last for event in trial.epoch_ends]
        assert lasts == [False, False, True]  # so that the supervisor does not prune an ended trial
        summary = trial.final_event.summary
        assert (summary["best_epoch"], summary["best_loss"]) == (1, trial.epochs[0]["loss"])
        assert trial.final_event.state == "complete"
        model = keras.saving.load_model(trial.folder / "model.keras", compile=False)
        reached = (model.predict(validation.images, verbose=0).argmax(axis=1) == validation.labels).mean()
        assert reached == pytest.approx(trial.epochs[0]["val_accuracy"], abs=1e-6)
        assert reached < trial.epochs[-1]["val_accuracy"]

    def test_minimized_objective_keeps_lowest_value(self, run, config):
        trial = run(replace(config, objective="val_loss", direction="minimize"), epochs=3)
        values = [metrics["val_loss"] for metrics in trial.epochs]
        summary = trial.final_event.summary
        assert summary["best_val_loss"] == min(values)
        assert summary["best_epoch"] == 1 + values.index(min(values))

    def test_stop_from_the_supervisor_prunes_at_once(self, run, config):
        trial = run(config, epochs=9, answers=lambda epoch, fold: epoch < 2)
        assert len(trial.epochs) == 2
        assert (trial.final_event.state, trial.final_event.reason) == ("pruned", "pruned after epoch 2")
        assert trial.final_event.summary["best_val_accuracy"] == max(
            metrics["val_accuracy"] for metrics in trial.epochs
        )
        assert trial.files == []

    def test_end_of_the_search_completes_the_trial(self, run, config):
        trial = run(config, epochs=9, answers=lambda epoch, fold: True if epoch < 2 else "timeout")
        event = trial.final_event
        assert (len(trial.epochs), event.state, event.reason, event.stopped) == (2, "complete", "", "timeout")
        assert event.summary["best_val_accuracy"] == max(one["val_accuracy"] for one in trial.epochs)
        assert "model.keras" in trial.files

    def test_max_seconds_complete_the_trial(self, run, config):
        trial = run(config, epochs=9, max_seconds=1e-6)
        event = trial.final_event
        assert (len(trial.epochs), event.state, event.stopped) == (1, "complete", "max_seconds")
        assert trial.epoch_ends[0].is_last
        assert "model.keras" in trial.files

    def test_nan_fails_the_trial_with_its_epoch(self, run, config):
        trial = run(replace(config, architecture=PluginConfig("faulty", {"how": "nan"})))
        assert (trial.final_event.state, trial.final_event.reason) == (
            "failed",
            "loss became nan in epoch 1; try a lower learning_rate",
        )
        assert trial.epochs == []
        assert trial.files == []
        assert all("NaN" not in to_json(event) for event in trial.events)


TWO_FOLDS, FOLDS = ({"folds": count, "seed": 0} for count in (2, 3))


@pytest.fixture(scope="module")
def in_folds(config):
    return replace(config, validation=FOLDS, measures=("val_loss",))


@pytest.fixture(scope="module")
def folded(run, in_folds):
    """A complete trial of three folds, two epochs each."""
    return run(in_folds)


class TestFolds:
    def test_folds_are_trained_one_after_another(self, folded):
        kinds = [type(event) for event in folded.events if not isinstance(event, Progress)]
        assert kinds == [Started, *[EpochEnd] * 6, Finished]
        places = [(event.fold, event.epoch) for event in folded.epoch_ends]
        assert places == [(fold, epoch) for fold in (1, 2, 3) for epoch in (1, 2)]
        assert all(event.fold for event in folded.events if isinstance(event, Progress))
        assert [from_json(to_json(event)) for event in folded.events] == folded.events

    def test_without_folds_events_have_no_fold(self, trial):
        assert not any(event.fold for event in trial.epoch_ends)
        assert not {"best_fold", "best_val_accuracy_std"} & set(trial.final_event.summary)

    def test_summary_has_mean_and_deviation_of_folds(self, folded):
        best = [
            max(folded.epochs[2 * fold : 2 * fold + 2], key=lambda metrics: metrics["val_accuracy"])
            for fold in range(3)
        ]
        values = [metrics["val_accuracy"] for metrics in best]
        summary = folded.final_event.summary
        assert summary["best_val_accuracy"] == pytest.approx(np.mean(values))
        assert summary["best_val_accuracy_std"] == pytest.approx(np.std(values, ddof=1))
        assert summary["best_val_loss"] == pytest.approx(np.mean([metrics["val_loss"] for metrics in best]))
        assert summary["best_fold"] == 1 + int(np.argmax(values))
        kept = folded.epochs[2 * (summary["best_fold"] - 1) :][:2]
        values = [metrics["val_accuracy"] for metrics in kept]
        assert summary["best_epoch"] == 1 + int(np.argmax(values))

    def test_saved_model_is_of_the_best_fold(self, folded, keras, prepared, in_folds):
        cache, facts = prepared
        model = keras.saving.load_model(folded.folder / "model.keras", compile=False)
        summary = folded.final_event.summary
        dataset = open_dataset(cache, facts.digest)
        _, held_out = training_and_validation(cache, facts.digest, dataset, FOLDS, summary["best_fold"])
        predicted = model.predict(held_out.images, verbose=0).argmax(axis=1)
        reached = folded.epochs[2 * (summary["best_fold"] - 1) + summary["best_epoch"] - 1]["val_accuracy"]
        assert (predicted == held_out.labels).mean() == pytest.approx(reached, abs=1e-6)

    def test_predictions_are_out_of_fold(self, folded, prepared):
        cache, facts = prepared
        dataset = open_dataset(cache, facts.digest)
        of_images = fold_of_images(cache, facts.digest, dataset, FOLDS)
        with np.load(folded.folder / "predictions.npz") as kept:
            probabilities, labels = kept["probabilities"], kept["labels"]
        np.testing.assert_array_equal(labels, dataset.train.labels)
        right = probabilities.argmax(axis=1) == labels
        for fold in (1, 2, 3):
            best = max(metrics["val_accuracy"] for metrics in folded.epochs[2 * fold - 2 : 2 * fold])
            assert right[of_images == fold].mean() == pytest.approx(best, abs=1e-6)

    def test_each_fold_starts_from_new_weights(self, folded):
        losses = [folded.epochs[2 * fold]["loss"] for fold in range(3)]
        assert len(set(losses)) == 3

    def test_one_network_is_in_memory_at_a_time(self, run, in_folds, folded, monkeypatch):
        references, num_alive = [], []
        assemble = job.assemble

        def recording_assemble(network, *rest):
            num_alive.append(sum(reference() is not None for reference in references))
            models = assemble(network, *rest)
            references.extend(weakref.ref(model) for model in (network, *models))
            return models

        monkeypatch.setattr(job, "assemble", recording_assemble)
        assert run(in_folds).metrics_without_seconds() == folded.metrics_without_seconds()
        assert (len(references), num_alive) == (9, [0, 0, 0])

    def test_fold_that_stops_early_is_followed(self, run, in_folds):
        # The loss falls, so the highest is the first.
        worse = replace(in_folds, validation=TWO_FOLDS, objective="loss", direction="maximize")
        trial = run(worse, epochs=9, patience=1)
        places = [(event.fold, event.epoch) for event in trial.epoch_ends]
        assert places == [(fold, epoch) for fold in (1, 2) for epoch in (1, 2)]
        lasts = [event.is_last for event in trial.epoch_ends]
        assert lasts == [False, False, False, True]
        assert trial.final_event.state == "complete"
        assert trial.final_event.summary["best_epoch"] == 1

    def test_pruning_in_a_fold_ends_the_trial(self, run, in_folds):
        trial = run(in_folds, answers=lambda epoch, fold: (fold, epoch) != (2, 1))
        assert (trial.final_event.state, trial.final_event.reason) == (
            "pruned",
            "pruned in fold 2, after epoch 1",
        )
        assert len(trial.epochs) == 3
        first = max(metrics["val_accuracy"] for metrics in trial.epochs[:2])
        mean = (first + trial.epochs[2]["val_accuracy"]) / 2
        assert trial.final_event.summary["best_val_accuracy"] == pytest.approx(mean)
        assert trial.files == []

    def test_end_of_the_search_in_a_fold_interrupts_the_trial(self, run, in_folds):
        trial = run(in_folds, answers=lambda epoch, fold: "timeout" if (fold, epoch) == (2, 1) else True)
        event = trial.final_event
        assert (event.state, event.is_interrupted, trial.files) == ("failed", True, [])
        assert event.reason == "interrupted after fold 2 of 3: timeout"

    def test_end_of_the_search_in_the_last_fold_completes_the_trial(self, run, in_folds):
        trial = run(in_folds, answers=lambda epoch, fold: "target" if (fold, epoch) == (3, 1) else True)
        assert (trial.final_event.state, trial.final_event.stopped) == ("complete", "target")
        assert (len(trial.epochs), "best_val_accuracy_std" in trial.final_event.summary) == (5, True)

    def test_folds_share_max_seconds(self, run, in_folds, monkeypatch):
        limits = []
        original = job.fit
        monkeypatch.setattr(
            job,
            "fit",
            lambda *args, **settings: limits.append(settings["max_seconds"]) or original(*args, **settings),
        )
        assert run(in_folds, max_seconds=300, epochs=1).final_event.stopped == ""
        assert limits == [100, 100, 100]

    def test_single_fold_has_no_standard_deviation(self, run, in_folds):
        trial = run(in_folds, answers=lambda epoch, fold: False)
        assert trial.final_event.reason == "pruned in fold 1, after epoch 1"
        assert "best_val_accuracy_std" not in trial.final_event.summary


class TestMaxParameters:
    """The network of the example has 1,370 parameters."""

    def test_larger_network_is_not_trained(self, run, config):
        trial = run(replace(config, max_parameters=1369))
        assert [type(event) for event in trial.events] == [Finished]
        assert (trial.final_event.state, trial.final_event.reason) == (
            "pruned",
            "1,370 parameters, but max_parameters is 1,369",
        )
        assert trial.final_event.summary == {"parameters": 1370}
        assert trial.files == []

    def test_network_of_the_limit_trains_as_usual(self, run, config):
        with_limit, without = run(replace(config, max_parameters=1370)), run(config)
        assert with_limit.metrics_without_seconds() == without.metrics_without_seconds()
        assert with_limit.final_event.state == "complete"

    def test_weights_of_huge_network_are_not_allocated(self, run, config):
        """They would take 30 GB."""
        huge = PluginConfig("faulty", {"how": "huge"})
        trial = run(replace(config, architecture=huge, max_parameters=10**6))
        assert trial.final_event.reason == "7,500,000,010 parameters, but max_parameters is 1,000,000"

    def test_errors_of_the_plugin_are_reported_as_usual(self, run, config):
        limited = replace(config, max_parameters=10**6)
        for how, state, reason in (
            ("impossible", "pruned", "impossible parameters: "),
            ("raises", "failed", "the architecture 'faulty' of zoo-faulty 0.3 raised RuntimeError"),
            ("no model", "failed", "the architecture 'faulty' of zoo-faulty 0.3: expected a keras.Model"),
        ):
            trial = run(replace(limited, architecture=PluginConfig("faulty", {"how": how, "units": 3})))
            assert trial.final_event.state == state
            assert trial.final_event.reason.startswith(reason)

    def test_size_is_checked_after_building_otherwise(self, run, config, monkeypatch):
        monkeypatch.setattr(components, "count_parameters", lambda build: None)
        trial = run(replace(config, max_parameters=1369))
        assert trial.final_event.reason == "1,370 parameters, but max_parameters is 1,369"
        assert [type(event) for event in trial.events] == [Finished]


class TestLatency:
    def test_latency_is_measured_on_request(self, run, config):
        trial = run(replace(config, measures=("latency_ms",)), epochs=1)
        assert 0 < trial.final_event.summary["latency_ms"] < 10_000

    def test_latency_is_not_measured_by_default(self, trial):
        assert "latency_ms" not in trial.final_event.summary


def at_line(text):
    return f", at zoo_faulty/__init__.py:{line_of(FAULTY, text)}"


class TestFaultyArchitecture:
    """The reason has the name and version of the distribution, and the line that raised."""

    def fault(self, run, config, how, **parameters):
        trial = run(replace(config, architecture=PluginConfig("faulty", {"how": how, **parameters})))
        assert [type(event) for event in trial.events] == [Finished]
        assert trial.files == []
        assert "\n" not in trial.final_event.reason
        return trial.final_event.state, trial.final_event.reason

    @pytest.mark.parametrize(
        ("how", "reason"),
        [
            ("raises", " raised RuntimeError: the author divided by zero" + at_line("raise RuntimeError")),
            ("exits", " raised SystemExit: 3" + at_line("sys.exit(3)")),
            (
                "compiled",
                ": expected an uncompiled model; remove compile(), since the study sets the optimizer",
            ),
            (
                "too wide",
                ": expected an output of shape ('batch', 10), got ('batch', 11); "
                'end with Dense(num_classes, activation="softmax")',
            ),
            ("no model", ": expected a keras.Model, got dict"),
            (
                "nan at once",
                ": expected class probabilities, got NaN before any training; check the initializers",
            ),
        ],
    )
    def test_trial_fails_and_names_the_plugin(self, run, config, how, reason):
        subject = "the architecture 'faulty' of zoo-faulty 0.3"
        assert self.fault(run, config, how) == ("failed", subject + reason)

    def test_error_in_plugin_code_is_marked(self, run, config):
        faulty = replace(config, architecture=PluginConfig("faulty", {"how": "raises"}))
        assert run(faulty).final_event.is_plugin_error
        unknown = replace(config, architecture=PluginConfig("convnet"))
        assert not run(unknown).final_event.is_plugin_error

    def test_missing_softmax_is_suggested(self, run, config):
        state, reason = self.fault(run, config, "no softmax")
        assert state == "failed"
        assert reason.startswith("the architecture 'faulty' of zoo-faulty 0.3: expected class probabilities")
        assert reason.endswith("the last layer may lack its softmax")

    def test_wrong_input_shape_names_the_plugin(self, run, config):
        state, reason = self.fault(run, config, "other images")
        assert state == "failed"
        assert reason.startswith("the architecture 'faulty' of zoo-faulty 0.3 raised ValueError: ")
        assert "\x1b" not in reason  # Keras writes some words in bold

    def test_out_of_memory_is_the_reason(self, run, config):
        assert self.fault(run, config, "out of memory") == ("failed", "out of memory: 9 TB asked for")

    def test_impossible_parameters_prune_the_trial(self, run, config):
        assert self.fault(run, config, "impossible", units=3) == (
            "pruned",
            "impossible parameters: 3 units do not fit",
        )

    def test_impossible_parameters_of_built_in_prune_too(self, run, config):
        tall = PluginConfig("conv_net", {"filters": (8, 8, 8, 8)})
        trial = run(replace(config, architecture=tall))
        assert trial.final_event.state == "pruned"
        assert trial.final_event.reason.startswith("impossible parameters: block 4 of 4 pools by 2×2")

    def test_layer_larger_than_its_input_prunes_too(self, run, config):
        state, reason = self.fault(run, config, "too deep", units=5)  # 8×8 pixels can be halved three times
        assert state == "pruned"
        assert reason.startswith(
            "impossible parameters: the layer 'pool_3' (MaxPooling2D) does not fit the size of its input: "
        )

    def test_network_without_frozen_layer_is_not_trained(self, run, config):
        trial = run(config, fine_tune_layers=4)
        assert trial.final_event.state == "failed"
        assert trial.final_event.reason.startswith(
            "fine_tune_layers = 4, but no layer of this network is frozen"
        )
        assert trial.epochs == []

    def test_traceback_is_written_to_stderr(self, run, config, capfd):
        """The stderr of a worker process is its `output.log`."""
        self.fault(run, config, "raises")
        assert "RuntimeError: the author divided" in capfd.readouterr().err


def test_error_in_a_built_in_names_its_line(registry):
    conv_net = registry.get("architecture", "conv_net")
    location = r", at zoo/builtin/architectures/\w+\.py:\d+$"
    with pytest.raises(PluginError, match=location), plugin_errors(conv_net):
        conv_net.function((8, 8, 1), 10, filters=None)


class TestFaultyAugmentation:
    @pytest.fixture
    def policies(self, registry, monkeypatch):
        """Faulty policies, of zoo-shaky 0.1."""

        def nothing():
            pass

        def raises():
            raise KeyError("sharpness")

        def too_large():
            from keras import layers

            return [layers.Resizing(99, 99)]

        def raises_in_training():
            import keras

            class Broken(keras.layers.Layer):
                def call(self, images, training=False):
                    if training:
                        raise ValueError("no light")
                    return images

            return [Broken()]

        @hookspecs.hookimpl
        def register_augmentations(register):
            for policy in (nothing, raises, too_large, raises_in_training):
                register(policy)

        module = types.SimpleNamespace(register_augmentations=register_augmentations)
        monkeypatch.setattr(registry, "plugins", [*registry.plugins])
        monkeypatch.setattr(registry, "_components", dict(registry._components))
        registry.add(Plugin("shaky", "zoo-shaky", "0.1"), lambda: module)
        assert registry.problems == []

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("nothing", ": expected a list of Keras layers, got None"),
            ("raises", f" raised KeyError: 'sharpness', at test_job.py:{line_of(HERE, SHARPNESS)}"),
            ("too_large", ": expected images of shape (8, 8, 1), got (99, 99, 1)"),
        ],
    )
    def test_trial_fails_and_names_the_plugin(self, run, config, policies, name, reason):
        trial = run(replace(config, augmentation=PluginConfig(name)))
        subject = f"the augmentation '{name}' of zoo-shaky 0.1"
        assert (trial.final_event.state, trial.final_event.reason) == ("failed", subject + reason)

    def test_layer_that_raises_in_training_is_named(self, run, config, policies):
        reason = run(replace(config, augmentation=PluginConfig("raises_in_training"))).final_event.reason
        assert reason.startswith("the augmentation 'raises_in_training' of zoo-shaky 0.1 raised ValueError: ")
        assert "no light" in reason
        assert reason.endswith(f", at test_job.py:{line_of(HERE, 'raise ValueError(')}")


class TestOtherErrors:
    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (MemoryError(), "out of memory"),
            (MemoryError("Unable to allocate 9 TiB"), "out of memory: Unable to allocate 9 TiB"),
            (
                RuntimeError("RESOURCE_EXHAUSTED: Out of\nmemory"),
                "out of memory: RESOURCE_EXHAUSTED: Out of memory",
            ),
            (type("ResourceExhaustedError", (Exception,), {})("OOM"), "out of memory: OOM"),
            (ValueError("no\n  such shape"), "ValueError: no such shape"),
            (ValueError("x" * 5000), "ValueError: " + "x" * 1000),
        ],
    )
    def test_reason_is_one_line(self, run, config, monkeypatch, error, reason):
        def fails(*_, **__):
            raise error

        monkeypatch.setattr(job, "fit", fails)
        trial = run(config)
        assert (trial.final_event.state, trial.final_event.reason) == ("failed", reason)

    def test_missing_dataset_fails_the_trial(self, run, config):
        trial = run(replace(config, digest="0" * 64))
        assert trial.final_event.state == "failed"
        assert "the prepared dataset 000000000000 is missing or damaged in" in trial.final_event.reason

    def test_unknown_architecture_fails_the_trial(self, run, config):
        trial = run(replace(config, architecture=PluginConfig("convnet")))
        assert trial.final_event.reason.endswith("Did you mean 'conv_net'?")

    def test_parameter_out_of_range_fails_the_trial(self, run, config):
        trial = run(replace(config, architecture=PluginConfig("conv_net", {"dropout": 0.99})))
        assert trial.final_event.state == "failed"
        assert "dropout" in trial.final_event.reason


def test_full_disk_delays_the_model(run, config, monkeypatch):
    pauses, save = [], np.savez

    def full_twice(path, **arrays):
        if len(pauses) < 2:
            raise OSError(28, "No space left on device")
        save(path, **arrays)

    monkeypatch.setattr(np, "savez", full_twice)
    monkeypatch.setattr("zoo.disk_space.time.sleep", pauses.append)
    trial = run(config, epochs=1)
    assert trial.final_event.state == "complete"
    (problem,) = [event.problem for event in trial.events if isinstance(event, Progress) and event.problem]
    assert problem.startswith(f"the disk is full: {trial.folder / 'model.keras'} cannot be written (")
