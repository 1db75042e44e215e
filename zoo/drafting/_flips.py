"""The decision whether a mirror image belongs to the same class, from the class names and the images."""

from __future__ import annotations

import re

from zoo.drafting._facts import Facts

CHARACTER_SHARE = 0.5  # if more classes than this are named like characters, all classes count as characters
MAX_CHARACTER_SIDE = 32  # pixels; most grey images of this size are of digits and letters
NUMBERS = "zero|one|two|three|four|five|six|seven|eight|nine|ten"
GREEK = "alpha|beta|gamma|delta|epsilon|theta|lambda|sigma|omega"
CHARACTERS = re.compile(
    rf"(digit|letter|number|char|character|sign|kanji|glyph)s?[ _-]?\w{{0,3}}|{NUMBERS}|{GREEK}", re.I
)
SIDED = re.compile(r"(^|[^a-z])(left|right|clockwise|arrow)", re.I)

# Augmentation policies for images whose mirror image is in the same class, perhaps in it, in another class.
FLIPPED, MAYBE_FLIPPED, UPRIGHT = ("affine_flip", "flips"), ("affine", "affine_flip"), ("affine", "none")


def policies_for(facts: Facts) -> tuple[tuple[str, str], str]:
    """Return the augmentation policies that suit the images, and the reason in a sentence."""
    names = list(facts.class_names)
    sided = [name for name in names if SIDED.search(name)]
    numbers = [name for name in names if _is_number(name)]
    characters = [name for name in names if _is_character(name)]
    if sided:
        return UPRIGHT, f"No flips: a mirror image of the class '{sided[0]}' would belong to another class."
    if len(characters) + len(numbers) > CHARACTER_SHARE * len(names):
        if len(numbers) > len(characters) and facts.is_color:
            return UPRIGHT, (
                f"No flips: the classes are numbers ({numbers[0]} …), so they may be digits. If a mirror "
                "image belongs to the same class, replace affine by affine_flip."
            )
        name = (characters or numbers)[0]
        return UPRIGHT, (
            f"No flips: the class names ('{name}' …) look like digits, letters or signs, and mirror images "
            "would show other ones. If that is wrong, replace affine by affine_flip."
        )
    if facts.is_color:
        return FLIPPED, (
            "Horizontal flips, because the mirror image of a color photograph usually belongs to the same "
            "class. If it does not (text, left and right), replace these names by affine and none."
        )
    if facts.side <= MAX_CHARACTER_SIDE:
        return UPRIGHT, (
            "No flips: small grey images usually show digits or letters, and mirror images would show other "
            "ones. If a mirror image belongs to the same class, replace affine by affine_flip."
        )
    return MAYBE_FLIPPED, (
        "zoo cannot know whether a mirror image of these grey images belongs to the same class, so the "
        "search compares both. If it does not (text, left and right), remove affine_flip."
    )


def _is_number(name: str) -> bool:
    return re.fullmatch(r"[+-]?[\d_. ]*\d[\d_. ]*", name.strip()) is not None


def _is_character(name: str) -> bool:
    """Return True for a single letter, and for words such as `digit_3`, `letter b`, `seven`."""
    name = name.strip()
    return (len(name) == 1 and name.isalpha()) or CHARACTERS.fullmatch(name) is not None
