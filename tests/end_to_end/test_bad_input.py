"""Mistakes of users: one line each, exit status 2, no traceback, and nothing is started."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess

import pytest
from end_to_end_studies import TINY

BROKEN_PLUGIN = "import nothing_of_that_name\n"
A_WIDE_NET = """
from zoo import hookimpl

@hookimpl
def register_architectures(register):
    register(wide_net)

def wide_net(input_shape, num_classes):
    "An architecture that two plugins register."
"""


def refused(zoo, *arguments, env=None, **options):
    """Return the one line that names the mistake, without its `error: `."""
    run = zoo.fresh if options else zoo
    done = run(*arguments, env=env, **options)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    # A mistake that needs the data comes after a line about its preparation.
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("preparing the dataset")]
    assert line.startswith("error: ")
    assert not (zoo.folder / "mlflow.db").exists()
    assert not (zoo.folder / "mlruns" / "optuna.db").exists()
    return line.removeprefix("error: ")


def without_roots_rights():
    """Drop root's right to write everywhere; called in the process of `zoo` before it starts."""
    drop_from_bounding_set, override_permissions = 24, 1  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE
    if os.geteuid() == 0 and ctypes.CDLL(None).prctl(drop_from_bounding_set, override_permissions, 0, 0, 0):
        raise PermissionError


@pytest.fixture
def write(zoo):
    """write(text) writes the study file of the study `mine`."""
    (zoo.folder / "studies").mkdir()

    def study(text):
        (zoo.folder / "studies" / "mine.toml").write_text(text)

    return study


class TestCommandLine:
    @pytest.mark.parametrize("number", ["0", "-1"])
    def test_fewer_than_one_trial_is_refused(self, zoo, number):
        line = refused(zoo, "tune", "digits_cnn", "--trials", number)
        assert line == f"--trials: expected an integer >= 1, got {number}"

    @pytest.mark.parametrize(("jobs", "got"), [("0", "0"), ("many", "'many'")])
    def test_wrong_number_of_jobs_is_refused(self, zoo, jobs, got):
        line = refused(zoo, "tune", "digits_cnn", "--jobs", jobs)
        assert line == f"--jobs: expected auto or an integer >= 1, got {got}"

    def test_jobs_beyond_memory_are_refused(self, zoo):
        line = refused(zoo, "tune", "digits_cnn", "--jobs", 100_000)
        assert re.fullmatch(
            r"--jobs 100000: 100000 trials at once need at least 6250 GiB of memory, [\d.]+ GiB are "
            r"available\. Use at most --jobs \d+, or --jobs auto\.",
            line,
        )

    def test_gpu_that_does_not_exist_is_refused(self, zoo):
        line = refused(zoo, "tune", "digits_cnn", env={"CUDA_VISIBLE_DEVICES": "99"})
        assert "but CUDA_VISIBLE_DEVICES=99. Name another GPU, or use -1 for none." in line

    def test_trials_must_be_a_number(self, zoo):
        line = refused(zoo, "tune", "digits_cnn", "--trials", "many")
        assert line.startswith("invalid value for '--trials': 'many' is not a valid integer")

    def test_port_must_be_a_number(self, zoo):
        line = refused(zoo, "serve", "digits_cnn", "--port", "80x")
        assert line.startswith("invalid value for '--port': '80x' is not a valid integer.")

    def test_unknown_study_gets_a_suggestion(self, zoo):
        line = refused(zoo, "tune", "mnist_cn")
        assert line == (
            "there is no study named 'mnist_cn' in ./studies or among the shipped studies. "
            "Did you mean 'mnist_cnn'?"
        )

    def test_unknown_sampler_gets_a_suggestion(self, zoo):
        line = refused(zoo, "tune", "digits_cnn", "--sampler", "gird")
        assert line == "--sampler: there is no sampler \"gird\". Did you mean 'grid'?"

    def test_unknown_parameter_in_set_gets_a_suggestion(self, zoo):
        line = refused(zoo, "tune", "digits_cnn", "--set", "training.epoch=3")
        assert line == "--set training.epoch=3: no such parameter. Did you mean 'epochs'?"


class TestStudyFile:
    @pytest.mark.parametrize(
        ("original", "mistake", "message"),
        [
            (
                "epochs = 2",
                "epoch = 2",
                "[training] epoch: no such parameter. Did you mean 'epochs'?",
            ),
            (
                '"conv_net"',
                '"convnet"',
                "[architecture] name: there is no architecture named 'convnet'. Did you mean 'conv_net'?",
            ),
            ("batch_size = 64", "batch_size = 4096", "[training] batch_size: expected 16 … 1024"),
            (
                'optimizer = "adam"',
                "optimizer = { choices = [] }",
                "[training] optimizer: choices must be a list",
            ),
            ("high = 0.5", "high = 0.9", "[architecture] dropout: expected a range inside 0 … 0.6"),
            ("trials = 2", "trials = 0", "[search] trials: expected an integer >= 1, got 0"),
            (
                'dataset = "digits"',
                'dataset = "didgets"',
                "[dataset] name: there is no dataset named 'didgets'. Did you mean 'digits'?",
            ),
        ],
        ids=["key", "architecture", "value", "choice", "range", "trials", "dataset"],
    )
    def test_mistake_is_reported_with_its_line(self, zoo, write, original, mistake, message):
        assert original in TINY
        text = TINY.replace(original, mistake)
        write(text)
        number = text[: text.index(mistake)].count("\n") + 1
        line = refused(zoo, "tune", "mine")
        place, _, rest = line.partition(": ")
        assert place == f"studies/mine.toml:{number}"
        assert rest.startswith(message)

    def test_toml_error_is_reported_with_its_line(self, zoo, write):
        write(TINY.replace("epochs = 2", "epochs = = 2"))
        line = refused(zoo, "tune", "mine")
        number = TINY[: TINY.index("epochs = 2")].count("\n") + 1
        assert re.match(rf"studies/mine\.toml:{number}: not TOML: \S", line)


