"""The gallery: what is in the page, and how a real browser shows it."""

from __future__ import annotations

import base64
import io
import json
import re
import struct
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import Browser, find_browser
from PIL import Image
from synced_disk import SyncedDisk

EVIL = (
    """Draw a "cat" '&amp;' </p></style><script>document.title = "owned"</script><img src=x onerror=alert(1)> ${7*7}"""
)
CONTRAST = """
(() => {
  const light = rgb => { const [r, g, b] = rgb.map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
                         return .2126 * r + .7152 * g + .0722 * b; };
  const colour = text => text.match(/[\\d.]+/g).map(Number);
  const behind = e => { for (; e; e = e.parentElement) { const c = colour(getComputedStyle(e).backgroundColor);
                        if (c.length < 4 || c[3] > 0) return c.slice(0, 3); } };
  const seen = [...document.querySelectorAll('h1, h2, p, dt, dd, button.close, footer')].filter(e => e.textContent.trim());
  return seen.map(e => { const [a, b] = [light(colour(getComputedStyle(e).color).slice(0, 3)), light(behind(e))];
                         return (Math.max(a, b) + .05) / (Math.min(a, b) + .05); });
})()
"""


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag == name]


@pytest.fixture(scope="module")
def browser():
    program = find_browser()
    if program is None:
        pytest.skip("there is no Chromium or Chrome here")
    with Browser(program) as running:
        yield running


@pytest.fixture
def page(command, sandbox, tmp_path) -> Path:
    """A gallery of five prompts, of which one asks for no image and one is made to harm."""
    prompts = ["Draw a cat.", "Draw a red house.", EVIL, "Draw a boat. " + "And " * 60 + "x" * 90, "Hello <b>you</b>"]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))
    command("-q", "--from", "p.jsonl", "-o", "pics", server=sandbox)
    done = command("gallery", "pics")
    assert (done.returncode, done.stdout) == (0, "pics/gallery.html\n")
    return tmp_path / "pics" / "gallery.html"


def test_the_page_has_prompts_ids_and_usage(page):
    text = page.read_text()
    assert "4 images" in text
    assert "image_generation called 4 times" in text
    for line in map(json.loads, (page.parent / "manifest.jsonl").read_text().splitlines()):
        for image in line.get("images", ()):
            assert image["file_id"] in text
            assert line["conversation_id"] in text
    assert re.search(r"Without an image.*Answered with text: Hello! How can I help", text, re.DOTALL)


