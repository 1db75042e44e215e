"""`zoo inspect`: one path on stdout, the next step on stderr, mistakes in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from zoo.cli import inspect_command
from zoo.errors import ZooError


@pytest.fixture
def inspect(recorded_study, monkeypatch, keras_in_process):
    """Run `zoo inspect …` in this process, in the folder of the recorded study."""
    monkeypatch.chdir(recorded_study)
    monkeypatch.setattr("zoo.cli.common.begin_loading_keras", lambda: None)

    def run(line):
        return CliRunner().invoke(inspect_command.command, line.split(), catch_exceptions=False)

    return run


FIGURES = "mlruns/zoo/example/trials/001/figures"


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("samples digits", "samples-digits.png"),
        ("samples --study digits_cnn --output a/b.png", "a/b.png"),
        ("kernels digits --image 5", "kernels-digits-5.png"),
        ("augmentation affine digits --set rotation=20 --seed 3", "augmentation-affine-digits.png"),
        ("curves --study example", "mlruns/zoo/example/figures/curves.png"),
        ("curves --study example --top 1", "mlruns/zoo/example/figures/curves.png"),
        ("curves --study example --trial 1", f"{FIGURES}/learning_curves.png"),
        ("curves --study example --trial 0 --trial 2", "mlruns/zoo/example/figures/curves-0-2.png"),
        ("confusion --study example", f"{FIGURES}/confusion_matrix.png"),
        ("mistakes --study example --trial 1", f"{FIGURES}/mistakes.png"),
        (f"predictions --run {FIGURES.removesuffix('/figures')}", f"{FIGURES}/predictions.png"),
        ("predictions --study example --image 4 --image 1", f"{FIGURES}/predictions-4-1.png"),
        ("features --study example --image 7", f"{FIGURES}/features-7.png"),
        ("filters --study example", f"{FIGURES}/filters.png"),
    ],
)
def test_each_prints_the_path_of_a_picture_and_what_to_do_next(inspect, line, path):
    run = inspect(line)
    assert run.exit_code == 0
    assert run.stdout == f"{path}\n"
    assert Path(path).read_bytes().startswith(b"\x89PNG")
    last = run.stderr.splitlines()[-1]
    assert last.startswith("next: zoo ")


def test_layers_are_text(inspect):
    run = inspect("layers --study example")
    lines = run.stdout.splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "parameters"]
    assert lines[-1].startswith("total")
    assert run.stderr.splitlines()[-1].startswith("next: zoo inspect features --study example --layer NAME")


def test_the_layer_that_the_table_names_is_one_that_features_takes(inspect):
    name = inspect("layers --study example").stdout.splitlines()[3].split()[0]
    run = inspect(f"features --study example --layer {name}")
    assert run.stdout == f"{FIGURES}/features-{name}-0.png\n"
    assert "zoo inspect filters --study example" in run.stderr


def test_the_hint_is_of_the_same_run(inspect):
    assert (
        "zoo inspect mistakes --study example --trial 1 "
        in inspect("confusion --study example --trial 1").stderr
    )
    folder = FIGURES.removesuffix("/figures")
    assert f"zoo inspect mistakes --run {folder} " in inspect(f"confusion --run {folder}").stderr


def test_the_hint_is_of_the_same_dataset(inspect, tmp_path):
    (tmp_path / "signs.csv").write_text("label,pixel1,pixel2,pixel3,pixel4\n" + "0,9,8,7,6\n1,1,2,3,4\n" * 9)
    said = inspect(f"samples csv_images --set train={tmp_path}/signs.csv --output {tmp_path}/s.png").stderr
    assert f"augmentation affine csv_images --set dataset.train={tmp_path}/signs.csv " in said
    assert (
        "zoo inspect augmentation affine --study digits_cnn " in inspect("samples --study digits_cnn").stderr
    )


def test_of_a_study_the_hint_has_only_what_is_of_the_dataset(inspect, tmp_path):
    options = f"--set training.epochs=3 --output {tmp_path}/s.png"
    said = inspect(f"samples --study digits_cnn {options}").stderr
    assert "zoo inspect augmentation affine --study digits_cnn   " in said


def test_a_folder_with_a_space_can_be_typed_again():
    assert inspect_command._run_options(None, None, "my runs/1") == "--run 'my runs/1'"


def test_the_policy_is_the_studys_own_by_default(inspect, tmp_path):
    study = tmp_path / "mine.toml"
    text = 'dataset = "digits"\narchitecture = "conv_net"\n[augmentation]\n'
    study.write_text(text + 'name = { choices = ["none", "flips", "affine"] }\n')
    run = inspect(f"augmentation --study {study} --output {tmp_path}/a.png")
    assert run.stdout == f"{tmp_path}/a.png\n"
    assert "next: zoo show flips " in run.stderr
    study.write_text(text + 'name = "none"\n')
    with pytest.raises(ZooError, match="augments nothing; name a policy: zoo inspect augmentation affine --"):
        inspect(f"augmentation --study {study}")


def test_a_path_elsewhere_is_printed_whole(inspect, tmp_path):
    assert inspect(f"samples digits --output {tmp_path}/s.png").stdout == f"{tmp_path}/s.png\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("inspect sampels digits", "error: There is no picture 'sampels'. Did you mean 'samples'?"),
        (
            "inspect curves --study example",
            "error: There are no trials of a study named 'example' in mlruns/zoo;",
        ),
        ("inspect samples digits --image 3", "error: No such option '--image'"),
        ("inspect augmentation", "error: Which policy, and whose images? Name both, or with --study STUDY "),
        (
            "inspect filters",
            "error: Which run? Name a study, --study STUDY, or the folder of a run, --run FOLDER",
        ),
    ],
)
def test_mistakes_are_one_line_and_status_2(zoo_command, arguments, line):
    run = zoo_command(*arguments.split())
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.splitlines()[-1].startswith(line)
    assert len(run.stderr.splitlines()) == 1


def test_help_names_every_picture(zoo_command):
    helped = zoo_command("inspect", "--help").stdout
    for name in inspect_command.command.commands:
        assert f"  {name}" in helped
    bare = zoo_command("inspect")
    assert (bare.returncode, bare.stdout, bare.stderr) == (0, helped, "")


def test_the_whole_way_with_the_installed_command(zoo_command, recorded_study, tmp_path):
    """Keras comes only in the process that is asked; nothing else is on stdout."""
    run = zoo_command(
        "inspect", "filters", "--study", "example", "--output", tmp_path / "f.png", folder=recorded_study
    )
    assert (run.returncode, run.stdout) == (0, f"{tmp_path}/f.png\n")
    assert run.stderr.splitlines() == [
        "loading the model …",
        "next: zoo inspect features --study example   what they and the later ones make of an image",
    ]
