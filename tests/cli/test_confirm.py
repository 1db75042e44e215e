"""`zoo confirm`: its output; the runs are replaced."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from zoo import tuning
from zoo.cli import common, zoo
from zoo.registry import PluginFile
from zoo.study import Objective
from zoo.tuning import Confirmation, Finalist

OBJECTIVE = Objective("val_accuracy", "maximize")
FINALISTS = [Finalist(5, 0.92, [0.91, 0.95]), Finalist(4, 0.93, [])]


@pytest.fixture
def run(monkeypatch):
    """run(confirmation, "--json") -> the result of the command."""

    def run(confirmation, *arguments):
        monkeypatch.setattr(tuning, "confirm", lambda **options: confirmation)
        return CliRunner().invoke(zoo, ["confirm", "mnist_cnn", *arguments], standalone_mode=False)

    monkeypatch.setattr(common, "start_loading_keras", lambda: None)
    return run


def test_table_names_the_new_order(run):
    done = run(Confirmation("mnist_cnn", OBJECTIVE, FINALISTS, [4, 5], 2))
    assert done.stdout == (
        "trial  mean ± std       range             n  search val_accuracy\n"
        "5      0.9300 ± 0.0283  0.9100 to 0.9500  2  0.9200\n"
        "4      - ± -            -                 0  0.9300\n"
        "the order changed: 5, 4; in the search: 4, 5\n"
    )
    assert "zoo promote mlruns/zoo/mnist_cnn/trials/005   make trial 5 the champion\n" in done.stderr


def test_present_champion_is_not_promoted_again(run):
    done = run(Confirmation("mnist_cnn", OBJECTIVE, FINALISTS, [4, 5], 2, champion=5))
    assert "zoo predict mnist_cnn IMAGE   the classes of images; trial 5 is the champion\n" in done.stderr
    assert "zoo promote" not in done.stderr


def test_next_command_names_plugin_files_of_the_study(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = [PluginFile(tmp_path / "nets" / "my_net.py", b"")]
    done = run(Confirmation("mnist_cnn", OBJECTIVE, FINALISTS, [4, 5], 2, champion=5, plugin_files=files))
    assert "zoo predict mnist_cnn IMAGE --plugin nets/my_net.py " in done.stderr


def test_same_order_is_said(run):
    done = run(Confirmation("mnist_cnn", OBJECTIVE, FINALISTS, [5, 4], 2), "--quiet")
    assert done.stdout.endswith("the order is that of the search: 5, 4\n")
    assert done.stderr == ""


def test_json_has_all_values(run):
    document = json.loads(run(Confirmation("mnist_cnn", OBJECTIVE, FINALISTS, [4, 5], 2), "--json").stdout)
    assert [one["values"] for one in document["finalists"]] == [[0.91, 0.95], []]
    assert [one["std"] for one in document["finalists"]] == [pytest.approx(0.0283, abs=1e-4), None]
    assert document["order_changed"]


def test_interrupted_command_says_how_to_continue(run):
    done = run(Confirmation("mnist_cnn", OBJECTIVE, FINALISTS, [4, 5], 2, interrupted=130))
    assert (done.return_value, done.stdout) == (130, "")
    assert done.stderr.startswith("stopped with 2 of 4 runs done; continue with: zoo")


def test_no_complete_run_is_exit_status_one(run):
    done = run(Confirmation("mnist_cnn", OBJECTIVE, FINALISTS[1:], [4], 2))
    assert done.return_value == 1
    assert "no run was completed" in done.stderr
