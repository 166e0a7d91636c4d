"""Drawings: the prompt decides, and decides the same each time."""

import io

import pytest
from PIL import Image

from langchain_mistral_imagegen.sandbox.records.images import draw_image, padded


def pixels(prompt):
    image = Image.open(io.BytesIO(draw_image(prompt))).convert("RGB").crop((0, 100, 1024, 700)).resize((128, 75))
    return list(zip(*(band.tobytes() for band in image.split()), strict=True))


def share(prompt, is_wanted):
    found = pixels(prompt)
    return sum(is_wanted(*pixel) for pixel in found) / len(found)


def is_orange(red, green, blue):
    return red > 200 and 100 < green < 180 and blue < 100


def test_image_is_a_jpeg_of_1024_by_768():
    image = Image.open(io.BytesIO(draw_image("anything")))
    assert (image.format, image.size) == ("JPEG", (1024, 768))


def test_orange_cat_is_orange():
    assert share("an orange cat in an office", is_orange) > 0.1
    assert share("a cat in an office", is_orange) < 0.01


@pytest.mark.parametrize("prompt", ["a blue cat", "un chat bleu", "eine blaue Katze"])
def test_colour_is_understood_in_three_languages(prompt):
    assert share(prompt, lambda red, green, blue: blue > 150 and red < 100) > 0.1


def test_night_is_dark():
    assert share("a house at night", lambda *rgb: sum(rgb) < 240) > 0.5
    assert share("a house", lambda *rgb: sum(rgb) < 240) < 0.1


@pytest.mark.parametrize("subject", ["cat", "dog", "house", "tree", "sun", "mountain", "flower", "boat", "office"])
def test_subject_changes_the_image(subject):
    assert pixels(f"a {subject}") != pixels("")


@pytest.mark.parametrize("prompt", ["a catalogue of ideas", "treason", "an update on Monday"])
def test_word_that_only_begins_like_a_subject_is_abstract(prompt):
    assert pixels(prompt) not in (pixels("cat"), pixels("tree"), pixels("sun"))


def test_same_prompt_gives_the_same_bytes():
    first = draw_image("quantum feelings")
    draw_image.cache_clear()
    assert draw_image("quantum feelings") == first
    assert draw_image("other feelings") != first


@pytest.mark.parametrize("prompt", ["", "x" * 5000, "猫", "\x00\n\t", "🐱 " * 40])
def test_any_prompt_can_be_drawn(prompt):
    assert draw_image(prompt).startswith(b"\xff\xd8\xff")


def test_padded_image_has_the_size_and_still_opens():
    data = padded(draw_image("a cat"), 300_000)
    assert len(data) == 300_000
    Image.open(io.BytesIO(data)).load()
