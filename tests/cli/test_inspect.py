"""`zoo inspect`: a path on stdout, the next step on stderr, one line for a mistake."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from zoo.cli import common, inspect_command
from zoo.errors import ZooError


@pytest.fixture
def inspect(recorded_study, monkeypatch, keras_in_process):
    """Run `zoo inspect …` in this process, in the folder of the recorded study."""
    monkeypatch.chdir(recorded_study)
    monkeypatch.setattr("zoo.cli.common.start_loading_keras", lambda: None)

    def run(line):
        return CliRunner().invoke(inspect_command.command, line.split(), catch_exceptions=False)

    return run


FIGURES = "mlruns/zoo/example/trials/001/figures"


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("samples digits", "samples-digits.png"),
        ("samples --study digits_cnn --output a/b.png", "a/b.png"),
        ("samples digits_cnn --output a/c.png", "a/c.png"),
        ("kernels digits --image 5", "kernels-digits-5.png"),
        ("kernels digits_cnn", "kernels-digits-0.png"),
        ("augmentation affine digits_cnn", "augmentation-affine-digits.png"),
        ("augmentation affine digits --set rotation=20 --seed 3", "augmentation-affine-digits.png"),
        ("curves example", "mlruns/zoo/example/figures/curves.png"),
        ("curves example --top 1", "mlruns/zoo/example/figures/curves.png"),
        ("curves --study example --trial 1", f"{FIGURES}/learning_curves.png"),
        ("curves --study example --trial 0 --trial 2", "mlruns/zoo/example/figures/curves-0-2.png"),
        ("confusion example", f"{FIGURES}/confusion_matrix.png"),
        ("mistakes example --trial 1", f"{FIGURES}/mistakes.png"),
        (f"predictions --run {FIGURES.removesuffix('/figures')}", f"{FIGURES}/predictions.png"),
        ("predictions --study example --image 4 --image 1", f"{FIGURES}/predictions-4-1.png"),
        ("features --study example --image 7", f"{FIGURES}/features-7.png"),
        ("filters --study example", f"{FIGURES}/filters.png"),
    ],
)
def test_figure_prints_its_path_and_the_next_command(inspect, line, path):
    run = inspect(line)
    assert run.exit_code == 0
    assert run.stdout == f"{path}\n"
    assert Path(path).read_bytes().startswith(b"\x89PNG")
    last = run.stderr.splitlines()[-1]
    assert last.startswith("next: zoo ")


@pytest.mark.parametrize("line", ["samples digits", "confusion example", "data digits"])
def test_next_command_has_the_plugin_file(inspect, tmp_path, line):
    file = tmp_path / "own_policy.py"
    file.write_text("import zoo\n\n@zoo.augmentation\ndef own_policy():\n    return []\n")
    run = inspect(f"{line} --plugin {file}")
    assert run.exit_code == 0
    assert f" --plugin {os.path.relpath(file)} " in run.stderr.splitlines()[-1]


def test_data_prints_classes_findings_and_path(inspect, tmp_path):
    rows = "0,9,8,7,6\n1,1,2,3,4\n" * 9
    (tmp_path / "signs.csv").write_text(f"label,pixel1,pixel2,pixel3,pixel4\n{rows}1,9,8,7,6\n")
    named = f"csv_images --set train={tmp_path}/signs.csv"
    run = inspect(f"data {named} --output {tmp_path}/d.png --csv {tmp_path}/d.csv")
    lines = run.stdout.splitlines()
    assert lines[0].split() == ["train", "test"]
    assert lines[1].split() == ["0", "7", "2"]
    assert lines[4].split() == ["kind", "set", "split", "image", "name", "label"]
    assert lines[-1] == f"{tmp_path}/d.png"
    assert (
        (tmp_path / "d.csv").read_text().startswith("kind,set,split,image,name,label,probable,probability\n")
    )
    assert f"next: zoo inspect duplicates {named} " in run.stderr


def test_duplicates_are_counted_and_written(inspect, tmp_path):
    rows = "0,9,8,7,6\n1,1,2,3,4\n" * 9
    (tmp_path / "signs.csv").write_text(f"label,pixel1,pixel2,pixel3,pixel4\n{rows}1,9,8,7,6\n")
    named = f"csv_images --set train={tmp_path}/signs.csv"
    run = inspect(f"duplicates {named} --csv {tmp_path}/d.csv")
    assert run.stdout.splitlines()[-1] == "sets: 1 with two labels, 1 in two splits"
    assert len((tmp_path / "d.csv").read_text().splitlines()) == 20
    assert f"next: zoo inspect data {named} " in run.stderr
    with pytest.raises(ZooError, match=r"--csv .*/none/d.csv: cannot be written \(No such"):
        inspect(f"duplicates {named} --csv {tmp_path}/none/d.csv")


def test_dataset_without_duplicates_says_so(inspect):
    assert inspect("duplicates digits").stdout == "no two images have the same pixels\n"


def test_layers_are_printed_as_text(inspect):
    run = inspect("layers --study example")
    lines = run.stdout.splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "parameters"]
    assert lines[-1].startswith("total")
    assert run.stderr.splitlines()[-1].startswith("next: zoo inspect features example --layer NAME")


def test_features_accepts_a_layer_of_the_table(inspect):
    name = inspect("layers --study example").stdout.splitlines()[3].split()[0]
    run = inspect(f"features --study example --layer {name}")
    assert run.stdout == f"{FIGURES}/features-{name}-0.png\n"
    assert "zoo inspect filters example" in run.stderr


def test_next_command_is_about_the_same_run(inspect):
    assert "zoo inspect mistakes example --trial 1 " in inspect("confusion --study example --trial 1").stderr
    folder = FIGURES.removesuffix("/figures")
    assert f"zoo inspect mistakes --run {folder} " in inspect(f"confusion --run {folder}").stderr


def test_next_command_is_about_the_same_dataset(inspect, tmp_path):
    (tmp_path / "signs.csv").write_text("label,pixel1,pixel2,pixel3,pixel4\n" + "0,9,8,7,6\n1,1,2,3,4\n" * 9)
    stderr = inspect(f"samples csv_images --set train={tmp_path}/signs.csv --output {tmp_path}/s.png").stderr
    assert f"augmentation affine csv_images --set dataset.train={tmp_path}/signs.csv " in stderr
    assert "zoo inspect augmentation affine digits_cnn " in inspect("samples --study digits_cnn").stderr


def test_next_command_keeps_only_settings_of_the_dataset(inspect, tmp_path):
    options = f"--set training.epochs=3 --output {tmp_path}/s.png"
    stderr = inspect(f"samples --study digits_cnn {options}").stderr
    assert "zoo inspect augmentation affine digits_cnn   " in stderr


def test_folder_with_a_space_is_quoted():
    assert common.run_arguments(None, None, "my runs/1") == "--run 'my runs/1'"


def test_policy_defaults_to_the_studys_own(inspect, tmp_path):
    study = tmp_path / "mine.toml"
    text = 'dataset = "digits"\narchitecture = "conv_net"\n[augmentation]\n'
    study.write_text(text + 'name = { choices = ["none", "flips", "affine"] }\n')
    run = inspect(f"augmentation {study} --output {tmp_path}/a.png")
    assert run.stdout == f"{tmp_path}/a.png\n"
    assert "next: zoo show flips " in run.stderr
    study.write_text(text + 'name = "none"\n')
    with pytest.raises(ZooError, match="no augmentation; name a policy: `zoo inspect augmentation affine /"):
        inspect(f"augmentation --study {study}")


def test_path_outside_the_working_folder_is_absolute(inspect, tmp_path):
    assert inspect(f"samples digits --output {tmp_path}/s.png").stdout == f"{tmp_path}/s.png\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            "inspect sampels digits",
            "error: there is no command 'zoo inspect sampels'. Did you mean 'samples'?",
        ),
        (
            "inspect curves --study example",
            "error: there is no trial of 'example' in mlruns/zoo. Run `zoo tune example`",
        ),
        ("inspect samples digits --image 3", "error: no such option '--image'"),
        ("inspect augmentation", "error: missing arguments: name a policy and a dataset, or a study."),
        (
            "inspect filters",
            "error: missing argument STUDY or --run FOLDER. No study is recorded; ",
        ),
    ],
)
def test_mistake_is_one_line_and_status_2(zoo_command, arguments, line):
    run = zoo_command(*arguments.split())
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.splitlines()[-1].startswith(line)
    assert len(run.stderr.splitlines()) == 1


def test_help_lists_every_figure(zoo_command):
    help_text = zoo_command("inspect", "--help").stdout
    for name in inspect_command.command.commands:
        assert f"  {name}" in help_text
    bare = zoo_command("inspect")
    assert (bare.returncode, bare.stdout, bare.stderr) == (0, help_text, "")


def test_installed_command_prints_only_the_path(zoo_command, recorded_study, tmp_path):
    """Keras runs in a worker process; its messages reach neither stdout nor stderr."""
    run = zoo_command(
        "inspect", "filters", "--study", "example", "--output", tmp_path / "f.png", folder=recorded_study
    )
    assert (run.returncode, run.stdout) == (0, f"{tmp_path}/f.png\n")
    warning, *others = run.stderr.splitlines()
    assert warning.startswith("warning: trial 3 has no final state in ")
    assert others == [
        "loading the model …",
        "next: zoo inspect features example   the feature maps of an image",
    ]
