"""`zoo plugins new`."""

from __future__ import annotations


def test_new_prints_the_files_and_the_next_commands(zoo_command, tmp_path):
    run = zoo_command("plugins", "new", "zoo-mynet", "--kind", "architecture")
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0] == "zoo-mynet/"
    assert lines[2] == "  src/zoo_mynet/__init__.py   the plugin: write your architecture here"
    for line in lines[1:8]:
        assert (tmp_path / "zoo-mynet" / line.split()[0]).is_file()
    assert len(lines) == 8
    assert run.stderr.splitlines() == [
        "next: cd zoo-mynet",
        "      pip install -e '.[test]'",
        "      pytest",
        "      zoo plugins check zoo-mynet",
    ]


def test_options_set_folder_author_and_license(zoo_command, tmp_path):
    options = ["--folder", "my plugins", "--author", "Ada Lovelace", "--license", "mit"]
    run = zoo_command("plugins", "new", "zoo-mydata", "--kind", "dataset", *options)
    assert run.returncode == 0, run.stderr
    assert "next: cd 'my plugins'\n" in run.stderr
    assert "Ada Lovelace" in (tmp_path / "my plugins" / "LICENSE").read_text()
    assert 'name = "zoo-mydata"' in (tmp_path / "my plugins" / "pyproject.toml").read_text()


def test_mistake_is_one_line_and_status_2(zoo_command, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    for arguments, expected in {
        ("ZooNet", "--kind", "dataset"): "error: 'ZooNet' cannot be the name of a plugin distribution; ",
        (
            "zoo-digits",
            "--kind",
            "dataset",
        ): "error: the dataset 'digits' is already registered by ",
        ("zoo-x", "--kind", "dataset", "--folder", "taken"): "error: the folder 'taken' is not empty. ",
        ("zoo-x", "--kind", "model"): "error: invalid value for '--kind': 'model' is not one of ",
        ("zoo-x",): "error: missing option '--kind'.",
        ("zoo-x", "--kind", "dataset", "--license", "gpl"): "error: invalid value for '--license': 'gpl' ",
    }.items():
        run = zoo_command("plugins", "new", *arguments)
        assert (run.returncode, run.stdout) == (2, ""), arguments
        assert run.stderr.startswith(expected)
        assert len(run.stderr.splitlines()) == 1, arguments
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["home", "taken"]
