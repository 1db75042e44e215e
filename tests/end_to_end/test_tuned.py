"""The shipped study `digits_cnn`: its output, and its record in MLflow, Optuna and the folder."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import signal
import urllib.request

import pytest
from end_to_end_tools import (
    epochs,
    final_event,
    mlflow_client,
    optuna_trials,
    read_events,
    read_url,
    until,
)
from shared_tools import run_python

from zoo.tracking import free_port

CURVES = {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "epoch_seconds"}
SUMMARY = {"best_val_accuracy", "best_epoch", "parameters", "train_seconds"}

# Runs in a process that cannot import zoo.
LOAD_AND_SCORE = """
import json, sys
sys.modules["zoo"] = None  # importing it would raise an ImportError
uri, model, cache = sys.argv[1:]

import mlflow
import numpy as np

mlflow.set_tracking_uri(uri)
images, labels = np.load(cache + "/test-images.npy"), np.load(cache + "/test-labels.npy")
loaded = mlflow.keras.load_model(model)
probabilities = loaded.predict(images, verbose=0)
accuracy = float((probabilities.argmax(axis=1) == labels).mean())
imported = [name for name in sys.modules if name.partition(".")[0] == "zoo" and sys.modules[name] is not None]
print(json.dumps({"accuracy": accuracy, "dtype": str(images.dtype), "highest": int(images.max()),
                  "input_shape": loaded.input_shape, "zoo": imported}))
