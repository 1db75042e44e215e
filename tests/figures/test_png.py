"""PNG files: complete, small, and with the right colours."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.figures._png import paste_ink, write_png


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
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


def test_rare_color_is_kept(tmp_path, open_png):
    page = np.zeros((60, 50, 3), np.uint8)
    page[:, :, 1] = np.arange(3_000).reshape(60, 50) % 250  # 250 greens, twelve pixels each
    page[:, 25:, 2] = 3  # and 250 more greens
    page[7, 7] = 200, 55, 0
    assert (open_png(write_png(page, tmp_path / "p.png"))[7, 7] == (200, 55, 0)).all()


def test_frequent_color_among_many_is_exact(tmp_path, open_png):
    page = np.random.default_rng(0).integers(0, 256, (60, 50, 3)).astype(np.uint8)
    page[:10], page[10:20] = (255, 255, 255), (209, 88, 10)
    drawn = open_png(write_png(page, tmp_path / "p.png"))
    assert (drawn[:20] == page[:20]).all()
    assert np.abs(drawn.astype(int) - page).mean() < 16


def test_photograph_stays_close_on_white(tmp_path, open_png):
    rows, columns = np.mgrid[0:200, 0:200]
    page = np.full((240, 240, 3), 255, np.uint8)
    page[20:220, 20:220] = np.stack([rows, columns, 200 - rows // 2], axis=2)
    drawn = open_png(write_png(page, tmp_path / "p.png", colors="many")).astype(int)
    assert (drawn[:10] == 255).all()
    assert np.abs(drawn - page).mean() < 8


def test_all_colors_are_kept(tmp_path, open_png):
    page = np.random.default_rng(0).integers(0, 256, (90, 80, 3)).astype(np.uint8)
    assert (open_png(write_png(page, tmp_path / "p.png", colors="all")) == page).all()


def test_mask_is_pasted_in_any_color():
    page = np.full((3, 4, 3), 200, np.uint8)
    mask = np.array([[1.0, 0.5]], np.float32)
    paste_ink(page, mask, 1, 1, (8, 80, 156))
    assert page[1, 1].tolist() == [8, 80, 156]
    assert page[1, 2].tolist() == [104, 140, 178]
    paste_ink(page, mask, 0, 0, 0)
    assert page[0, :2].tolist() == [[0, 0, 0], [100, 100, 100]]
    assert (page[2] == 200).all()
