"""optuna-dashboard on a study: description, figures as artifacts, and what is refused."""

from __future__ import annotations

import io
import json
from wsgiref.util import setup_testing_defaults

import pytest

from zoo.errors import ZooError
from zoo.record import StudyDirectory
from zoo.tuning import dashboard
from zoo.tuning.dashboard import FigureStore, dashboard_command, name_figures

optuna = pytest.importorskip("optuna")


@pytest.fixture
def recorded(open_search, directory, monkeypatch, tmp_path):
    """A study with a complete trial that has a figure, and with a figure of its own."""
    from test_search import run

    monkeypatch.chdir(tmp_path)
    search = open_search()
    run(search)
    search.describe("maximize val_accuracy: 1 trial")
    for folder in (directory.path / "figures", directory.trial(0).figures_dir):
        folder.mkdir(parents=True)
        (folder / "curves.png").write_bytes(b"\x89PNG of " + folder.parent.name.encode())
    return search


@pytest.fixture
def get(recorded, directory):
    """get("/api/…") -> status and body of a request to the dashboard."""
    optuna_dashboard = pytest.importorskip("optuna_dashboard")
    application = optuna_dashboard.wsgi(recorded._storage, artifact_store=FigureStore(directory))

    def get(path):
        environment = {"PATH_INFO": path}
        setup_testing_defaults(environment)
        answers = []
        body = b"".join(application(environment, lambda status, headers, error=None: answers.append(status)))
        return answers[0], body

    return get


def test_dashboard_shows_description_and_figures(recorded, directory, get):
    study = recorded._study
    name_figures(directory, study)
    status, body = get(f"/api/studies/{study._study_id}")
    found = json.loads(body)
    assert status == "200 OK"
    assert found["note"]["body"] == "maximize val_accuracy: 1 trial"
    assert found["objective_names"] == ["val_accuracy"]
    (own,), (trial,) = found["artifacts"], found["trials"][0]["artifacts"]
    assert own["filename"] == trial["filename"] == "curves.png"
    page = f"/artifacts/{study._study_id}"
    assert get(f"{page}/{own['artifact_id']}") == ("200 OK", b"\x89PNG of example")
    trial_page = f"{page}/{found['trials'][0]['trial_id']}"
    assert get(f"{trial_page}/{trial['artifact_id']}") == ("200 OK", b"\x89PNG of 000")


def test_removed_figures_are_not_offered(recorded, directory, get):
    study = recorded._study
    name_figures(directory, study)
    directory.trial(0).delete_results()
    name_figures(directory, study)
    found = json.loads(get(f"/api/studies/{study._study_id}")[1])
    assert found["trials"][0]["artifacts"] == []
    assert len(found["artifacts"]) == 1


def test_note_of_a_user_stays(recorded, directory):
    optuna_dashboard = pytest.importorskip("optuna_dashboard")
    name_figures(directory, recorded._study)
    recorded.describe("maximize val_accuracy: 2 trials")
    name_figures(directory, recorded._study)
    assert optuna_dashboard.get_note(recorded._study) == "maximize val_accuracy: 2 trials"
    optuna_dashboard.save_note(recorded._study, "mine")
    name_figures(directory, recorded._study)
    assert optuna_dashboard.get_note(recorded._study) == "mine"


def test_figures_can_only_be_read(directory):
    from optuna.artifacts.exceptions import ArtifactNotFound

    store = FigureStore(directory)
    with pytest.raises(ArtifactNotFound):
        store.open_reader("00")
    with pytest.raises(ZooError, match="only be read"):
        store.write("00", io.BytesIO())
    with pytest.raises(ZooError, match="only be read"):
        store.remove("00")


def test_command_hides_the_storage(recorded, storage, monkeypatch):
    monkeypatch.setattr(dashboard.importlib.util, "find_spec", lambda name: object())
    arguments, environment, path = dashboard_command("example", "127.0.0.1", 8080, storage)
    assert arguments[1:] == ["-m", "zoo.tuning.dashboard", "example", "127.0.0.1", "8080"]
    assert storage in environment.values()
    assert path == f"/dashboard/studies/{recorded._study._study_id}"


def test_missing_package_and_study_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dashboard.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ZooError, match=r"pip install 'keras-zoo\[dashboard\]'"):
        dashboard_command("example", "127.0.0.1", 8080)
    monkeypatch.setattr(dashboard.importlib.util, "find_spec", lambda name: object())
    with pytest.raises(ZooError, match="there is no study 'example' here"):
        dashboard_command("example", "127.0.0.1", 8080)
    assert not StudyDirectory(tmp_path, "example").path.exists()


def test_storage_without_the_study_is_named(recorded, tmp_path, monkeypatch):
    monkeypatch.setattr(dashboard.importlib.util, "find_spec", lambda name: object())
    for url in (f"sqlite:///{tmp_path}/none.db", "sqlite:///:memory:"):
        with pytest.raises(ZooError, match=f"the Optuna storage {url} has no study 'example'"):
            dashboard_command("example", "127.0.0.1", 8080, url)
    assert not (tmp_path / "none.db").exists()
