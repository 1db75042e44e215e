"""A trial from its configuration to its files, run in this process."""

from __future__ import annotations

import types
import weakref
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from zoo import hookspecs
from zoo.data.store import fold_of_images, open_dataset, split_for, validation_split
from zoo.events import EpochEnd, Finished, Progress, Started, from_json, to_json
from zoo.registry import Plugin
from zoo.training import components, job
from zoo.trial import PluginConfig


@pytest.fixture(scope="module")
def trial(run, config):
    """A complete one, its learning rate so high that the last epoch is hardly the best."""
    augmented = replace(config, augmentation=PluginConfig("affine", {}), seed=3)
    return run(augmented, epochs=6, learning_rate=0.08)


@pytest.fixture(scope="module")
def validation(prepared, config):
    cache, facts = prepared
    return validation_split(cache, facts.digest, open_dataset(cache, facts.digest), config.validation)


@pytest.fixture(scope="module")
def model(keras, trial):
    return keras.saving.load_model(trial.folder / "model.keras", compile=False)


class TestComplete:
    def test_says_started_then_every_epoch_then_finished(self, trial):
        kinds = [type(event) for event in trial.events if not isinstance(event, Progress)]
        assert kinds == [Started, *[EpochEnd] * 6, Finished]
        assert [event.epoch for event in trial.epoch_ends] == [1, 2, 3, 4, 5, 6]
        times = [event.time for event in trial.events if not isinstance(event, Progress)]
        assert times == sorted(times)
        assert (trial.finished.state, trial.finished.reason) == ("complete", "")

    def test_says_it_in_plain_json(self, trial):
        assert [from_json(to_json(event)) for event in trial.events] == trial.events

    def test_says_where_it_trains_and_how_large_it_is(self, trial, model, keras):
        started = trial.events[0]
        assert (started.device, started.backend) == ("cpu", keras.backend.backend())
        assert started.num_parameters == model.count_params() == trial.finished.summary["parameters"]

    def test_says_of_every_epoch_what_was_reached_and_how_long_it_took(self, trial):
        names = {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "epoch_seconds"}
        assert all(set(metrics) == names for metrics in trial.epochs)
        assert all(metrics["learning_rate"] == pytest.approx(0.08) for metrics in trial.epochs)
        spent = sum(metrics["epoch_seconds"] for metrics in trial.epochs)
        assert 0 < spent < trial.finished.summary["train_seconds"]

    def test_sums_up_its_best_epoch(self, trial):
        reached = [metrics["val_accuracy"] for metrics in trial.epochs]
        summary = trial.finished.summary
        assert summary["best_val_accuracy"] == max(reached)
        assert summary["best_epoch"] == 1 + reached.index(max(reached))

    def test_leaves_its_files(self, trial):
        assert trial.files == ["model.keras", "predictions.npz", "summary.txt"]

    def test_keeps_the_weights_of_its_best_epoch(self, trial, model, validation):
        probabilities = model.predict(validation.images, verbose=0)
        accuracy = (probabilities.argmax(axis=1) == validation.labels).mean()
        assert accuracy == pytest.approx(trial.finished.summary["best_val_accuracy"], abs=1e-6)

    def test_keeps_what_it_predicts_for_the_validation_images(self, trial, model, validation):
        with np.load(trial.folder / "predictions.npz") as kept:
            probabilities, labels = kept["probabilities"], kept["labels"]
        assert probabilities.dtype == np.float32
        np.testing.assert_array_equal(labels, validation.labels)
        expected = model.predict(validation.images, verbose=0)
        np.testing.assert_allclose(probabilities, expected, atol=1e-5)

    def test_its_model_takes_raw_pixels_and_does_not_augment(self, model, keras):
        assert model.input_shape == (None, 8, 8, 1)
        assert [type(layer) for layer in model.layers] == [
            keras.layers.InputLayer,
            keras.layers.Rescaling,
            keras.Sequential,
        ]
        assert model.layers[1].scale == pytest.approx(1 / 255)

    def test_its_model_needs_nothing_but_keras(self, trial):
        with zipfile.ZipFile(trial.folder / "model.keras") as archive:
            assert "zoo" not in archive.read("config.json").decode()

    def test_its_summary_lists_the_layers(self, trial):
        text = (trial.folder / "summary.txt").read_text()
        assert all(layer in text for layer in ("conv2d", "flatten", "dense", "Total params"))
        assert max(map(len, text.splitlines())) <= 80


