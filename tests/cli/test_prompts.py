"""Lists of prompts, and their mistakes."""

from __future__ import annotations

import pytest

from langchain_mistral_imagegen._cli.prompts import BadPromptsError, read_prompts


def read(tmp_path, name: str, data: str | bytes):
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_prompts(str(path))


def test_a_text_file_has_a_prompt_per_line_but_for_blank_lines_and_comments(tmp_path):
    prompts = read(tmp_path, "p.txt", '\ufeffDraw a cat.\r\n\n  # not a prompt\n {"a": 1} \nDraw\u2028a dog.')
    assert [prompt.text for prompt in prompts] == ["Draw a cat.", '{"a": 1}', "Draw\u2028a dog."]
    assert [prompt.id for prompt in prompts] == ["cat-282989", "a-1-f9d860", "dog-8f55f2"]


def test_ids_do_not_depend_on_the_place_and_a_repeated_line_is_an_image_of_its_own(tmp_path):
    one = read(tmp_path, "p.txt", "Draw a cat.\nDraw a dog.\nDraw a cat.")
    two = read(tmp_path, "p.txt", "Draw a dog.\nDraw a cat.\nDraw a cat.\n")
    assert {prompt.id for prompt in one} == {prompt.id for prompt in two}
    assert len({prompt.id for prompt in one}) == 3


def test_json_lines_may_name_their_images(tmp_path):
    lines = '{"prompt": " A. ", "id": "a"}\n\n{"prompt": "B.", "name": "bee", "more": 1}\n{"prompt": "C.", "id": 3, "name": "sea"}'
    prompts = read(tmp_path, "p.jsonl", lines)
    assert [(one.id, one.text, one.name) for one in prompts] == [
        ("a", "A.", "A."),
        ("bee", "B.", "bee"),
        ("3", "C.", "sea"),
    ]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("p.jsonl", '{"prompt": "A."}\n{"prompt": "B."', r"p.jsonl, line 2: not JSON: "),
        ("p.jsonl", '{"prompt": "\\ud83d"}', r"line 1: not JSON: "),
        ("p.jsonl", '\n["A."]', r"line 2: not an object such as"),
        ("p.jsonl", '{"promt": "A."}', r"line 1: no prompt"),
        ("p.jsonl", '{"prompt": "  "}', r"line 1: no prompt"),
        ("p.jsonl", '{"prompt": 5}', r"line 1: prompt is not a text"),
        ("p.jsonl", '{"prompt": "A.", "id": ["a"]}', r"line 1: id is not a text"),
        (
            "p.jsonl",
            '{"prompt": "A.", "id": "a"}\n\n{"prompt": "B.", "id": "a"}',
            r"line 3: the id 'a' is already used on an",
        ),
        ("p.txt", b"A.\nB.\n\xff", r"p.txt, line 3: not UTF-8"),
        ("p.txt", "# nothing\n", r"p.txt contains no prompt"),
    ],
)
def test_a_bad_line_is_named(tmp_path, name, data, reason):
    with pytest.raises(BadPromptsError, match=reason):
        read(tmp_path, name, data)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadPromptsError, match=r"Cannot read the prompts: .*nowhere\.txt"):
        read_prompts(str(tmp_path / "nowhere.txt"))
