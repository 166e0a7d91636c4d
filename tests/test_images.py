"""References, their reducer, and images in hand."""

from __future__ import annotations

import io
import itertools
import random
from pathlib import Path

import pytest
from PIL import Image
from synced_disk import SyncedDisk

from langchain_mistral_imagegen import GeneratedImage, ImageRef, merge_images
from langchain_mistral_imagegen.errors import InvalidImageError, InvalidInputError
from langchain_mistral_imagegen.images import _formats, _frames, decode_image, image_size, sniff_image

REF: ImageRef = {"id": "a", "status": "remote", "file_id": "a"}
FAILED: ImageRef = {"id": "a", "status": "failed", "file_id": "a", "error": "boom", "attempts": 1}
STORED: ImageRef = {"id": "a", "status": "stored", "file_id": "a", "key": "aa/a.jpg", "sha256": "aa", "attempts": 2}


def image_of(kind: str, size: tuple[int, int] = (4, 3)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "orange").save(file, kind)
    return file.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("order", list(itertools.permutations([REF, FAILED, STORED, STORED, REF])))
def test_merging_does_not_depend_on_order_or_number(order):
    merged: dict[str, ImageRef] = {}
    for ref in order:
        merged = merge_images(merged, {"a": ref})
    assert merged == {"a": STORED}


def test_merging_is_associative_over_groups():
    left = merge_images(merge_images({"a": REF}, {"a": FAILED}), {"a": STORED})
    right = merge_images({"a": REF}, merge_images({"a": FAILED}, {"a": STORED}))
    assert left == right == {"a": STORED}


def test_a_failure_keeps_its_error_until_the_image_is_stored():
    assert merge_images({"a": REF}, {"a": FAILED})["a"]["error"] == "boom"
    assert "error" not in merge_images({"a": FAILED}, {"a": STORED})["a"]


def test_none_removes_and_nothing_is_shared_with_the_inputs():
    old = {"a": REF, "b": STORED}
    assert merge_images(old, {"a": None}) == {"b": STORED}
    assert set(old) == {"a", "b"}
    assert merge_images(None, None) == {}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("JPEG", ("image/jpeg", ".jpg")),
        ("PNG", ("image/png", ".png")),
        ("WEBP", ("image/webp", ".webp")),
        ("GIF", ("image/gif", ".gif")),
    ],
)
def test_the_type_of_an_image_is_read_from_its_bytes(kind, expected):
    data = image_of(kind)
    assert sniff_image(data[:16])[1:3] == expected
    assert image_size(io.BytesIO(data)) == (4, 3)


@pytest.mark.parametrize("data", [b"", b"<html>", b"<svg xmlns=", b"RIFF1234AVI ", b"\x89PNX"])
def test_other_bytes_are_no_image(data):
    assert sniff_image(data) is None
    with pytest.raises(InvalidImageError, match="'a' is not an image"):
        GeneratedImage.from_bytes(data, REF)


ANIMATED = ["GIF", "PNG", "WEBP"]


def animation(kind: str, frames: int = 8) -> bytes:
    """Return frames of noise, which take about as many bytes each."""
    first, *others = [Image.effect_noise((40, 30), 90 + number) for number in range(frames)]
    file = io.BytesIO()
    first.save(file, kind, save_all=True, append_images=others, duration=100)
    return file.getvalue()


