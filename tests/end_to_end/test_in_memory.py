"""A study on arrays: run, resumed with equal content, refused with other content, used from the cache."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from end_to_end_tools import Zoo, mlflow_client, optuna_trials

SCRIPT = """
import json, numpy as np, sklearn.datasets, zoo
from zoo.tuning.display import NoDisplay

digits = sklearn.datasets.load_digits()
quiet, facts = {"display": NoDisplay()}, {}


def data(count=1400):
    x, y = digits.images.copy(), [f"digit {label}" for label in digits.target]
    parts = {"x_test": x[1400:], "y_test": y[1400:]}
    return zoo.Dataset.from_arrays(x[:count], y[:count], **parts, scale=255 / 16, licence="CC BY 4.0")


def tune(dataset, **options):
    overrides = ["training.epochs=1", "validation.fraction=0.3"]
    return zoo.tune("digits_cnn", dataset=dataset, name="mine", overrides=overrides, **options, **quiet)


def error(function, *arguments):
    try:
        function(*arguments)
    except zoo.ZooError as problem:
        return str(problem)


first = tune(data(), trials=1)
facts["first"] = [first.done, first.source, sorted(first.test_metrics)]
facts["again"] = tune(data(), trials=1).done
facts["other"] = error(tune, data(1390))
facts["own"] = zoo.evaluate("mine", **quiet).metrics == first.test_metrics
trained = zoo.train("digits_cnn", name="mine", trial=0, **quiet)
facts["trained"] = [trained.summary["best_val_accuracy"], first.best[1]]
facts["figure"] = zoo.inspect.samples(study="mine", **quiet).path.name
print(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def mine(new_zoo: Callable[..., Zoo]) -> SimpleNamespace:
    zoo = new_zoo("in_memory")
    done = zoo.python(SCRIPT)
    assert done.returncode == 0, done.stderr
    return SimpleNamespace(zoo=zoo, folder=zoo.folder, facts=json.loads(done.stdout.splitlines()[-1]))


def test_study_runs_on_arrays(mine):
    assert mine.facts["first"] == [1, "passed in Python", ["test_accuracy", "test_loss"]]
    config = json.loads((mine.folder / "mlruns/zoo/mine/trials/000/config.json").read_text())
    assert config["dataset"] == {"name": "in memory", "parameters": {}}
    text = (mine.folder / "mlruns/zoo/mine/study.toml").read_text()
    assert "# dataset: in memory, passed in Python in place of the file's\n" in text


def test_equal_content_resumes(mine):
    assert mine.facts["again"] == 1
    assert len(optuna_trials(mine.folder, "mine")) == 1


def test_other_content_is_refused_with_the_differences(mine):
    first, digest, images, *ways = mine.facts["other"].splitlines()
    assert first == "the study 'mine' has trials, and this has changed since they ran:"
    assert digest.strip().startswith('dataset.digest: was "')
    assert images.strip() == "dataset.images: was 1797, is 1787"
    assert ways[-1].strip().startswith("to resume this study: zoo.tune(…, dataset=…) in Python")


def test_recorded_study_is_scored_from_the_cache(mine):
    assert mine.facts["own"]


def test_trial_is_trained_again_from_the_cache(mine):
    again, first = mine.facts["trained"]
    assert again == pytest.approx(first)
    assert mine.facts["figure"] == "samples-in-memory.png"


def test_mlflow_has_the_dataset(mine):
    client = mlflow_client(mine.folder)
    experiment = client.get_experiment_by_name("mine").experiment_id
    (run,) = client.search_runs(experiment, "attributes.run_name = 'trial-000'")
    dataset = run.inputs.dataset_inputs[0].dataset
    tags = json.loads(dataset.source)["tags"]
    assert (dataset.name, tags["source"]) == ("in memory", "passed in Python")
    assert tags["digest"] == run.data.tags["zoo.dataset.digest"]
    assert run.data.params["dataset"] == "in memory"


def test_report_has_the_call_that_runs_it_again(mine):
    report = (mine.folder / "mlruns/zoo/mine/report.html").read_text()
    assert (
        "zoo.tune(&#34;mlruns/zoo/mine/study.toml&#34;, name=&#34;mine&#34;, trials=1, overrides="
        "[&#34;training.epochs=1&#34;, &#34;validation.fraction=0.3&#34;], dataset=dataset)"
    ) in report


def test_command_without_the_prepared_data_says_what_to_do(mine):
    cache = mine.folder / "mlruns/zoo/.cache"
    shutil.move(cache, mine.folder / "moved")
    try:
        done = mine.zoo("evaluate", "mine")
    finally:
        shutil.rmtree(cache, ignore_errors=True)
        shutil.move(mine.folder / "moved", cache)
    assert done.returncode == 2
    assert done.errors == [
        f"error: the trials of 'mine' use a dataset in memory, and its copy {_digest(mine)[:12]} is missing "
        f"or damaged in {cache}. Pass the same data in Python, zoo.tune(…, dataset=…), which restores it."
    ]


def test_command_with_the_file_says_how_to_resume(mine):
    done = mine.zoo("tune", "digits_cnn", "--name", "mine", "--set", "training.epochs=1")
    assert done.returncode == 2
    assert '  dataset.name: was "in memory", is "digits"' in done.stderr
    assert "to resume this study: zoo.tune(…, dataset=…) in Python" in done.stderr


def _digest(mine):
    return json.loads((mine.folder / "mlruns/zoo/mine/trials/000/config.json").read_text())["digest"]
