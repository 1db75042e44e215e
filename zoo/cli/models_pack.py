"""`zoo models pack` and `unpack`: a model as one file."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from zoo.cli import common


@click.command
@click.argument("model")
@click.argument("file", type=click.Path(path_type=Path))
@common.plugin_option
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def pack(model: str, file: Path, overwrite: bool) -> None:
    """Write one file with a model, its description, configuration, plugin files and checksums.

    MODEL is a study, a registered model, an address in MLflow, the folder of a run, or a .keras file.
    The same model always gives the same bytes.

    zoo models pack mnist_cnn mnist.zip
    """
    from zoo.models import find_model, pack_model

    with common.open_display() as display:
        found = find_model(model, display)
        members = pack_model(found, file, overwrite=overwrite)
    click.echo(f"{file}  {file.stat().st_size / 1e6:,.2f} MB: {', '.join(members)}")
    common.print_next((f"zoo models unpack {shlex.quote(str(file))}", "on another machine"))


@click.command
@click.argument("file", type=click.Path(path_type=Path))
@common.path_option(
    "--output", "New folder; by default FILE's name without its suffix, in the working folder.", "FOLDER"
)
def unpack(file: Path, output: Path | None) -> None:
    """Verify a pack, and place its files in a new folder.

    Every checksum is verified first. Nothing in the pack is executed. Every command that takes a MODEL
    accepts the new folder.

    zoo models unpack mnist.zip
    """
    from zoo.models import unpack_model

    folder = output if output is not None else Path(file.stem or "model")
    info = unpack_model(file, folder)
    click.echo(f"{folder}{os.sep}")
    files = sorted(folder.iterdir())
    common.print_table([[path.name, f"{path.stat().st_size:,} bytes"] for path in files])
    if info.requirements:
        common.print_note(f"the model needs: pip install {' '.join(map(shlex.quote, info.requirements))}")
    path = str(folder) if os.sep in str(folder) else f"./{folder}"
    needed = [f"{path}{os.sep}{file.name}" for file in files if file.name in info.plugin_files]
    plugins = "".join(f" --plugin {shlex.quote(file)}" for file in needed)
    common.print_next((f"zoo predict {shlex.quote(path)} IMAGE{plugins}", "name the class of an image"))