def test_what_others_wrote_is_text_and_nothing_is_fetched(page):
    tags = Tags(page.read_text())
    assert tags.of("script") == tags.of("b") == []
    assert not any(name.startswith("on") for _, attributes in tags.found for name in attributes)
    assert all(re.match(r"data:image/(webp|jpeg);base64,", image["src"]) for image in tags.of("img"))
    assert EVIL in {image["alt"] for image in tags.of("img")}
    (policy,) = [meta["content"] for meta in tags.of("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert not re.search(r"https?://", page.read_text())


@pytest.mark.slow
def test_images_are_reduced_unless_originals_are_wanted(command, tmp_path):
    (tmp_path / "pics").mkdir()
    original = io.BytesIO()
    Image.effect_noise((2400, 1200), 60).convert("RGB").save(original, "JPEG")
    (tmp_path / "pics" / "big-noise.jpg").write_bytes(original.getvalue())
    sizes = []
    for options in ([], ["--originals"]):
        command("gallery", "pics", *options)
        images = Tags((tmp_path / "pics" / "gallery.html").read_text()).of("img")
        sizes.append([(int(image["width"]), int(image["height"])) for image in images])
    assert sizes == [[(640, 320), (1600, 800)], [(640, 320), (2400, 1200)]]
    assert base64.b64encode(original.getvalue()).decode() in (tmp_path / "pics" / "gallery.html").read_text()


def test_after_a_power_cut_a_page_is_there_with_all_its_folders(command, tmp_path, monkeypatch):
    (tmp_path / "pics").mkdir()
    Image.new("RGB", (8, 6)).save(tmp_path / "pics" / "boat.png")
    disk = SyncedDisk(tmp_path, monkeypatch)
    assert command("gallery", "pics", "-o", "new/pages/boats.html").returncode == 0
    assert disk.cut_power().get("new/pages/boats.html") == (tmp_path / "new/pages/boats.html").read_bytes()


def test_a_folder_without_a_manifest_shows_all_images_in_it_and_no_others(command, tmp_path):
    folder, outside = tmp_path / "pics", tmp_path / "outside.png"
    (folder / "deep" / ".hidden").mkdir(parents=True)
    Image.new("RGB", (8, 6)).save(outside)
    for place in ("red-cat_2.png", "deep/dog.webp", "deep/.hidden/no.png", ".no.png"):
        Image.new("RGB", (8, 6)).save(folder / place)
    (folder / "link.png").symlink_to(outside)
    (folder / "notes.png").write_text("words")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff and no more")
    (folder / "bomb.png").write_bytes(bomb())
    assert command("gallery", "pics", "-o", "new/page.html", "--title", "A < B").returncode == 0
    text = (tmp_path / "new" / "page.html").read_text()
    assert "<h1>A &lt; B</h1>" in text
    assert "4 images" in text
    assert {image["alt"] for image in Tags(text).of("img")} == {"red cat 2", "dog"}
    assert text.count("This image cannot be shown") == 2


def bomb() -> bytes:
    """Return a PNG whose header claims 40,000 times 40,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.slow
def test_a_small_file_with_a_huge_image_takes_no_gigabytes(tmp_path):
    (tmp_path / "pics").mkdir()
    Image.new("1", (13_000, 13_000)).save(tmp_path / "pics" / "huge.png")
    Image.new("RGB", (8, 6)).save(tmp_path / "pics" / "cat.png")
    code = """
import re, sys
from langchain_mistral_imagegen._cli.main import main
code = main(["gallery", "pics"])
print(re.search("VmHWM:\\\\s*(\\\\d+)", open("/proc/self/status").read())[1], file=sys.stderr)
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "pics/gallery.html\n")
    assert int(done.stderr) < 200_000  # kB; decoded as RGB it takes 507,000
    assert "This image cannot be shown" in (tmp_path / "pics" / "gallery.html").read_text()


def test_all_answers_that_were_paid_for_are_counted(command, tmp_path):
    (tmp_path / "pics").mkdir()
    base = {"id": "a", "prompt": "A.", "time": "2026-01-01T00:00:00+00:00"}
    image = {"id": "f", "status": "remote"}
    usage = {"usage": {"total_tokens": 100}, "connectors": {"image_generation": 1}}
    lines = [
        {**base, "status": "asked", "key": "k"},
        {**base, "status": "text", "conversation_id": "conv_1", **usage},  # paid for, and asked again with --retry
        {**base, "status": "drawn", "conversation_id": "conv_2", "images": [image], **usage},
        {**base, "status": "stored", "conversation_id": "conv_2", "images": [image], **usage},
        {**base, "id": "b", "status": "stored", "conversation_id": "conv_3", "images": [image]},  # found by --resume
    ]
    (tmp_path / "pics" / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    command("gallery", "pics")
    text = (tmp_path / "pics" / "gallery.html").read_text()
    assert "image_generation called 3 times, 200 tokens, the tokens of 1 answer not reported" in text


def test_a_manifest_cannot_bring_in_files_from_elsewhere(command, tmp_path):
    (tmp_path / "pics").mkdir()
    Image.new("RGB", (8, 6)).save(tmp_path / "secret.png")
    image = {"id": "i", "status": "stored", "key": "../secret.png"}
    record = {
        "id": "a",
        "prompt": "A.",
        "status": "stored",
        "time": "t",
        "images": [image],
        "usage": [],
        "connectors": 3,
    }
    (tmp_path / "pics" / "manifest.jsonl").write_text(json.dumps(record) + "\n")
    assert command("gallery", "pics").returncode == 1
    text = (tmp_path / "pics" / "gallery.html").read_text()
    assert Tags(text).of("img") == []
    assert "Missing: its file is not in the folder" in text


def test_a_manifest_that_is_not_there_exits_2(command, tmp_path):
    done = command("gallery", ".", "--manifest", "nowhere.jsonl")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Cannot read the manifest: " in done.stderr


def test_what_is_no_folder_exits_2(command):
    done = command("gallery", "nowhere")
    assert (done.returncode, done.stderr) == (2, "mistral-imagegen: nowhere is not a folder\n")


@pytest.mark.slow
@pytest.mark.parametrize(("width", "columns"), [(375, 1), (1280, 4)])
def test_it_fits_phones_and_desktops(browser, page, width, columns):
    browser.open(page, width, 800)
    assert browser.eval("document.documentElement.scrollWidth") == width
    assert (
        browser.eval("Math.max(...[...document.querySelectorAll('body *')].map(e => e.getBoundingClientRect().right))")
        <= width
    )
    shown = browser.eval("getComputedStyle(document.querySelector('.grid')).gridTemplateColumns.split(' ').length")
    assert shown == columns
    sizes = browser.eval(
        "[...document.querySelectorAll('.open img')].map(i => [i.naturalWidth, i.clientWidth / i.clientHeight])"
    )
    assert sizes == [[640, pytest.approx(4 / 3, abs=0.01)]] * 4
    assert browser.eval("[...document.images].every(i => i.alt)")


@pytest.mark.slow
@pytest.mark.parametrize("width", [375, 1280])
def test_the_keyboard_opens_and_closes_images(browser, page, width):
    browser.open(page, width, 800)
    alts = []
    for _ in range(4):
        browser.press("Tab")
        alts.append(browser.eval("document.activeElement.querySelector('img').alt"))
        assert browser.eval("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert alts == browser.eval("[...document.querySelectorAll('.open img')].map(i => i.alt)")
    browser.press("Enter")
    is_open = "[...document.querySelectorAll('dialog')].map(d => d.matches(':popover-open'))"
    assert browser.eval(is_open) == [False, False, False, True]
    box = "(e => [e.left, e.top, innerWidth - e.right, innerHeight - e.bottom])(document.querySelector('dialog:popover-open').getBoundingClientRect())"
    assert min(browser.eval(box)) >= 0
    assert browser.eval("document.querySelector('dialog:popover-open img').getBoundingClientRect().top") >= 0
    assert browser.eval("document.activeElement.textContent") == "Close"
    assert browser.eval("document.documentElement.scrollWidth") == width
    browser.press("Escape")
    assert browser.eval(is_open) == [False] * 4
    assert browser.eval("document.activeElement.querySelector('img').alt") == alts[-1]


@pytest.mark.slow
def test_dark_and_light_are_both_readable(browser, page):
    papers = []
    for scheme in ("light", "dark"):
        browser.open(page, 1280, 800, scheme=scheme)
        papers.append(browser.eval("getComputedStyle(document.body).backgroundColor"))
        contrasts = browser.eval(CONTRAST)
        assert len(contrasts) > 20
        assert min(contrasts) >= 4.5
    assert papers == ["rgb(250, 249, 247)", "rgb(22, 21, 19)"]


def test_the_browser_obeys_no_prompt_and_asks_nobody(browser, page):
    browser.open(page, 1280, 800)
    assert browser.eval("document.title") == "Pics"
    assert browser.eval("document.querySelectorAll('script, [onerror]').length") == 0
    asked = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event.get("method") == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
    refused = "fetch('https://example.org').then(() => 'fetched', error => error.name)"
    assert browser.eval(refused) == "TypeError"
    complaints = [event for event in browser.events if event.get("method") == "Log.entryAdded"]
    assert any("Content Security Policy" in json.dumps(event) for event in complaints)


@pytest.mark.slow
def test_five_scripts_are_readable_and_read_in_their_direction(browser, command, sandbox, tmp_path):
    prompts = [
        "Draw a cat.",
        "猫がオフィスで眠っている絵",
        "Нарисуй рыжего кота",
        "ارسم قطة برتقالية",
        "बिल्ली का चित्र बनाओ",
    ]
    (tmp_path / "p.txt").write_text("\n".join(prompts), encoding="utf-8")
    command("-q", "--from", "p.txt", "-o", "pics", server=sandbox)
    command("gallery", "pics")
    browser.open(tmp_path / "pics" / "gallery.html", 375, 800)
    shown = "[...document.querySelectorAll('.card > .words .prompt')].map(e => [e.textContent, getComputedStyle(e).direction])"
    assert dict(browser.eval(shown)) == {prompt: "rtl" if "قطة" in prompt else "ltr" for prompt in prompts}
    assert browser.eval("document.documentElement.scrollWidth") == 375
    assert browser.eval("[...document.images].every(i => i.complete && i.naturalWidth)")