class TestData:
    """These mistakes are found in a worker process, while Keras and MLflow are being imported."""

    def test_missing_data_folder_is_refused(self, zoo):
        missing = zoo.folder / "nowhere"
        line = refused(zoo, "tune", "mnist_cnn", env={"ZOO_DATA_DIR": str(missing)})
        assert line.startswith(f"ZOO_DATA_DIR is '{missing}', but this folder cannot be read (No such file")

    def test_damaged_file_is_refused(self, zoo):
        path = zoo.folder / "data" / "mnist.npz"
        path.parent.mkdir()
        path.write_bytes(b"PK\x03\x04 not much of an archive")
        line = refused(zoo, "tune", "mnist_cnn", env={"ZOO_DATA_DIR": str(path.parent)})
        assert line.startswith(f"{path} is not a copy of MNIST, or is damaged (")
        assert line.endswith("Replace the copy, or remove it.")


class TestWorkingFolder:
    def test_read_only_folder_is_refused(self, zoo):
        zoo.folder.chmod(0o555)
        try:
            line = refused(zoo, "tune", "digits_cnn", preexec_fn=without_roots_rights)
        except subprocess.SubprocessError:
            pytest.skip("cannot drop root's right to write everywhere")
        finally:
            zoo.folder.chmod(0o755)
        assert line == (
            f"cannot write to {zoo.folder}/mlruns/zoo/digits_cnn (Permission denied), where zoo keeps its "
            "record or prepared datasets. Run zoo in a folder that you may write to; for the datasets, "
            "you can set ZOO_CACHE_DIR to one."
        )
        assert list(zoo.folder.iterdir()) == []

    def test_file_in_place_of_a_folder_is_refused(self, zoo):
        (zoo.folder / "mlruns").write_text("not a folder")
        line = refused(zoo, "tune", "digits_cnn")
        assert line.startswith(f"cannot write to {zoo.folder}/mlruns/zoo/digits_cnn (Not a directory)")


class TestPlugins:
    @pytest.fixture
    def site(self, tmp_path):
        return tmp_path / "site"

    def install(self, site, name, version, source):
        """Install a distribution with one module, as pip does."""
        module = name.replace("-", "_")
        info = site / f"{module}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[zoo]\n{module} = {module}\n")
        (site / f"{module}.py").write_text(source)

    def test_needed_plugin_that_fails_to_import_is_named(self, zoo, write, site):
        self.install(site, "zoo-broken", "1.2", BROKEN_PLUGIN)
        write(TINY.replace('"conv_net"', '"wide_net"'))
        line = refused(zoo, "tune", "mine", env={"PYTHONPATH": str(site)})
        assert "there is no architecture named 'wide_net'" in line
        assert "of zoo-broken 1.2 could not be loaded: ModuleNotFoundError: No module named" in line

    def test_name_of_two_plugins_is_refused(self, zoo, write, site):
        self.install(site, "zoo-one", "0.6", A_WIDE_NET)
        self.install(site, "zoo-twin", "0.7", A_WIDE_NET)
        write(TINY.replace('"conv_net"', '"wide_net"'))
        line = refused(zoo, "tune", "mine", env={"PYTHONPATH": str(site)})
        assert "the architecture 'wide_net' is registered more than once: by" in line
        assert "zoo-one 0.6" in line
        assert "zoo-twin 0.7" in line


class TestDebug:
    def test_shows_the_traceback(self, zoo):
        done = zoo("tune", "mnist_cn", "--debug")
        assert done.returncode == 2
        assert "Traceback (most recent call last):" in done.stderr
        assert done.errors == [
            "error: there is no study named 'mnist_cn' in ./studies or among the shipped studies. "
            "Did you mean 'mnist_cnn'?"
        ]


@pytest.mark.parametrize("command", ["tune", "train", "compare"])
def test_missing_study_is_refused(zoo, command):
    line = refused(zoo, command)
    assert line.startswith("missing argument STUD")
    assert f"zoo {command} --help" in line


def test_unknown_trial_is_refused(zoo, write):
    write(TINY)
    line = refused(zoo, "train", "mine", "--trial", 7)
    assert line == "there is no trial of 'mine' in mlruns/zoo. Run `zoo tune mine` first."
