"""Folds, several objectives, several architectures and a budget, through the installed command."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from end_to_end_studies import FOLDED, SEVERAL
from end_to_end_tools import epochs, mlflow_client

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folded(gated_zoo):
    """Three folds of two epochs, killed in the second fold of trial 0; then the same command to its end."""
    zoo, gate = gated_zoo("folded", folded=FOLDED)
    command = ("tune", "folded", "--jobs", "1")  # only trial 0 runs when it is killed
    gate.allow_epochs(3)
    with zoo.running(*command) as supervisor:
        supervisor.until(
            lambda: any(event.fold == 2 for event in epochs(zoo.events("folded", 0))), "the second fold"
        )
        supervisor.process.kill()
        supervisor.process.wait()
    gate.open()
    last = zoo(*command)
    return SimpleNamespace(zoo=zoo, last=last, after=zoo.snapshot("folded"))


@pytest.fixture(scope="module")
def several(new_zoo, plugin_site):
    """Two architectures, two policies, three objectives, and a baseline with too many parameters."""
    zoo = new_zoo("several", env={"PYTHONPATH": str(plugin_site)}, several=SEVERAL)
    done = zoo("tune", "several")
    table = zoo("compare", "several", "--json")
    shown = zoo("compare", "several")
    return SimpleNamespace(
        zoo=zoo, done=done, after=zoo.snapshot("several"), table=json.loads(table.stdout), shown=shown.stdout
    )


class TestFolds:
    def test_trial_killed_in_a_fold_is_retried(self, folded):
        assert folded.last.returncode == 0, folded.last.stderr
        assert folded.after.states == ["FAIL", "COMPLETE", "COMPLETE"]
        assert folded.after.reasons[0] == "interrupted: the supervisor was killed"
        killed, *others = [trial.params for trial in folded.after.optuna]
        assert others.count(killed) == 1  # the other one may have been prepared before the kill
        assert re.match(r"best: trial [12], val_accuracy 0\.\d{4}, 0\.\d{4} on the test", folded.last.stdout)

    def test_mlflow_has_every_curve_and_the_mean(self, folded):
        client = mlflow_client(folded.zoo.folder)
        for run in folded.after.children[1:]:
            recorded = epochs(folded.zoo.events("folded", int(run.data.tags["zoo.trial"])))
            assert [(event.fold, event.epoch) for event in recorded] == [
                (fold, epoch) for fold in (1, 2, 3) for epoch in (1, 2)
            ]
            by_epoch = {1: [], 2: []}
            for event in recorded:
                name = f"fold-{event.fold}/val_accuracy"
                points = {
                    p.step: (p.value, p.timestamp) for p in client.get_metric_history(run.info.run_id, name)
                }
                value = event.metrics["val_accuracy"]
                assert points[event.epoch] == (value, round(event.time * 1000))
                by_epoch[event.epoch].append(value)
            mean = {p.step: p.value for p in client.get_metric_history(run.info.run_id, "val_accuracy")}
            assert mean == {epoch: pytest.approx(np.mean(values)) for epoch, values in by_epoch.items()}

    def test_objective_is_the_mean_of_the_folds(self, folded):
        for run, trial in zip(folded.after.children[1:], folded.after.optuna[1:], strict=True):
            recorded = epochs(folded.zoo.events("folded", trial.number))
            values = [event.metrics["val_accuracy"] for event in recorded]
            best = [max(values[2 * fold : 2 * fold + 2]) for fold in range(3)]
            assert trial.value == run.data.metrics["best_val_accuracy"] == pytest.approx(np.mean(best))
            assert run.data.metrics["best_val_accuracy_std"] == pytest.approx(np.std(best, ddof=1))
            assert run.data.tags["zoo.fold"] == str(1 + int(np.argmax(best)))

    def test_optuna_has_a_mean_at_every_step(self, folded):
        for trial in folded.after.optuna[1:]:
            assert sorted(trial.intermediate_values) == [1, 2, 3, 4, 5, 6]
            assert trial.intermediate_values[6] == pytest.approx(trial.value)

    def test_model_and_figures_are_recorded(self, folded):
        client = mlflow_client(folded.zoo.folder)
        for run in folded.after.children[1:]:
            figures = [entry.path for entry in client.list_artifacts(run.info.run_id, "figures")]
            assert figures == [
                "figures/confusion_matrix.png",
                "figures/learning_curves.png",
                "figures/mistakes.png",
                "figures/predictions.png",
            ]
            (output,) = run.outputs.model_outputs
            model = client.get_logged_model(output.model_id)
            assert str(model.status) == "READY"
            assert model.tags["zoo.fold"] == run.data.tags["zoo.fold"]

    def test_every_training_image_is_predicted(self, folded):
        best = int(re.match(r"best: trial (\d)", folded.last.stdout)[1])
        folder = folded.zoo.folder / f"mlruns/zoo/folded/trials/{best:03d}"
        with np.load(folder / "predictions.npz") as kept:
            assert len(kept["labels"]) == len(kept["probabilities"]) > 1000


class TestSeveralObjectives:
    def test_front_is_printed_best_first(self, several):
        assert several.done.returncode == 0, several.done.stderr
        *front, best, model, _, _ = several.done.stdout.splitlines()
        numbers = [int(re.match(r"front: trial (\d+), val_accuracy", line)[1]) for line in front]
        assert set(numbers) == {trial.number for trial in self.study(several).best_trials}
        assert re.match(rf"best: trial {numbers[0]} \(\w+\), val_accuracy ", best)
        assert model.startswith("model: models:/m-")

    def study(self, several):
        import optuna

        storage = f"sqlite:///{several.zoo.folder}/mlruns/optuna.db"
        return optuna.load_study(study_name="several", storage=storage)

    def test_optuna_and_mlflow_agree(self, several):
        assert [one.name for one in self.study(several).directions] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE"]
        for run, trial in zip(several.after.children, several.after.optuna, strict=True):
            shown = {"pruned": "rejected"}.get(state := trial.state.name.lower(), state)
            assert run.data.tags["zoo.state"] == shown  # the too large ones; no trial is pruned
            if trial.values is not None:
                names = ("best_val_accuracy", "parameters", "latency_ms")
                assert trial.values == [run.data.metrics[name] for name in names]
                assert trial.values[2] > 0
            assert trial.intermediate_values == {}

    def test_baseline_with_too_many_parameters_is_not_trained(self, several):
        (event,) = several.zoo.events("several", 0)
        reason = f"{event.summary['parameters']:,} parameters, but max_parameters is 3,000"
        assert (event.state, event.reason) == ("pruned", reason)
        run = several.after.children[0]
        assert (run.data.params["architecture"], run.data.params["augmentation"]) == ("conv_net", "none")
        assert run.data.tags["zoo.reason"] == reason
        assert set(run.data.metrics) == {"parameters"}
        for other, trial in zip(several.after.children, several.after.optuna, strict=True):
            assert (other.data.metrics["parameters"] > 3000) == (trial.state.name == "PRUNED")

    def test_number_of_too_large_networks_is_reported(self, several):
        rejected = several.after.states.count("PRUNED")
        assert rejected >= 1
        assert re.search(
            rf"^{rejected} of 7 trials (was|were) not trained: "
            r"(its network has|their networks have) more than 3,000 parameters \(max_parameters\)$",
            several.done.stderr,
            re.MULTILINE,
        )

    def test_trials_have_parameters_of_their_components_only(self, several):
        architectures, policies = set(), set()
        for run in several.after.children:
            params = run.data.params
            architectures.add(params["architecture"])
            policies.add(params["augmentation"])
            assert ("conv_net.filters" in params) == (params["architecture"] == "conv_net")
            assert ("faulty.units" in params) == (params["architecture"] == "faulty")
            assert ("affine.rotation" in params) == (params["augmentation"] == "affine")
        assert architectures == {"conv_net", "faulty"}
        assert policies == {"none", "affine"}

    def test_front_is_tagged_drawn_and_compared(self, several):
        on_it = {trial.number for trial in self.study(several).best_trials}
        tagged = {int(r.data.tags["zoo.trial"]) for r in several.after.children if "zoo.front" in r.data.tags}
        assert tagged == on_it
        assert [row["trial"] for row in several.table if row["front"]] == [
            row["trial"] for row in several.table[: len(on_it)]
        ]
        assert {row["trial"] for row in several.table if row["front"]} == on_it
        columns = several.shown.splitlines()[0].split()
        assert columns[:4] == ["trial", "state", "front", "best_val_accuracy"]
        assert {"architecture", "augmentation"} <= set(columns[columns.index("latency_ms") :])
        client, (parent,) = mlflow_client(several.zoo.folder), several.after.parents
        figures = [entry.path for entry in client.list_artifacts(parent.info.run_id, "figures")]
        assert {"figures/curves.png", "figures/history.png", "figures/pareto_front.png"} <= set(figures)


MISTAKES = {
    "objective = ['val_accuracy', 'paramters']": "Did you mean 'parameters'?",
    "objective = ['val_loss', 'val_loss']": "'val_loss' occurs twice",
    "objective = { metric = ['loss', 'parameters'], direction = ['minimize'] }": "expected a list of 2",
    "validation = { folds = 1 }": "expected an integer >= 2, got 1",
    "validation = { folds = 5, fraction = 0.1 }": "expected fraction or folds, got both",
    "validation = { fold = 5 }": "Did you mean 'folds'?",
    "objective = ['loss', 'parameters']\nsearch = { pruner = 'median' }": "'median' supports one objective",
    "objective = ['loss', 'parameters']\nsearch = { sampler = 'gp' }": "'gp' supports one objective",
    "search = { max_parameter = 5 }": "Did you mean 'max_parameters'?",
}


class TestMistakes:
    def test_each_is_one_line_with_file_and_line(self, zoo):
        (zoo.folder / "studies").mkdir()
        for number, text in enumerate(MISTAKES):
            study = f'{text}\ndataset = "digits"\narchitecture = "conv_net"\n'
            (zoo.folder / "studies" / f"wrong_{number}.toml").write_text(study)
        done = zoo("check", *(f"wrong_{number}" for number in range(len(MISTAKES))))
        assert done.returncode == 2
        assert len(done.errors) == len(MISTAKES)
        for number, (line, expected) in enumerate(zip(done.errors, MISTAKES.values(), strict=True)):
            assert line.startswith(f"error: studies/wrong_{number}.toml:")
            assert expected in line
        assert sorted(path.name for path in zoo.folder.iterdir()) == ["studies"]

    def test_sampler_and_pruner_options_are_checked_too(self, zoo):
        text = 'objective = ["val_loss", "parameters"]\ndataset = "digits"\narchitecture = "conv_net"\n'
        (zoo.folder / "several.toml").write_text(text)
        done = zoo("tune", "several.toml", "--pruner", "median", "--sampler", "cmaes")
        assert done.returncode == 2
        assert [line.partition("'")[0] for line in done.errors] == ["error: --sampler: ", "error: --pruner: "]

    def test_more_folds_than_images_of_a_class_are_refused(self, zoo):
        arguments = ["--set", "validation.folds=500", "--set", "training.epochs=1"]
        done = zoo("tune", "digits_cnn", *arguments)
        assert done.returncode == 2
        (line,) = done.errors
        assert line.startswith(
            "error: cannot cut 500 folds: expected at least 500 training images of each class, "
        )
        assert not (zoo.folder / "mlflow.db").exists()
