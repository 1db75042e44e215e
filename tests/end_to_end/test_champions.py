"""The champion of a study that the installed command has tuned, in a real MLflow."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest
from end_to_end_studies import TINY
from end_to_end_tools import mlflow_client


def champions(zoo, name, uri=""):
    """The aliases of a registered model: alias -> version."""
    return dict(mlflow_client(zoo.folder, uri).get_registered_model(name).aliases)


def test_best_trial_is_registered_once(tuned):
    client = mlflow_client(tuned.zoo.folder)
    version = client.get_model_version_by_alias("digits_cnn", "champion")
    model = next(line for line in tuned.more.stdout.splitlines() if line.startswith("model: "))
    line = next(line for line in tuned.more.stdout.splitlines() if line.startswith("champion: "))
    if line.startswith(f"champion: digits_cnn/{version.version} (trial "):
        assert version.source == model.removeprefix("model: ")
    versions = client.search_model_versions("name = 'digits_cnn'")
    assert len({one.source for one in versions}) == len(versions)


def test_card_is_the_description(tuned):
    description = mlflow_client(tuned.zoo.folder).get_model_version("digits_cnn", "1").description
    assert description.startswith("# digits_cnn, trial ")
    for text in ("licence: not stated", "test split: 359 images", "95 % confidence interval", "`zoo tune"):
        assert text in description


def test_promote_by_hand_and_back(tuned):
    trials = {run.data.tags["zoo.trial"]: run for run in tuned.after.children if run.outputs.model_outputs}
    first, second = (f"mlruns/zoo/digits_cnn/trials/{int(number):03d}" for number in list(trials)[:2])
    done = tuned.zoo("promote", first, "--as", "by_hand", "--quiet")
    assert (done.returncode, done.stdout) == (0, "by_hand/1 is the champion\n"), done.stderr
    done = tuned.zoo("promote", second, "--as", "by_hand")
    assert done.stdout == "by_hand/2 is the champion; by_hand/1 is the previous one\n"
    assert champions(tuned.zoo, "by_hand") == {"champion": 2, "previous": 1}
    done = tuned.zoo("promote", "by_hand@previous")
    assert done.stdout == "by_hand/1 is the champion; by_hand/2 is the previous one\n"
    assert champions(tuned.zoo, "by_hand") == {"champion": 1, "previous": 2}


def test_unknown_model_is_one_line(tuned):
    done = tuned.zoo("promote", "digit_cnn")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"error: .* no study and no registered model named 'digit_cnn'\. .*\n", done.stderr)


class TestConfirm:
    @pytest.fixture(scope="class")
    def confirmed(self, new_zoo):
        zoo = new_zoo("confirmed", tiny=TINY)
        assert zoo("tune", "tiny").returncode == 0
        return SimpleNamespace(
            zoo=zoo,
            first=zoo("confirm", "tiny", "--top", 2, "--seeds", 2, "--jobs", 2),
            again=zoo("confirm", "tiny", "--top", 2, "--seeds", 2, "--json", "--quiet"),
            after=zoo.snapshot("tiny"),
        )

    def test_table_has_mean_and_range(self, confirmed):
        assert confirmed.first.returncode == 0, confirmed.first.stderr
        head, *rows, order = confirmed.first.stdout.splitlines()
        assert head.split() == ["trial", "mean", "±", "std", "range", "n", "search", "val_accuracy"]
        for row in rows:
            assert re.fullmatch(r"\d +0\.\d{4} ± 0\.\d{4} +0\.\d{4} to 0\.\d{4} +2 +0\.\d{4}", row)
        assert re.fullmatch(r"the order (changed|is that of the search): .*", order)
        # The best finalist is promoted by hand, unless it is the champion.
        assert re.search(
            r"next: zoo (promote mlruns/zoo/tiny/trials/00|predict tiny)", confirmed.first.stderr
        )

    def test_second_call_trains_nothing(self, confirmed):
        assert "trial 0" not in confirmed.again.stderr
        document = json.loads(confirmed.again.stdout)
        assert [len(one["values"]) for one in document["finalists"]] == [2, 2]

    def test_runs_are_tagged_below_the_study(self, confirmed):
        assert sorted(run.info.run_name for run in confirmed.after.standalone) == [
            *("confirm-000-1", "confirm-000-2", "confirm-001-1", "confirm-001-2")
        ]
        assert {run.info.status for run in confirmed.after.standalone} == {"FINISHED"}
        assert {run.data.tags["zoo.confirms"] for run in confirmed.after.standalone} == {"0", "1"}
        seeds = {run.data.params["seed"] for run in (*confirmed.after.standalone, *confirmed.after.children)}
        assert len(seeds) == 6