@pytest.fixture(scope="module")
def all_at_random(config):
    """With everything in it that draws random numbers."""
    network = PluginConfig("conv_net", {"filters": (8,), "dense_units": (), "dropout": 0.3})
    return replace(config, architecture=network, augmentation=PluginConfig("affine", {}))


@pytest.fixture(scope="module")
def first(run, all_at_random):
    return run(all_at_random)


class TestTheSameAgain:
    def test_with_the_same_seed_gives_the_same_metrics(self, run, all_at_random, first):
        assert run(all_at_random).timeless() == first.timeless()

    def test_with_another_seed_gives_others(self, run, all_at_random, first):
        assert run(replace(all_at_random, seed=8), epochs=1).timeless()[0] != first.timeless()[0]

    def test_without_augmentation_gives_others(self, run, all_at_random, first):
        plain = replace(all_at_random, augmentation=PluginConfig("none"))
        assert run(plain, epochs=1).timeless()[0] != first.timeless()[0]


class TestTheEnd:
    def test_comes_early_where_nothing_gets_better(self, run, config, keras, validation):
        """The loss falls, so the highest is the first; and the weights are that epoch's."""
        trial = run(replace(config, objective="loss", direction="maximize"), epochs=9, patience=2)
        assert len(trial.epochs) == 3
        lasts = [event.is_last for event in trial.epoch_ends]
        assert lasts == [False, False, True]  # the supervisor shall not prune what has ended
        summary = trial.finished.summary
        assert (summary["best_epoch"], summary["best_loss"]) == (1, trial.epochs[0]["loss"])
        assert trial.finished.state == "complete"
        model = keras.saving.load_model(trial.folder / "model.keras", compile=False)
        reached = (model.predict(validation.images, verbose=0).argmax(axis=1) == validation.labels).mean()
        assert reached == pytest.approx(trial.epochs[0]["val_accuracy"], abs=1e-6)
        assert reached < trial.epochs[-1]["val_accuracy"]

    def test_the_lowest_is_best_where_the_study_minimizes(self, run, config):
        trial = run(replace(config, objective="val_loss", direction="minimize"), epochs=3)
        reached = [metrics["val_loss"] for metrics in trial.epochs]
        summary = trial.finished.summary
        assert summary["best_val_loss"] == min(reached)
        assert summary["best_epoch"] == 1 + reached.index(min(reached))

    def test_comes_at_once_where_the_supervisor_says_so(self, run, config):
        trial = run(config, epochs=9, answers=lambda epoch, fold: epoch < 2)
        assert len(trial.epochs) == 2
        assert (trial.finished.state, trial.finished.reason) == ("pruned", "pruned after epoch 2")
        assert trial.finished.summary["best_val_accuracy"] == max(
            metrics["val_accuracy"] for metrics in trial.epochs
        )
        assert trial.files == []

    def test_nan_fails_it_with_the_epoch(self, run, config):
        trial = run(replace(config, architecture=PluginConfig("faulty", {"how": "nan"})))
        assert (trial.finished.state, trial.finished.reason) == (
            "failed",
            "loss became nan in epoch 1",
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
    def test_come_one_after_another_each_with_its_epochs(self, folded):
        kinds = [type(event) for event in folded.events if not isinstance(event, Progress)]
        assert kinds == [Started, *[EpochEnd] * 6, Finished]
        places = [(event.fold, event.epoch) for event in folded.epoch_ends]
        assert places == [(fold, epoch) for fold in (1, 2, 3) for epoch in (1, 2)]
        assert all(event.fold for event in folded.events if isinstance(event, Progress))
        assert [from_json(to_json(event)) for event in folded.events] == folded.events

    def test_without_folds_no_event_speaks_of_them(self, trial):
        assert not any(event.fold for event in trial.epoch_ends)
        assert not {"best_fold", "best_val_accuracy_std"} & set(trial.finished.summary)

    def test_are_summed_up_by_mean_and_spread_of_their_best(self, folded):
        best = [
            max(folded.epochs[2 * fold : 2 * fold + 2], key=lambda metrics: metrics["val_accuracy"])
            for fold in range(3)
        ]
        values = [metrics["val_accuracy"] for metrics in best]
        summary = folded.finished.summary
        assert summary["best_val_accuracy"] == pytest.approx(np.mean(values))
        assert summary["best_val_accuracy_std"] == pytest.approx(np.std(values, ddof=1))
        assert summary["best_val_loss"] == pytest.approx(np.mean([metrics["val_loss"] for metrics in best]))
        assert summary["best_fold"] == 1 + int(np.argmax(values))
        kept = folded.epochs[2 * (summary["best_fold"] - 1) :][:2]
        reached = [metrics["val_accuracy"] for metrics in kept]
        assert summary["best_epoch"] == 1 + int(np.argmax(reached))

    def test_the_model_is_that_of_the_best_fold(self, folded, keras, prepared, in_folds):
        cache, facts = prepared
        model = keras.saving.load_model(folded.folder / "model.keras", compile=False)
        summary = folded.finished.summary
        dataset = open_dataset(cache, facts.digest)
        _, held_out = split_for(cache, facts.digest, dataset, FOLDS, summary["best_fold"])
        predicted = model.predict(held_out.images, verbose=0).argmax(axis=1)
        reached = folded.epochs[2 * (summary["best_fold"] - 1) + summary["best_epoch"] - 1]["val_accuracy"]
        assert (predicted == held_out.labels).mean() == pytest.approx(reached, abs=1e-6)

    def test_every_image_is_predicted_by_the_network_that_did_not_see_it(self, folded, prepared):
        cache, facts = prepared
        dataset = open_dataset(cache, facts.digest)
        of_images = fold_of_images(cache, facts.digest, FOLDS)
        with np.load(folded.folder / "predictions.npz") as kept:
            probabilities, labels = kept["probabilities"], kept["labels"]
        np.testing.assert_array_equal(labels, dataset.train.labels)
        right = probabilities.argmax(axis=1) == labels
        for fold in (1, 2, 3):
            best = max(metrics["val_accuracy"] for metrics in folded.epochs[2 * fold - 2 : 2 * fold])
            assert right[of_images == fold].mean() == pytest.approx(best, abs=1e-6)

    def test_each_begins_with_a_seed_and_weights_of_its_own(self, folded):
        losses = [folded.epochs[2 * fold]["loss"] for fold in range(3)]
        assert len(set(losses)) == 3

    def test_the_same_again_gives_the_same_metrics_one_network_at_a_time(
        self, run, in_folds, folded, monkeypatch
    ):
        made, alive = [], []
        assemble = job.assemble

        def watched(network, *rest):
            alive.append(sum(one() is not None for one in made))
            models = assemble(network, *rest)
            made.extend(weakref.ref(one) for one in (network, *models))
            return models

        monkeypatch.setattr(job, "assemble", watched)
        assert run(in_folds).timeless() == folded.timeless()
        assert (len(made), alive) == (9, [0, 0, 0])

    def test_one_that_ends_early_is_followed_by_the_next(self, run, in_folds):
        # The loss falls, so the highest is the first.
        worse = replace(in_folds, validation=TWO_FOLDS, objective="loss", direction="maximize")
        trial = run(worse, epochs=9, patience=1)
        places = [(event.fold, event.epoch) for event in trial.epoch_ends]
        assert places == [(fold, epoch) for fold in (1, 2) for epoch in (1, 2)]
        lasts = [event.is_last for event in trial.epoch_ends]
        assert lasts == [False, False, False, True]
        assert trial.finished.state == "complete"
        assert trial.finished.summary["best_epoch"] == 1

    def test_pruned_it_ends_at_once_with_what_it_came_to(self, run, in_folds):
        trial = run(in_folds, answers=lambda epoch, fold: (fold, epoch) != (2, 1))
        assert (trial.finished.state, trial.finished.reason) == (
            "pruned",
            "pruned in fold 2, after epoch 1",
        )
        assert len(trial.epochs) == 3
        first = max(metrics["val_accuracy"] for metrics in trial.epochs[:2])
        mean = (first + trial.epochs[2]["val_accuracy"]) / 2
        assert trial.finished.summary["best_val_accuracy"] == pytest.approx(mean)
        assert trial.files == []

    def test_in_the_first_fold_there_is_no_spread_yet(self, run, in_folds):
        trial = run(in_folds, answers=lambda epoch, fold: False)
        assert trial.finished.reason == "pruned in fold 1, after epoch 1"
        assert "best_val_accuracy_std" not in trial.finished.summary


class TestABudgetOfParameters:
    """Of the example's network, which has 1,370 parameters."""

    def test_a_network_over_it_is_never_trained(self, run, config):
        trial = run(replace(config, max_parameters=1369))
        assert [type(event) for event in trial.events] == [Finished]
        assert (trial.finished.state, trial.finished.reason) == (
            "pruned",
            "1,370 parameters, but max_parameters is 1,369",
        )
        assert trial.finished.summary == {"parameters": 1370}
        assert trial.files == []

    def test_one_that_just_fits_trains_as_without_a_budget(self, run, config):
        with_budget, without = run(replace(config, max_parameters=1370)), run(config)
        assert with_budget.timeless() == without.timeless()
        assert with_budget.finished.state == "complete"

    def test_no_weight_of_it_is_ever_made(self, run, config):
        """Thirty gigabytes of them would not go unnoticed."""
        huge = PluginConfig("faulty", {"how": "huge"})
        trial = run(replace(config, architecture=huge, max_parameters=10**6))
        assert trial.finished.reason == "7,500,000,010 parameters, but max_parameters is 1,000,000"

    def test_what_is_impossible_or_raises_says_so_as_ever(self, run, config):
        limited = replace(config, max_parameters=10**6)
        for how, state, reason in (
            ("impossible", "pruned", "impossible parameters: "),
            ("raises", "failed", "The architecture 'faulty' of zoo-faulty 0.3 raised RuntimeError"),
            ("no model", "failed", "The architecture 'faulty' of zoo-faulty 0.3: expected a keras.Model"),
        ):
            trial = run(replace(limited, architecture=PluginConfig("faulty", {"how": how, "units": 3})))
            assert trial.finished.state == state
            assert trial.finished.reason.startswith(reason)

    def test_one_that_can_only_be_counted_when_it_is_built_is_refused_then(self, run, config, monkeypatch):
        monkeypatch.setattr(components, "count_parameters", lambda build: None)
        trial = run(replace(config, max_parameters=1369))
        assert trial.finished.reason == "1,370 parameters, but max_parameters is 1,369"
        assert [type(event) for event in trial.events] == [Finished]


class TestLatency:
    def test_is_measured_where_it_is_asked_for(self, run, config):
        trial = run(replace(config, measures=("latency_ms",)), epochs=1)
        assert 0 < trial.finished.summary["latency_ms"] < 10_000

    def test_is_not_measured_where_it_is_not(self, trial):
        assert "latency_ms" not in trial.finished.summary


class TestAPluginAtFault:
    """What it did wrong, with the name and version of its distribution."""

    def fault(self, run, config, how, **parameters):
        trial = run(replace(config, architecture=PluginConfig("faulty", {"how": how, **parameters})))
        assert [type(event) for event in trial.events] == [Finished]
        assert trial.files == []
        assert "\n" not in trial.finished.reason
        return trial.finished.state, trial.finished.reason

    @pytest.mark.parametrize(
        ("how", "reason"),
        [
            ("raises", " raised RuntimeError: the author divided by zero"),
            ("exits", " raised SystemExit: 3"),
            ("compiled", ": expected an uncompiled model; compiling is the study's part"),
            ("too wide", ": expected an output of shape ('batch', 10), but got ('batch', 11)"),
            ("no model", ": expected a keras.Model, but got dict"),
            ("nan at once", ": its output is NaN before any training"),
        ],
    )
    def test_fails_the_trial(self, run, config, how, reason):
        told = "The architecture 'faulty' of zoo-faulty 0.3"
        assert self.fault(run, config, how) == ("failed", told + reason)

    def test_without_a_softmax_is_asked_for_it(self, run, config):
        state, reason = self.fault(run, config, "no softmax")
        assert state == "failed"
        assert reason.startswith("The architecture 'faulty' of zoo-faulty 0.3: expected class probabilities")
        assert reason.endswith("the last layer may lack its softmax")

    def test_with_a_model_of_other_images_is_named(self, run, config):
        state, reason = self.fault(run, config, "other images")
        assert state == "failed"
        assert reason.startswith("The architecture 'faulty' of zoo-faulty 0.3 raised ValueError: ")
        assert "\x1b" not in reason  # Keras writes in bold

    def test_out_of_memory_says_so(self, run, config):
        assert self.fault(run, config, "out of memory") == ("failed", "out of memory: 9 TB asked for")

    def test_an_impossible_combination_is_pruned(self, run, config):
        assert self.fault(run, config, "impossible", units=3) == (
            "pruned",
            "impossible parameters: 3 units do not fit",
        )

    def test_a_built_in_may_find_a_combination_impossible_too(self, run, config):
        tall = PluginConfig("conv_net", {"filters": (8, 8, 8, 8)})
        trial = run(replace(config, architecture=tall))
        assert trial.finished.state == "pruned"
        assert trial.finished.reason.startswith("impossible parameters: Block 4 of 4 pools by 2×2")

    def test_nothing_to_fine_tune_is_said_before_anything_is_trained(self, run, config):
        trial = run(config, fine_tune_layers=4)
        assert trial.finished.state == "failed"
        assert trial.finished.reason.startswith("fine_tune_layers = 4, but nothing in this network is frozen")
        assert trial.epochs == []

    def test_what_it_printed_stays_in_the_log(self, run, config, capfd):
        """A child's stdout and stderr are its `output.log`."""
        self.fault(run, config, "raises")
        assert "RuntimeError: the author divided" in capfd.readouterr().err


class TestAnAugmentationAtFault:
    @pytest.fixture
    def policies(self, registry, monkeypatch):
        """Three policies that break the contract, of zoo-shaky 0.1."""

        def nothing():
            pass

        def raises():
            raise KeyError("sharpness")

        def too_large():
            from keras import layers

            return [layers.Resizing(99, 99)]

        @hookspecs.hookimpl
        def register_augmentations(register):
            for policy in (nothing, raises, too_large):
                register(policy)

        module = types.SimpleNamespace(register_augmentations=register_augmentations)
        monkeypatch.setattr(registry, "plugins", [*registry.plugins])
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
        registry.add(Plugin("shaky", "zoo-shaky", "0.1"), lambda: module)
        assert registry.problems == []

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("nothing", ": expected a list of Keras layers, but got None"),
            ("raises", " raised KeyError: 'sharpness'"),
            ("too_large", ": expected images of shape (8, 8, 1), but got (99, 99, 1)"),
        ],
    )
    def test_fails_the_trial(self, run, config, policies, name, reason):
        trial = run(replace(config, augmentation=PluginConfig(name)))
        told = f"The augmentation '{name}' of zoo-shaky 0.1"
        assert (trial.finished.state, trial.finished.reason) == ("failed", told + reason)


class TestOtherwise:
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
    def test_any_error_is_one_line(self, run, config, monkeypatch, error, reason):
        def fails(*_, **__):
            raise error

        monkeypatch.setattr(job, "fit", fails)
        trial = run(config)
        assert (trial.finished.state, trial.finished.reason) == ("failed", reason)

    def test_data_that_is_not_in_the_cache_any_more_fails_the_trial(self, run, config):
        trial = run(replace(config, digest="0" * 64))
        assert trial.finished.state == "failed"
        assert "There is no prepared dataset 000000000000" in trial.finished.reason

    def test_a_name_that_is_not_registered_any_more_fails_the_trial(self, run, config):
        trial = run(replace(config, architecture=PluginConfig("convnet")))
        assert trial.finished.reason.endswith("Did you mean 'conv_net'?")

    def test_a_parameter_that_is_not_in_its_space_fails_the_trial(self, run, config):
        trial = run(replace(config, architecture=PluginConfig("conv_net", {"dropout": 0.99})))
        assert trial.finished.state == "failed"
        assert "dropout" in trial.finished.reason
