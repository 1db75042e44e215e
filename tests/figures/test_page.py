"""The page: names and titles that fit, files that are whole, and nothing left behind."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.figures import confusion_matrix, learning_curves, mistakes
from zoo.figures._page import (
    Page,
    number_alike,
    paste_ink,
    pick_palette,
    plain_style,
    readable_names,
    shorten,
    text_width,
    write_png,
)


def draw_all(folder, events):
    images = np.zeros((4, 8, 8, 1), np.uint8)
    labels, table = [0, 1, 1, 0], np.eye(2)[[0, 1, 0, 1]]
    return [
        learning_curves(events, folder / "c.png", best_epoch=2, title="t"),
        confusion_matrix(labels, table.argmax(axis=1), ["a", "b"], folder / "m.png", title="t"),
        mistakes(images, labels, table, ["a", "b"], folder / "w.png", title="t"),
    ]


def test_importing_is_light_and_drawing_never_loads_pyplot(tmp_path):
    program = f"""
import sys
from pathlib import Path
import zoo.figures
assert "matplotlib" not in sys.modules and "PIL" not in sys.modules
event = {{"event": "epoch", "epoch": 1, "metrics": {{"loss": 1.0, "val_loss": 1.0}}}}
zoo.figures.learning_curves([event], Path({str(tmp_path)!r}) / "c.png", best_epoch=1, title="t")
zoo.figures.confusion_matrix([0, 1], [0, 0], ["a", "b"], Path({str(tmp_path)!r}) / "m.png", title="t")
assert "matplotlib" in sys.modules and "matplotlib.pyplot" not in sys.modules
heavy = {{"keras", "tensorflow", "mlflow", "optuna", "pandas", "sklearn"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_no_figure_outlives_its_file(tmp_path, epoch_events):
    from matplotlib._pylab_helpers import Gcf
    from matplotlib.figure import Figure

    def alive():
        gc.collect()
        return sum(isinstance(thing, Figure) for thing in gc.get_objects())

    before, events = alive(), epoch_events(3)
    for _ in range(10):
        draw_all(tmp_path, events)
    assert alive() == before
    assert not Gcf.figs


def test_the_users_settings_change_nothing_and_stay(tmp_path, epoch_events):
    import matplotlib

    events = epoch_events(3)
    plain = [path.read_bytes() for path in draw_all(tmp_path, events)]
    wild = {
        "figure.facecolor": "black",
        "text.color": "red",
        "font.size": 30.0,
        "lines.linewidth": 9.0,
        "axes.facecolor": "green",
        "font.family": ["monospace"],
        "xtick.labelcolor": "white",
        "figure.dpi": 30.0,
        "axes.formatter.use_mathtext": True,
        "text.usetex": True,
    }
    with matplotlib.rc_context(wild):
        assert [path.read_bytes() for path in draw_all(tmp_path, events)] == plain
        assert {name: matplotlib.rcParams[name] for name in wild} == wild


def test_several_threads_at_once(tmp_path, epoch_events):
    events = epoch_events(3)
    expected = [path.read_bytes() for path in draw_all(tmp_path, events)]
    drawn = {}

    def draw(number):
        folder = tmp_path / str(number)
        drawn[number] = [path.read_bytes() for path in draw_all(folder, events)]

    threads = [threading.Thread(target=draw, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(drawn.values()) == [expected] * 4


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    from PIL import Image

    path = tmp_path / "deep" / "folder" / "p.png"
    page = np.full((10, 10, 3), 255, np.uint8)
    assert write_png(page, path) == path
    before = path.read_bytes()

    def torn(self, target, format):  # as on a full disk
        target.write_bytes(b"half a file")
        raise OSError("No space left on device")

    monkeypatch.setattr(Image.Image, "save", torn)
    with pytest.raises(OSError, match="No space"):
        write_png(page * 0, path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_few_colors_are_kept_exactly(tmp_path, open_png):
    rng = np.random.default_rng(0)
    page = rng.integers(0, 256, (200, 3)).astype(np.uint8)[rng.integers(0, 200, (50, 60))]
    assert (open_png(write_png(page, tmp_path / "p.png")) == page).all()


def test_a_rare_color_is_not_lost(tmp_path, open_png):
    page = np.zeros((60, 50, 3), np.uint8)
    page[:, :, 1] = np.arange(3_000).reshape(60, 50) % 250  # 250 greens, twelve pixels each
    page[:, 25:, 2] = 3  # and as many again
    page[7, 7] = 200, 55, 0
    assert (open_png(write_png(page, tmp_path / "p.png"))[7, 7] == (200, 55, 0)).all()


def test_the_nearest_of_the_palette():
    colors = np.unique(np.random.default_rng(0).integers(0, 256, (900, 3)).astype(np.int32), axis=0)
    palette, nearest = pick_palette(colors)
    assert palette.shape == (256, 3)
    distances = ((colors[:, None] - palette) ** 2).sum(axis=2)
    assert (distances[np.arange(len(colors)), nearest] == distances.min(axis=1)).all()


def test_photographs_stay_close_and_on_white_paper(tmp_path, open_png):
    rows, columns = np.mgrid[0:200, 0:200]
    page = np.full((240, 240, 3), 255, np.uint8)
    page[20:220, 20:220] = np.stack([rows, columns, 200 - rows // 2], axis=2)
    drawn = open_png(write_png(page, tmp_path / "p.png", colors="many")).astype(int)
    assert (drawn[:10] == 255).all()
    assert np.abs(drawn - page).mean() < 8


def test_all_colors_are_kept(tmp_path, open_png):
    page = np.random.default_rng(0).integers(0, 256, (90, 80, 3)).astype(np.uint8)
    assert (open_png(write_png(page, tmp_path / "p.png", colors="all")) == page).all()


def test_ink_of_any_color():
    page = np.full((3, 4, 3), 200, np.uint8)
    mask = np.array([[1.0, 0.5]], np.float32)
    paste_ink(page, mask, 1, 1, (8, 80, 156))
    assert page[1, 1].tolist() == [8, 80, 156]
    assert page[1, 2].tolist() == [104, 140, 178]
    paste_ink(page, mask, 0, 0, 0)
    assert page[0, :2].tolist() == [[0, 0, 0], [100, 100, 100]]
    assert (page[2] == 200).all()


@settings(deadline=None)
@given(text=st.text("abcdefgh_-0123 äж", max_size=60), width=st.integers(40, 200))
def test_shortened_text_fits_and_keeps_its_ends(text, width):
    with plain_style():
        short = shorten(text, width, 9)
        assert text_width(short, 9) <= width
        assert short == text or text_width(text, 9) > width
    if short != text:
        start, _, end = short.partition("…")
        assert text.startswith(start)
        assert text.endswith(end)
        assert abs(len(start) - len(end)) <= 1


def test_names_that_would_become_alike_begin_with_their_number():
    names = [f"class number {number} with a long name" for number in range(3)]
    with plain_style():
        assert number_alike([*names, "cat"], 80, 9) == [f"{n}: {name}" for n, name in enumerate(names)] + [
            "cat"
        ]
        assert number_alike(names, 1000, 9) == names


@pytest.mark.filterwarnings("error")
def test_what_no_font_can_draw_is_a_question_mark_in_title_and_subtitle():
    with plain_style():
        strange, asked = Page(400, 100), Page(400, 100)
        strange.header("a \U00012000 b", "of class \U00012000")
        asked.header("a ? b", "of class ?")
        np.testing.assert_array_equal(strange.pixels(), asked.pixels())


def test_text_width_is_what_matplotlib_draws():
    from zoo.figures._page import text_mask

    with plain_style():
        for text in ("Ankle boot", "n02085620-Chihuahua", "ÄÖÜ straße", "iiiiiiii", "WWWWWWWW"):
            assert abs(text_width(text, 9) - text_mask(text, 9).shape[1]) < 4


def test_names_that_no_font_can_draw_become_numbers():
    with plain_style():
        names = readable_names(["cat", "", "two\n lines", "\U000f0000", "\udce9", 7])
    assert names == ["cat", "class 1", "two lines", "class 3", "class 4", "7"]
