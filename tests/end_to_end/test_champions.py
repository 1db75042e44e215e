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


@pytest.fixture(scope="module")
def story(new_zoo):
    """A study of two trials; `zoo confirm` runs twice on both."""
    zoo = new_zoo("champions", tiny=TINY)
    return SimpleNamespace(
        zoo=zoo,
        tuned=zoo("tune", "tiny"),
        first=zoo("confirm", "tiny", "--top", 2, "--seeds", 2, "--jobs", 2),
        again=zoo("confirm", "tiny", "--top", 2, "--seeds", 2, "--json", "--quiet"),
        after=zoo.snapshot("tiny"),
    )


def test_best_trial_is_registered_once(story):
    client = mlflow_client(story.zoo.folder)
    (version,) = client.search_model_versions("name = 'tiny'")
    assert champions(story.zoo, "tiny") == {"champion": version.version}
    lines = story.tuned.stdout.splitlines()
    assert f"model: {version.source}" in lines
    trial = re.search(r"^best: trial (\d),", story.tuned.stdout, re.MULTILINE)[1]
    assert f"champion: tiny/{version.version} (trial {trial})" in lines


def test_card_is_the_description(story):
    description = mlflow_client(story.zoo.folder).get_model_version("tiny", "1").description
    assert description.startswith("# tiny, trial ")
    for text in ("licence: not stated", "test split: 359 images", "95 % confidence interval", "`zoo tune"):
        assert text in description


def test_promote_by_hand_and_back(story):
    first, second = (f"mlruns/zoo/tiny/trials/{number:03d}" for number in (0, 1))
    done = story.zoo("promote", first, "--as", "by_hand", "--quiet")
    assert (done.returncode, done.stdout) == (0, "by_hand/1 is the champion\n"), done.stderr
    done = story.zoo("promote", second, "--as", "by_hand")
    assert done.stdout == "by_hand/2 is the champion; by_hand/1 is the previous one\n"
    assert champions(story.zoo, "by_hand") == {"champion": 2, "previous": 1}
    done = story.zoo("promote", "by_hand@previous")
    assert done.stdout == "by_hand/1 is the champion; by_hand/2 is the previous one\n"
    assert champions(story.zoo, "by_hand") == {"champion": 1, "previous": 2}


def test_unknown_model_is_one_line(story):
    done = story.zoo("promote", "digit_cnn")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"error: .* no study and no registered model named 'digit_cnn'\. .*\n", done.stderr)


class TestConfirm:
    def test_table_has_mean_and_range(self, story):
        assert story.first.returncode == 0, story.first.stderr
        head, *rows, order = story.first.stdout.splitlines()
        assert head.split() == ["trial", "mean", "±", "std", "range", "n", "search", "val_accuracy"]
        for row in rows:
            assert re.fullmatch(r"\d +0\.\d{4} ± 0\.\d{4} +0\.\d{4} to 0\.\d{4} +2 +0\.\d{4}", row)
        assert re.fullmatch(r"the order (changed|is that of the search): .*", order)
        # The best finalist is promoted by hand, unless it is the champion.
        assert re.search(r"next: zoo (promote mlruns/zoo/tiny/trials/00|predict tiny)", story.first.stderr)

    def test_second_call_trains_nothing(self, story):
        assert "trial 0" not in story.again.stderr
        document = json.loads(story.again.stdout)
        assert [len(one["values"]) for one in document["finalists"]] == [2, 2]

    def test_runs_are_tagged_below_the_study(self, story):
        assert sorted(run.info.run_name for run in story.after.standalone) == [
            *("confirm-000-1", "confirm-000-2", "confirm-001-1", "confirm-001-2")
        ]
        assert {run.info.status for run in story.after.standalone} == {"FINISHED"}
        assert {run.data.tags["zoo.confirms"] for run in story.after.standalone} == {"0", "1"}
        seeds = {run.data.params["seed"] for run in (*story.after.standalone, *story.after.children)}
        assert len(seeds) == 6
