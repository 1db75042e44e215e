"""PNG files: complete, small, and with the right colors."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.figures._page import Page, plain_style
from zoo.figures._pixels import paste_ink


@pytest.fixture
def save(tmp_path):
    """save(pixels) -> the path of a page with these pixels in its lower part."""

    def save(pixels, path=tmp_path / "p.png", **options):
        with plain_style():
            page = Page(0, len(pixels) + 60, "", "")
            page.pixels[60:, : pixels.shape[1]] = pixels
            return page.save(path, **options)

    return save


def test_failed_write_keeps_the_old_file(tmp_path, save, monkeypatch):
    from PIL import Image

    path = tmp_path / "deep" / "folder" / "p.png"
    pixels = np.full((10, 10, 3), 99, np.uint8)
    assert save(pixels, path) == path
    before = path.read_bytes()

    def torn(self, target, format):  # as on a full disk
        target.write_bytes(b"half a file")
        raise OSError("No space left on device")

    monkeypatch.setattr(Image.Image, "save", torn)
    with pytest.raises(ZooError, match=r"cannot write the figure .*p\.png: No space left on device\."):
        save(pixels * 0, path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_all_colors_are_kept(save, open_png):
    pixels = np.random.default_rng(0).integers(0, 256, (90, 80, 3)).astype(np.uint8)
    assert (open_png(save(pixels))[60:, :80] == pixels).all()


def test_photograph_stays_close_on_white(save, open_png):
    rows, columns = np.mgrid[0:200, 0:200]
    pixels = np.stack([rows, columns, 200 - rows // 2], axis=2).astype(np.uint8)
    drawn = open_png(save(pixels, palette=True)).astype(int)
    assert (drawn[:60] == 255).all()
    assert (drawn[:, 200:] == 255).all()
    assert np.abs(drawn[60:, :200] - pixels).mean() < 8


def test_mask_is_pasted_in_any_color():
    page = np.full((3, 4, 3), 200, np.uint8)
    mask = np.array([[1.0, 0.5]], np.float32)
    paste_ink(page, mask, 1, 1, (8, 80, 156))
    assert page[1, 1].tolist() == [8, 80, 156]
    assert page[1, 2].tolist() == [104, 140, 178]
    paste_ink(page, mask, 0, 0, 0)
    assert page[0, :2].tolist() == [[0, 0, 0], [100, 100, 100]]
    assert (page[2] == 200).all()
