"""File names from prompts."""

from __future__ import annotations

import pytest

from langchain_mistral_imagegen._cli.file_names import image_name, slug


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Generate an orange cat in an office.", "orange-cat-in-an-office"),
        ("Please draw me a picture of the Eiffel Tower", "eiffel-tower"),
        ("Dessine un chat orange dans un bureau, l'été.", "chat-orange-dans-un-bureau-l-été"),
        ("Zeichne ein rotes Haus", "rotes-haus"),
        ("An orange cat", "an-orange-cat"),
        ("../../etc/passwd\0\n", "etc-passwd"),
        ("猫", "猫"),
        ("Draw E\u0301TE\u0301.", "\u00e9t\u00e9"),
        ("हिन्दी में बाघ", "हिन्दी-में-बाघ"),
        ("قطة برتقالية\u202e", "قطة-برتقالية"),
        ("кот в офисе", "кот-в-офисе"),
        ("猫" * 100, "猫" * 40),
        ("😀", "image"),
        ("draw", "draw"),
        ("a " * 100, "a" + "-a" * 29),
        ("x" * 100, "x" * 60),
    ],
)
def test_a_prompt_gives_a_short_plain_name(prompt, expected):
    assert slug(prompt) == expected


def test_an_image_is_named_by_prompt_and_hash():
    assert image_name("Draw a cat", "3f2a91bb") == "cat-3f2a91"


def test_a_file_system_without_these_letters_gets_others(monkeypatch):
    def refuse(name: str) -> bytes:
        return name.encode("ascii")

    monkeypatch.setattr("os.fsencode", refuse)
    assert (slug("猫"), slug("Draw the café")) == ("image", "cafe")
