"""docs/notebook.ipynb: it runs from its first to its last cell, and its outputs are of today's cells."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"


def outputs(notebook):
    """Return the media types of the outputs of each code cell, without what libraries print."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [[sorted(output.data) for output in cell.outputs if "data" in output] for cell in cells]


@pytest.mark.slow
def test_notebook_runs_and_has_the_stored_outputs(tmp_path, clean_environment, monkeypatch):
    for name in os.environ.keys() - clean_environment.keys():
        monkeypatch.delenv(name)
    for name, value in clean_environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PLOTLY_RENDERER", "plotly_mimetype")  # without 5 MB of plotly.js
    stored = nbformat.read(NOTEBOOK, as_version=4)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    options = {"kernel_name": "python3", "resources": {"metadata": {"path": str(tmp_path)}}}
    nbclient.NotebookClient(notebook, timeout=500, **options).execute()
    assert outputs(notebook) == outputs(stored)
    assert (tmp_path / "mlruns" / "zoo" / "digits_cnn" / "report.html").exists()


def test_notebook_is_small_and_valid():
    nbformat.validate(nbformat.read(NOTEBOOK, as_version=4))
    assert NOTEBOOK.stat().st_size < 300_000