"""


@pytest.fixture(scope="module")
def client(tuned):
    return mlflow_client(tuned.zoo.folder)


@pytest.fixture(scope="module")
def complete(tuned):
    return [run for run in tuned.after.children if run.data.tags["zoo.state"] == "complete"]


def trial_folder(tuned, number):
    return tuned.zoo.folder / "mlruns" / "zoo" / tuned.study / "trials" / f"{number:03d}"


def artifacts(client, run):
    """The paths of every file of a run."""

    def below(folder):
        for entry in client.list_artifacts(run.info.run_id, folder):
            yield from below(entry.path) if entry.is_dir else [entry.path]

    return sorted(below(None))


def number_of(run):
    return int(run.data.tags["zoo.trial"])


class TestOutput:
    def test_only_results_are_on_stdout(self, tuned):
        assert tuned.first.returncode == 0, tuned.first.stderr
        best, model, champion, report = tuned.first.stdout.splitlines()
        assert re.fullmatch(r"best: trial \d, val_accuracy 0\.\d{4}, 0\.\d{4} on the test split", best)
        assert re.fullmatch(r"model: models:/m-[0-9a-f]+", model)
        assert re.fullmatch(r"champion: digits_cnn/1 \(trial \d\)", champion)
        assert report == "report: mlruns/zoo/digits_cnn/report.html"

    def test_progress_in_a_pipe_is_plain_lines(self, tuned):
        assert not re.search(r"[\x00-\x09\x0b-\x1f]", tuned.first.stderr)
        lines = tuned.first.stderr.splitlines()
        assert "study digits_cnn: 3 trials, maximize val_accuracy" in lines
        ended = [line for line in lines if re.match(r"trial \d  (complete|pruned)", line)]
        assert len(ended) == 3
        assert sorted(re.search(r"\[(\d)/3\]", line)[1] for line in ended) == ["1", "2", "3"]

    def test_libraries_print_nothing(self, tuned):
        ours = r"preparing|computing|study |trial \d|scoring|writing|finishing|comparing|next:"
        ours += "|      zoo (ui|predict|serve) "
        assert [line for line in tuned.first.stderr.splitlines() if not re.match(ours, line)] == []

    def test_live_display_leaves_the_terminal_as_before(self, tuned):
        assert tuned.more.returncode == 0, tuned.more.stderr
        assert tuned.more.stdout.count("\n") == 4
        drawn = tuned.more.stderr
        assert drawn.count("\x1b[?25l") == drawn.count("\x1b[?25h") >= 1
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn)
        assert "study digits_cnn: 4 trials, 3 of them done, maximize val_accuracy" in text
        assert re.search(r"trial +3  (complete|pruned)", text)
        assert "epoch 1/3" in text


class TestResume:
    def test_finished_study_prints_the_same_and_adds_nothing(self, tuned):
        assert tuned.again.returncode == 0, tuned.again.stderr
        assert tuned.again.stdout == tuned.first.stdout
        assert "3 trials, maximize val_accuracy; all done, add trials with --trials N" in tuned.again.stderr
        assert not re.search(r"trial \d", tuned.again.stderr)
        assert tuned.trials_after_again == ["000", "001", "002"]

    def test_unchanged_study_is_not_drawn_again(self, tuned):
        report = tuned.zoo.folder / "mlruns/zoo/digits_cnn/report.html"
        command = ("tune", "--study", "digits_cnn", "--set", "training.epochs=3", "--trials", 4)
        drawn = tuned.zoo(*command)  # `zoo train` has added a run since
        written = report.stat().st_mtime_ns
        unchanged = tuned.zoo(*command)
        assert (unchanged.returncode, unchanged.stdout) == (0, drawn.stdout)
        for step in ("loading Keras", "writing the report", "scoring"):
            assert step not in unchanged.stderr
        assert report.stat().st_mtime_ns == written
        report.unlink()
        assert "writing the report" in tuned.zoo(*command).stderr
        assert report.exists()

    def test_more_trials_are_added(self, tuned):
        assert len(tuned.after.optuna) == 4
        assert [number_of(run) for run in tuned.after.children] == [0, 1, 2, 3]

    def test_only_best_trials_are_scored(self, tuned):
        printed = int(re.search(r"best: trial (\d)", tuned.more.stdout)[1])
        scored = [number_of(run) for run in tuned.after.children if "test_accuracy" in run.data.metrics]
        assert printed in scored
        first = int(re.search(r"best: trial (\d)", tuned.first.stdout)[1])
        assert set(scored) == {first, printed}
        assert tuned.after.parents[0].data.tags["zoo.best_trial"] == str(printed)


class TestMlflow:
    def test_has_final_states_of_parent_and_children(self, tuned):
        (parent,) = tuned.after.parents
        assert (parent.info.status, parent.info.run_name) == ("FINISHED", "digits_cnn")
        for number, run in enumerate(tuned.after.children):
            tags = run.data.tags
            assert tags["mlflow.parentRunId"] == parent.info.run_id
            assert run.info.run_name == f"trial-{number:03d}"
            expected = {"complete": "FINISHED", "pruned": "KILLED"}[tags["zoo.state"]]
            assert run.info.status == expected

    def test_agrees_with_optuna(self, tuned):
        states = [run.data.tags["zoo.state"] for run in tuned.after.children]
        assert [state.lower() for state in tuned.after.states] == states
        for run, trial in zip(tuned.after.children, tuned.after.optuna, strict=True):
            if trial.value is not None:
                assert run.data.metrics["best_val_accuracy"] == trial.value

    def test_has_one_point_per_epoch_in_each_curve(self, tuned, client):
        for run in tuned.after.children:
            recorded = epochs(read_events(trial_folder(tuned, number_of(run))))
            assert recorded
            for name in CURVES:
                history = client.get_metric_history(run.info.run_id, name)
                points = [(point.step, point.value, point.timestamp) for point in history]
                assert sorted(points) == [
                    (event.epoch, event.metrics[name], round(event.time * 1000)) for event in recorded
                ]
                assert min(points)[0] == 1

    def test_has_the_summary_of_complete_trials(self, tuned, complete):
        for run in complete:
            assert run.data.metrics.keys() >= CURVES | SUMMARY
            events = read_events(trial_folder(tuned, number_of(run)))
            finished = final_event(events)
            assert {name: run.data.metrics[name] for name in SUMMARY} == finished.summary

    def test_has_every_parameter_under_one_name(self, tuned):
        names = set()
        for run in tuned.after.children:
            given = {name for name in run.data.params if not name.rpartition(".")[2].isdigit()}  # list items
            assert ("training.momentum" in given) == (run.data.params["training.optimizer"] == "sgd")
            names.add(frozenset(given - {"training.momentum"}))
        assert len(names) == 1
        params = tuned.after.children[0].data.params
        assert params["dataset"] == "digits"
        assert params["architecture"] == "conv_net"
        assert params["augmentation"] == "none"
        assert json.loads(params["conv_net.filters"]) == [32, 32]
        assert params["training.optimizer"] == "adam"
        assert params["training.epochs"] == "3"
        assert float(params["training.learning_rate"]) == 1e-3

    def test_has_the_exact_configuration(self, tuned, client, tmp_path):
        from zoo.trial import TrialConfig

        for run in tuned.after.children:
            path = client.download_artifacts(run.info.run_id, "config.json", str(tmp_path))
            with open(path, encoding="utf-8") as file:  # noqa: PTH123
                document = json.load(file)
            kept = json.loads((trial_folder(tuned, number_of(run)) / "config.json").read_text())
            assert document == kept
            assert document.pop("zoo.check")
            assert document == TrialConfig.from_json(document).as_json()
            for name, value in document["architecture"]["parameters"].items():
                text = run.data.params[f"conv_net.{name}"]
                assert text == (value if isinstance(value, str) else json.dumps(value))

    def test_has_tags_of_dataset_plugins_and_command(self, tuned):
        import zoo

        (parent,) = tuned.after.parents
        digest = {run.data.tags["zoo.dataset.digest"] for run in (parent, *tuned.after.children)}
        assert len(digest) == 1
        assert re.fullmatch("[0-9a-f]{64}", digest.pop())
        assert parent.data.tags["zoo.kind"] == "study"
        for run in tuned.after.children:
            tags = run.data.tags
            assert tags["zoo.kind"] == "trial"
            assert tags["zoo.state"] in ("complete", "pruned")
            assert tags["zoo.plugin.keras-zoo"] == zoo.__version__
            assert tags["zoo.device"] == "cpu"
            assert tags["zoo.dataset.source"] == "scikit-learn's digits"
            assert tags["mlflow.source.name"].startswith("zoo tune --study digits_cnn")

    def test_has_figures_and_files_of_complete_trials(self, client, complete):
        for run in complete:
            files = artifacts(client, run)
            figures = [path for path in files if path.startswith("figures/")]
            assert len(figures) >= 3
            assert all(path.endswith(".png") for path in figures)
            assert {"config.json", "summary.txt"} <= set(files)
            assert "predictions.npz" not in files

    def test_has_definition_manifest_and_report_of_the_study(self, tuned, client):
        files = artifacts(client, tuned.after.parents[0])
        assert {"study.toml", "manifest.json", "report.html"} <= set(files)

    def test_has_the_dataset_as_input_with_digest(self, tuned):
        for run in tuned.after.children:
            (given,) = run.inputs.dataset_inputs
            assert given.dataset.name == "digits"
            assert run.data.tags["zoo.dataset.digest"].startswith(given.dataset.digest)

    def test_has_models_of_complete_trials_at_best_epoch(self, client, complete):
        for run in complete:
            (output,) = run.outputs.model_outputs
            model = client.get_logged_model(output.model_id)
            assert str(model.status) == "READY"
            assert output.step == run.data.metrics["best_epoch"]
            linked = {metric.key: metric for metric in model.metrics}
            assert linked["val_accuracy"].value == run.data.metrics["best_val_accuracy"]
            assert linked["val_accuracy"].step == run.data.metrics["best_epoch"]
            assert model.params["conv_net.filters"] == run.data.params["conv_net.filters"]

    def test_has_no_model_of_a_pruned_trial(self, tuned):
        for run in tuned.after.children:
            if run.data.tags["zoo.state"] == "pruned":
                assert not run.outputs or not run.outputs.model_outputs


def test_best_model_scores_the_same_without_zoo(tuned):
    """The script loads it with `mlflow.keras.load_model` and scores it on the raw test images."""
    zoo = tuned.zoo
    digest = tuned.after.parents[0].data.tags["zoo.dataset.digest"]
    best, model, *_ = tuned.more.stdout.splitlines()
    uri, address = f"sqlite:///{zoo.folder}/mlflow.db", model.removeprefix("model: ")
    command = ("-I", "-c", LOAD_AND_SCORE, uri, address, zoo.folder / "mlruns/zoo/.cache" / digest)
    environment = {**zoo.environment, "TF_CPP_MIN_LOG_LEVEL": "3"}
    found = json.loads(run_python(*command, cwd=zoo.folder, env=environment).stdout)
    assert f"{found['accuracy']:.4f} on the test split" in best
    assert (found["dtype"], found["highest"], found["input_shape"]) == ("uint8", 255, [None, 8, 8, 1])
    assert found["zoo"] == []
    best_run = next(run for run in tuned.after.children if str(number_of(run)) in best.split(",")[0])
    assert best_run.data.metrics["test_accuracy"] == found["accuracy"]


class TestCompare:
    @pytest.fixture(scope="class")
    @staticmethod
    def everything(tuned):
        done = tuned.zoo("compare", tuned.study, "--csv")
        assert done.returncode == 0
        assert re.fullmatch(r"splits: train 1,150 images .*, test 359 .*\n", done.stderr)
        return list(csv.DictReader(io.StringIO(done.stdout)))

    def test_csv_has_every_trial_best_first(self, tuned, everything):
        assert sorted(row["trial"] for row in everything) == ["0", "1", "2", "3"]
        complete = [float(row["best_val_accuracy"]) for row in everything if row["state"] == "complete"]
        assert complete == sorted(complete, reverse=True)
        assert everything[0]["model"] == tuned.more.stdout.splitlines()[1].removeprefix("model: ")
        assert {row["conv_net.padding"] for row in everything} == {"same"}

    def test_json_has_the_same_rows(self, tuned, everything):
        done = tuned.zoo("compare", tuned.study, "--json")
        assert done.returncode == 0
        rows = json.loads(done.stdout)
        assert [row["run_id"] for row in rows] == [row["run_id"] for row in everything]
        assert [row["trial"] for row in rows] == [int(row["trial"]) for row in everything]

    def test_table_shows_only_parameters_that_differ(self, tuned, everything):
        done = tuned.zoo("compare", tuned.study, "--top", 2)
        assert done.returncode == 0
        head, *rows = [line for line in done.stdout.splitlines() if not line.startswith("(not shown")]
        assert head.split()[:4] == ["trial", "state", "best_val_accuracy", "best_epoch"]
        assert [row.split()[0] for row in rows] == [row["trial"] for row in everything[:2]]
        assert "conv_net.padding" not in head
        assert all(len(line) <= 200 for line in rows)


class TestTrainAgain:
    def test_reproduces_the_metrics_of_the_trial_exactly(self, tuned):
        """The trial ran alone on the machine, as `zoo train` does."""
        assert tuned.trained.returncode == 0, tuned.trained.stderr
        (folder,) = (tuned.zoo.folder / "mlruns" / "zoo" / tuned.study / "standalone").iterdir()
        again, once = (
            [{**event.metrics, "epoch_seconds": 0} for event in epochs(read_events(path))]
            for path in (folder, trial_folder(tuned, 3))
        )
        assert again[: len(once)] == once  # the trial may have been pruned

    def test_prints_result_and_path_of_the_model(self, tuned):
        result, model = tuned.trained.stdout.splitlines()
        assert re.fullmatch(r"val_accuracy 0\.\d{4} in epoch \d of 3", result)
        assert (tuned.zoo.folder / model.removeprefix("model: ")).is_file()

    def test_is_a_separate_run_and_leaves_the_study(self, tuned):
        now = tuned.zoo.snapshot(tuned.study)
        (run,) = now.standalone
        assert (run.info.run_name, run.info.status) == ("standalone-003", "FINISHED")
        assert "mlflow.parentRunId" not in run.data.tags
        assert run.data.params == now.children[3].data.params
        assert [one.info.run_id for one in now.children] == [one.info.run_id for one in tuned.after.children]
        assert now.states == tuned.after.states


class TestEvaluate:
    def test_best_trial_has_the_score_of_the_search(self, tuned):
        done = tuned.zoo("evaluate", tuned.study, "--json")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        number, score = re.search(
            r"best: trial (\d), .*, (0\.\d{4}) on the test split", tuned.more.stdout
        ).groups()
        assert found["run"] == f"trial {number}"
        assert f"{found['test_accuracy']:.4f}" == score
        assert sum(one["images"] for one in found["classes"]) == found["images"] > 300
        right = sum(one["images"] * one["recall"] for one in found["classes"])
        assert right == pytest.approx(found["test_accuracy"] * found["images"])

    def test_score_of_a_standalone_run_is_recorded(self, tuned):
        (folder,) = (tuned.zoo.folder / "mlruns" / "zoo" / tuned.study / "standalone").iterdir()
        done = tuned.zoo("evaluate", "--run", folder)
        assert done.returncode == 0, done.stderr
        accuracy = re.search(r"^test_accuracy (0\.\d{4})$", done.stdout, re.MULTILINE)[1]
        (run,) = tuned.zoo.snapshot(tuned.study).standalone
        assert f"{run.data.metrics['test_accuracy']:.4f}" == accuracy
        assert "warning" not in done.stderr


class TestUi:
    def test_serves_the_record_until_sigterm(self, tuned):
        port = free_port(wanted=0)
        with tuned.zoo.running("ui", "--port", port) as ui:
            address = f"http://127.0.0.1:{port}"
            until(lambda: ui.process.poll() is not None or ui.stdout(), what="zoo ui")
            assert ui.stdout().startswith(f"{address}/#/experiments/")  # of the only study
            assert "<html" in read_url(address)  # the address is printed when the server is ready
            found = urllib.request.Request(
                f"{address}/api/2.0/mlflow/experiments/search",
                data=b'{"max_results": 10}',
                headers={"Content-Type": "application/json"},
            )
            assert '"digits_cnn"' in read_url(found)
            family = ui.family()
            ui.signal(signal.SIGTERM)
            assert ui.done().returncode in (0, -signal.SIGTERM)
            until(lambda: not any(process.is_running() for process in family), what="the server's end")


def test_changed_study_is_refused_with_every_difference(tuned, zoo):
    (zoo.folder / "mlruns").mkdir()
    for path in (tuned.zoo.folder / "mlruns").glob("optuna.db*"):
        shutil.copy(path, zoo.folder / "mlruns")
    changes = ["--set", "training.epochs=5", "--set", "search.seed=1"]
    before = optuna_trials(zoo.folder, "digits_cnn")
    done = zoo("tune", "digits_cnn", *changes, "--trials", 9, "--quiet")
    assert (done.returncode, done.stdout) == (2, "")
    first, *rest = done.stderr.splitlines()
    assert first == "error: the study 'digits_cnn' has trials, and this has changed since they ran:"
    assert rest == [
        '  space.training.epochs: was {"value": 3}, is {"value": 5}',
        "  seed: was 0, is 1",
        "  to start a new study: the same command with --name digits_cnn-2",
        "  to resume this study: undo the change",
    ]
    assert len(optuna_trials(zoo.folder, "digits_cnn")) == len(before)


def test_only_the_best_trial_keeps_a_local_model(tuned):
    """MLflow has the models of all trials, so local copies would only fill the disk."""
    kept = sorted(path.parent.name for path in tuned.zoo.folder.glob("mlruns/zoo/*/trials/*/model.keras"))
    scored = [f"{number_of(run):03d}" for run in tuned.after.children if "test_accuracy" in run.data.metrics]
    assert set(kept) <= set(scored)
    assert not list(tuned.zoo.folder.glob("mlruns/zoo/*/trials/*/predictions.npz")) or len(kept) <= 2


def test_nothing_else_is_written_to_the_folder(tuned):
    assert sorted(path.name for path in tuned.zoo.folder.iterdir()) == ["mlflow.db", "mlruns", "studies"]
