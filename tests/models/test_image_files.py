"""The image files that arguments name."""

from __future__ import annotations

import os

import pytest

from zoo.models.image_files import image_files


@pytest.fixture
def photos(in_tmp):
    """A folder with images, other files, hidden ones, and a subfolder."""
    for name in ("b.JPG", "a.png", "notes.txt", ".hidden.png", "sub/c.gif", "sub/.git/d.png", "Z/e.bmp"):
        file = in_tmp / "photos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    (in_tmp / "empty").mkdir()
    return in_tmp / "photos"


FOLDER = ["photos/a.png", "photos/b.JPG", "photos/Z/e.bmp", "photos/sub/c.gif"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["photos"], FOLDER),
        (["photos/"], FOLDER),
        (
            ["photos/sub", "photos/a.png", "photos/sub"],
            ["photos/sub/c.gif", "photos/a.png", "photos/sub/c.gif"],
        ),
        (["photos/*.png"], ["photos/a.png"]),
        (["photos/**/*.[gb]*"], ["photos/Z/e.bmp", "photos/sub/c.gif"]),
        (["photos/s*"], ["photos/sub/c.gif"]),
        (["photos/[sZ]*/**"], ["photos/Z/e.bmp", "photos/sub/c.gif"]),
        (["photos/notes.txt"], ["photos/notes.txt"]),
        (["nothing.png"], ["nothing.png"]),
    ],
)
def test_argument_names_files(photos, arguments, expected):
    assert image_files(arguments) == (expected, [])


def test_absolute_pattern_is_expanded(photos):
    assert image_files([f"{photos}/*.png"]) == ([f"{photos}/a.png"], [])


def test_file_with_brackets_is_no_pattern(photos):
    (photos / "a[1].png").write_bytes(b"")
    assert image_files(["photos/a[1].png"]) == (["photos/a[1].png"], [])


def test_dash_stands_for_a_list(photos):
    lines = ["photos/sub\n", "\n", "name with space.png\r\n", "-\n"]
    expected = ["photos/a.png", "photos/sub/c.gif", "name with space.png", "-"]
    assert image_files(["photos/a.png", "-"], lines) == (expected, [])


def test_list_is_not_read_without_dash(photos):
    lines = iter(["photos/sub\n"])
    image_files(["photos/a.png"], lines)
    assert list(lines) == ["photos/sub\n"]


def test_argument_without_images_is_a_problem(photos):
    files, problems = image_files(["empty", "photos/*.tif", "photos/a.png"])
    assert files == ["photos/a.png"]
    assert problems == [
        "empty: this folder has no images",
        "photos/*.tif: no file matches this pattern",
    ]


def test_link_to_its_own_folder_is_not_followed(photos):
    (photos / "sub" / "up").symlink_to(photos, target_is_directory=True)
    (photos / "sub" / "again").symlink_to(photos, target_is_directory=True)
    assert image_files(["photos/**"]) == (FOLDER, [])
    assert image_files(["photos/**/*.[gb]*"]) == (["photos/Z/e.bmp", "photos/sub/c.gif"], [])


def test_numbers_are_in_natural_order(in_tmp):
    (in_tmp / "pages").mkdir()
    for number in (10, 9, 1):
        (in_tmp / "pages" / f"{number}.png").touch()
    expected = ["pages/1.png", "pages/9.png", "pages/10.png"]
    assert image_files(["pages"]) == image_files(["pages/*.png"]) == (expected, [])


@pytest.mark.parametrize("argument", ["photos", "photos/*.png"])
def test_pipe_in_a_folder_is_a_problem(photos, argument):
    before, _ = image_files([argument])
    os.mkfifo("photos/pipe.png")
    assert image_files([argument]) == (
        before,
        ["photos/pipe.png: a pipe, a socket or a device, so it is not read"],
    )