@pytest.mark.parametrize("kind", ANIMATED)
def test_an_animation_is_decoded_to_its_last_frame(kind):
    data = animation(kind)
    assert decode_image(io.BytesIO(data)) == (40, 30)
    assert decode_image(io.BytesIO(data + bytes(100))) == (40, 30), "padding is no damage"
    for cut in [*range(1, 40), *range(40, 100, 3)]:
        with pytest.raises(InvalidImageError, match="cannot be decoded to its end"):
            decode_image(io.BytesIO(data[: len(data) * cut // 100]))


@pytest.mark.parametrize("kind", ANIMATED)
def test_a_damaged_frame_is_noticed(kind):
    data = bytearray(animation(kind))
    place = int(len(data) * 0.7)
    data[place : place + 300] = b"\xff" * 300
    with pytest.raises(InvalidImageError):
        decode_image(io.BytesIO(data))


@pytest.mark.parametrize("kind", ANIMATED)
def test_of_a_long_animation_only_as_many_pixels_are_decoded_as_of_any_image(kind, monkeypatch):
    data = animation(kind)
    monkeypatch.setattr(_formats, "_MOST_PIXELS", 3 * _frames._LEAST)
    loaded = []
    load = Image.Image.load
    monkeypatch.setattr(Image.Image, "load", lambda image: (loaded.append(image.tell()), load(image))[1])
    assert decode_image(io.BytesIO(data)) == (40, 30)
    assert max(loaded) <= 3
    with pytest.raises(InvalidImageError):
        decode_image(io.BytesIO(data[:-20]))


def test_what_pillow_raises_on_a_damaged_block_is_our_error():
    data = animation("GIF")
    place = data.rindex(b"!\xf9\x04")
    damaged = data[:place] + b"!\xf9\x01\x00\x00" + data[place + 8 :]  # an extension that lacks bytes: `struct.error`
    with pytest.raises(InvalidImageError):
        decode_image(io.BytesIO(damaged))


def test_a_photograph_with_a_preview_is_decoded():
    file = io.BytesIO()
    Image.new("RGB", (40, 30)).save(file, "MPO", save_all=True, append_images=[Image.new("RGB", (4, 3))])
    whole = file.getvalue()
    assert decode_image(io.BytesIO(whole)) == (40, 30)


def test_after_a_power_cut_a_saved_image_is_there_with_all_its_folders(tmp_path, monkeypatch):
    disk = SyncedDisk(tmp_path, monkeypatch)
    image = GeneratedImage.from_bytes(image_of("JPEG"), REF)
    image.save(tmp_path / "new" / "images" / "cat.jpg")
    assert disk.cut_power().get("new/images/cat.jpg") == image.data


def test_a_cut_header_has_no_size():
    image = GeneratedImage.from_bytes(image_of("PNG")[:20], REF)
    assert (image.mime_type, image.width, image.height) == ("image/png", None, None)


def test_saving_chooses_the_suffix_from_the_bytes(tmp_path):
    image = GeneratedImage.from_bytes(image_of("JPEG"), {**REF, "file_name": "x.png"})
    assert image.save(tmp_path / "new" / "cat") == tmp_path / "new" / "cat.jpg"
    assert image.save(tmp_path / "v1.2") == tmp_path / "v1.2.jpg"
    assert image.save(tmp_path / "kept.JPEG").name == "kept.JPEG"
    assert image.save(tmp_path).name == f"{image.sha256[:16]}.jpg"
    assert (tmp_path / "new" / "cat.jpg").read_bytes() == image.data
    (tmp_path / "usual").write_bytes(b"")
    assert (tmp_path / "new" / "cat.jpg").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_suffix_of_another_format_is_corrected_or_the_image_converted(tmp_path):
    image = GeneratedImage.from_bytes(image_of("JPEG"), REF)
    with pytest.warns(UserWarning, match=r"saved as 'cat.jpg', not 'cat.png'.*format='png'"):
        assert image.save(tmp_path / "cat.png") == tmp_path / "cat.jpg"
    for name in ("png", "webp", "gif"):
        path = image.save(tmp_path / f"cat.{name}", format=name)
        with Image.open(path) as saved:
            assert (path.name, saved.format) == (f"cat.{name}", name.upper())
    assert image.save(tmp_path / "same", format="jpeg").read_bytes() == image.data
    clear = io.BytesIO()
    Image.new("RGBA", (4, 3)).save(clear, "PNG")
    assert GeneratedImage.from_bytes(clear.getvalue(), REF).save(tmp_path / "clear", format="jpeg").suffix == ".jpg"
    with pytest.raises(InvalidInputError, match="format='bmp' is not a format of images"):
        image.save(tmp_path / "cat", format="bmp")


def test_a_failed_save_leaves_nothing_behind(tmp_path, monkeypatch):
    def refuse(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        GeneratedImage.from_bytes(image_of("JPEG"), REF).save(tmp_path / "cat")
    assert list(tmp_path.iterdir()) == []


def test_a_notebook_shows_it_and_a_log_does_not():
    image = GeneratedImage.from_bytes(image_of("PNG"), REF)
    bundle, metadata = image._repr_mimebundle_(include=None, exclude=None)
    assert set(bundle) == {"image/png", "text/plain"}
    assert metadata == {"image/png": {"width": 4, "height": 3}}
    assert repr(image) == "GeneratedImage(mime_type='image/png', width=4, height=3)"


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Cut an image off, or change bytes of it."""
    if rng.random() < 0.4:
        return data[: rng.randrange(20, len(data))]
    changed = bytearray(data)
    for _ in range(rng.choice([1, 3, 50])):
        changed[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(changed)


def is_read(data: bytes) -> bool:
    """Return whether Pillow decodes an image in its full size, and has nothing against its file."""
    try:
        for check in ("load", "verify"):
            with Image.open(io.BytesIO(data), formats=["JPEG", "PNG", "WEBP", "GIF"]) as image:
                getattr(image, check)()
    except (OSError, ValueError, SyntaxError, EOFError):
        return False
    return True


def is_decoded(data: bytes) -> bool:
    try:
        return decode_image(io.BytesIO(data)) is not None
    except InvalidImageError:
        return False


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("GIF", {}),
    ],
)
def test_an_image_is_decoded_as_strictly_as_in_its_full_size(kind, options):
    file, rng = io.BytesIO(), random.Random(kind)
    Image.frombytes("RGB", (97, 61), rng.randbytes(97 * 61 * 3)).save(file, kind, **options)
    whole = file.getvalue()
    assert decode_image(io.BytesIO(whole)) == (97, 61)
    files = [whole[:-6], *(damaged(whole, rng) for _ in range(60))]
    assert [is_decoded(data) for data in files] == [is_read(data) for data in files]
    assert not is_decoded(whole[: len(whole) // 2])
