"""Recording on a tracking server, `zoo ui`, other backends, and `zoo.tune` in a script."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from end_to_end_studies import TINY
from end_to_end_tools import epochs, mlflow_client, read_url, snapshot, until

from zoo.tracking import free_port, ui_environment

# As in a notebook, without `if __name__ == "__main__"`, which worker processes must not need.
NOTEBOOK = """
import zoo

result = zoo.tune("tiny", jobs=2)
print("best", result.best, result.done, result.total, result.interrupted)
print("table", list(result.trials["trial"].sort_values()), zoo.compare("tiny")["state"].tolist())
print("model", result.model_uri, sorted(result.test_metrics))
"""


@pytest.fixture(scope="module")
def server(new_zoo):
    """The address of a running `mlflow server`."""
    folder = new_zoo("server").folder
    port = free_port(wanted=0)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--workers", "1"]
    files = ["--artifacts-destination", str(folder / "files")]
    log = (folder / "server.log").open("wb")
    environment = ui_environment(f"sqlite:///{folder}/mlflow.db")  # without the job runner's nine processes
    options = {"cwd": folder, "env": environment, "start_new_session": True}
    process = subprocess.Popen([*command, *store, *files], stdout=log, stderr=log, **options)
    address = f"http://127.0.0.1:{port}"
    try:
        until(
            lambda: process.poll() is not None or read_url(f"{address}/health") == "OK", what="mlflow server"
        )
        assert process.poll() is None, (folder / "server.log").read_text()
        yield address
    finally:
        process.terminate()
        process.wait(timeout=240)
        log.close()


@pytest.fixture(scope="module")
def on_the_server(new_zoo, server):
    """A study of two trials, tuned by a script and recorded on the server."""
    zoo = new_zoo("script", database=False, tiny=TINY)
    script = zoo.folder / "notebook.py"
    script.write_text(NOTEBOOK)
    python = replace(zoo, script=sys.executable)
    done = python(script, env={"MLFLOW_TRACKING_URI": server})
    assert done.returncode == 0, done.stderr
    return zoo, done, snapshot(zoo.folder, "tiny", server)


class TestTrackingServer:
    def test_has_the_study_and_its_trials(self, on_the_server, server):
        zoo, _, after = on_the_server
        assert after.states == ["COMPLETE", "COMPLETE"]
        assert after.statuses == ["FINISHED", "FINISHED"]
        assert [run.info.status for run in after.parents] == ["FINISHED"]
        client = mlflow_client(zoo.folder, server)
        for number, run in enumerate(after.children):
            history = client.get_metric_history(run.info.run_id, "val_loss")
            recorded = epochs(zoo.events("tiny", number))
            assert sorted((point.step, point.value) for point in history) == [
                (event.epoch, event.metrics["val_loss"]) for event in recorded
            ]

    def test_has_files_and_models_of_trials(self, on_the_server, server, tmp_path):
        zoo, _, after = on_the_server
        client = mlflow_client(zoo.folder, server)
        for run in after.children:
            files = {entry.path for entry in client.list_artifacts(run.info.run_id)}
            assert {"config.json", "summary.txt", "figures"} <= files
            (output,) = run.outputs.model_outputs
            assert str(client.get_logged_model(output.model_id).status) == "READY"
            path = client.download_artifacts(run.info.run_id, "config.json", str(tmp_path))
            with open(path, encoding="utf-8") as file:  # noqa: PTH123
                assert json.load(file)["architecture"]["name"] == "conv_net"

    def test_best_trial_is_the_champion(self, on_the_server, server):
        zoo, done, _ = on_the_server
        champion = mlflow_client(zoo.folder, server).get_model_version_by_alias("tiny", "champion")
        assert champion.source in done.stdout
        assert champion.description.startswith("# tiny, trial ")

    def test_leaves_nothing_of_mlflow_in_the_folder(self, on_the_server):
        zoo, _, _ = on_the_server
        assert sorted(path.name for path in zoo.folder.iterdir()) == ["mlruns", "notebook.py", "studies"]
        assert sorted(path.name for path in (zoo.folder / "mlruns").iterdir()) == ["optuna.db", "zoo"]


class TestFromPython:
    def test_script_gets_results_and_tables(self, on_the_server):
        _, done, after = on_the_server
        best, table, model = done.stdout.splitlines()
        number, value = re.match(r"best \((\d), (0\.\d+)\) 2 2 None", best).groups()
        assert after.optuna[int(number)].value == float(value)
        assert table == "table [0, 1] ['complete', 'complete']"
        assert re.fullmatch(r"model models:/m-[0-9a-f]+ \['test_accuracy', 'test_loss'\]", model)

    def test_trials_do_not_import_the_script(self, on_the_server):
        zoo, done, _ = on_the_server
        assert done.stdout.count("best ") == 1
        logs = zoo.folder.glob("mlruns/zoo/tiny/trials/*/output.log")
        assert all("best " not in path.read_text() for path in logs)


class TestUi:
    def test_prints_the_address_of_a_tracking_server(self, zoo, server):
        done = zoo("ui", env={"MLFLOW_TRACKING_URI": server})
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{server}\n", "")

    @pytest.mark.parametrize(
        ("option", "value", "message"),
        [
            ("--port", "70000", "invalid value for '--port'"),
            ("--host", "no.such.host.invalid", "zoo cannot listen on no.such.host.invalid"),
        ],
    )
    def test_refuses_an_address_it_cannot_use(self, zoo, option, value, message):
        done = zoo("ui", option, value)
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"error: {message}")


class TestOtherBackends:
    @pytest.mark.parametrize("backend", ["jax", "torch"])
    def test_backend_tunes_the_same_study(self, new_zoo, backend):
        if importlib.util.find_spec(backend) is None:
            pytest.skip(f"{backend} is not installed")
        zoo = new_zoo(backend, env={"KERAS_BACKEND": backend}, tiny=TINY)
        done = zoo("tune", "tiny", "--trials", 1)
        assert done.returncode == 0, done.stderr
        (run,) = zoo.snapshot("tiny").children
        assert (run.data.tags["zoo.state"], run.data.tags["zoo.backend"]) == ("complete", backend)
        assert "on the test split" in done.stdout
