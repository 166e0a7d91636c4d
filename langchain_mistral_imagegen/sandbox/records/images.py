"""Draws placeholder images from prompts: the words decide what is on them, and in which colours."""

from __future__ import annotations

import functools
import hashlib
import io
import random
import re
import unicodedata
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFont

SIZE = (1024, 768)
_LONGEST_CAPTION = 120  # characters; measuring a longer text would take longer than drawing the image
Color = tuple[int, int, int]
Draw = ImageDraw.ImageDraw
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_FONTS = (
    "DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "arial.ttf", "Arial.ttf",
    "Arial Unicode.ttf", "NotoSansCJK-Regular.ttc", "msyh.ttc", "PingFang.ttc", "NotoSansArabic-Regular.ttf",
    "NotoSansDevanagari-Regular.ttf", "NotoSansThai-Regular.ttf",
)  # fmt: skip

_COLORS: dict[str, Color] = {
    "orange": (238, 138, 44), "red|rouge|rot|rojo": (208, 60, 52), "blue|bleu|blau|azul": (62, 118, 200),
    "green|vert|grün|verde": (86, 154, 88), "yellow|jaune|gelb|amarillo": (244, 200, 66),
    "purple|violet|lila|morado": (136, 92, 178), "pink|rose|rosa": (236, 140, 172), "brown|brun|braun": (140, 96, 64),
    "black|noir|schwarz|negro": (52, 52, 58), "white|blanc|blanche|weiß|blanco": (240, 238, 232),
    "gr[ae]y|gris|grau": (140, 144, 150), "gold|doré": (212, 168, 60),
}  # fmt: skip


def _find(words: str, prompt: str) -> re.Match[str] | None:
    """Find one of the words, with the endings that plurals, French and German give them."""
    return re.search(rf"\b(?:{words})e?[mnrs]?\b", prompt, re.IGNORECASE)


def _color(prompt: str, otherwise: Color) -> Color:
    found = [(match.start(), color) for words, color in _COLORS.items() if (match := _find(words, prompt))]
    return min(found)[1] if found else otherwise


def _darker(color: Color, factor: float = 0.7) -> Color:
    red, green, blue = (int(part * factor) for part in color)
    return red, green, blue


def _cat(draw: Draw, color: Color) -> None:
    draw.ellipse((380, 330, 680, 650), fill=color)  # body
    draw.arc((600, 380, 820, 640), 330, 200, fill=color, width=38)  # tail
    draw.polygon([(400, 250), (415, 130), (500, 200)], fill=color)
    draw.polygon([(660, 250), (645, 130), (560, 200)], fill=color)
    draw.ellipse((390, 170, 670, 420), fill=color)  # head
    for left in (460, 560):
        draw.ellipse((left, 260, left + 40, 310), fill=(60, 120, 70))
        draw.ellipse((left + 13, 265, left + 27, 305), fill=(20, 20, 20))
    draw.polygon([(518, 330), (542, 330), (530, 346)], fill=(190, 90, 90))
    for shift in (-14, 0, 14):
        draw.line([(500, 345), (400, 335 + shift)], fill=(60, 50, 40), width=3)
        draw.line([(560, 345), (660, 335 + shift)], fill=(60, 50, 40), width=3)
    for top in (440, 490, 540):
        draw.arc((430, top, 630, top + 60), 200, 340, fill=_darker(color), width=12)


def _dog(draw: Draw, color: Color) -> None:
    draw.rounded_rectangle((360, 380, 700, 580), 80, fill=color)
    for left in (390, 450, 590, 640):
        draw.rounded_rectangle((left, 540, left + 40, 680), 15, fill=color)
    draw.ellipse((580, 230, 780, 430), fill=color)
    draw.rounded_rectangle((700, 320, 840, 410), 40, fill=color)
    draw.ellipse((805, 325, 840, 360), fill=(30, 30, 30))
    draw.ellipse((690, 290, 720, 320), fill=(30, 30, 30))
    draw.ellipse((570, 240, 640, 400), fill=_darker(color))
    draw.arc((260, 300, 420, 460), 60, 180, fill=color, width=26)


def _house(draw: Draw, color: Color) -> None:
    draw.rectangle((330, 360, 700, 660), fill=color)
    draw.polygon([(290, 370), (515, 180), (740, 370)], fill=_darker(color))
    draw.rectangle((470, 500, 560, 660), fill=_darker(color, 0.5))
    for left in (370, 590):
        draw.rectangle((left, 420, left + 70, 490), fill=(250, 236, 170))


def _tree(draw: Draw, color: Color) -> None:
    draw.rectangle((490, 440, 540, 670), fill=(120, 84, 56))
    for left, top in ((360, 230), (480, 200), (420, 140)):
        draw.ellipse((left, top, left + 200, top + 240), fill=color)


def _flower(draw: Draw, color: Color) -> None:
    draw.line([(515, 420), (515, 680)], fill=(86, 154, 88), width=16)
    for x, y in ((445, 250), (585, 250), (445, 380), (585, 380), (515, 220), (515, 410), (420, 315), (610, 315)):
        draw.ellipse((x - 60, y - 60, x + 60, y + 60), fill=color)
    draw.ellipse((455, 255, 575, 375), fill=(244, 200, 66))


def _boat(draw: Draw, color: Color) -> None:
    draw.polygon([(300, 520), (740, 520), (660, 620), (380, 620)], fill=color)
    draw.line([(520, 160), (520, 520)], fill=(90, 70, 50), width=12)
    draw.polygon([(535, 180), (535, 480), (720, 480)], fill=(245, 242, 234))


def _mountain(draw: Draw, color: Color) -> None:
    draw.polygon([(120, 660), (430, 200), (740, 660)], fill=color)
    draw.polygon([(480, 660), (720, 310), (960, 660)], fill=_darker(color))
    draw.polygon([(370, 290), (430, 200), (490, 290), (430, 320)], fill=(250, 250, 250))


_SUBJECTS: tuple[tuple[str, Color, Callable[[Draw, Color], None]], ...] = (
    ("cat|kitten|chat|katze|gato", (150, 140, 132), _cat),
    ("dog|puppy|chien|hund|perro", (168, 122, 80), _dog),
    ("house|home|cottage|maison|haus|casa", (214, 178, 140), _house),
    ("tree|forest|arbre|baum|wald|árbol", (86, 154, 88), _tree),
    ("flower|rose|tulip|fleur|blume|flor", (226, 92, 120), _flower),
    ("boat|ship|bateau|boot|schiff|barco", (160, 92, 60), _boat),
    ("mountain|montagne|berg|montaña", (120, 128, 142), _mountain),
)


def _abstract(draw: Draw, color: Color, dice: random.Random) -> None:
    for _ in range(9):
        x, y, radius = dice.randint(80, 940), dice.randint(80, 640), dice.randint(40, 170)
        shade = _darker(color, dice.uniform(0.5, 1.15))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(min(255, part) for part in shade))


def _scene(draw: Draw, prompt: str) -> None:
    is_night = re.search(r"\b(?:night|nuit|nacht|noche|dark)", prompt, re.IGNORECASE)
    wall, floor = ((34, 38, 66), (24, 26, 46)) if is_night else ((226, 234, 240), (204, 196, 184))
    draw.rectangle((0, 0, 1024, 768), fill=wall)
    draw.rectangle((0, 580, 1024, 768), fill=floor)
    if is_night:
        dice = random.Random(prompt)  # noqa: S311  # stars, not secrets
        for _ in range(60):
            x, y = dice.randint(0, 1023), dice.randint(0, 420)
            draw.ellipse((x, y, x + 3, y + 3), fill=(250, 246, 220))
        draw.ellipse((840, 60, 930, 150), fill=(246, 240, 206))
    if re.search(r"\b(?:office|bureau|büro|oficina|desk)", prompt, re.IGNORECASE):
        _office(draw, _darker(wall, 0.9))
    elif re.search(r"\b(?:sun|soleil|sonne|sol|beach|day)", prompt, re.IGNORECASE):
        draw.ellipse((820, 60, 940, 180), fill=(250, 206, 80))


def _office(draw: Draw, shade: Color) -> None:
    draw.rectangle((70, 90, 330, 380), fill=(250, 250, 248))
    draw.rectangle((84, 104, 316, 366), fill=(150, 196, 226))
    draw.line([(200, 104), (200, 366)], fill=(250, 250, 248), width=10)
    draw.rectangle((0, 560, 1024, 620), fill=(150, 108, 74))
    draw.rectangle((60, 620, 110, 768), fill=(124, 88, 60))
    draw.rectangle((900, 620, 950, 768), fill=(124, 88, 60))
    draw.rounded_rectangle((770, 370, 970, 510), 10, fill=(48, 52, 60))
    draw.rectangle((782, 382, 958, 498), fill=(122, 168, 200))
    draw.rectangle((855, 510, 885, 560), fill=(48, 52, 60))
    draw.rectangle((400, 60, 980, 70), fill=shade)


def _caption(draw: Draw, prompt: str) -> None:
    text = " ".join(prompt[:_LONGEST_CAPTION].split())
    font, text = _font_and_text(text)
    while draw.textlength(text, font=font) > SIZE[0] - 60:
        text = text.removesuffix("…")[:-2].rstrip() + "…"
    draw.rectangle((0, 712, 1024, 768), fill=(24, 26, 32))
    draw.text((20, 724), text, font=font, fill=(236, 236, 236))
    draw.text((1004, 20), "SANDBOX", font=ImageFont.load_default(size=34), fill=(150, 60, 60), anchor="ra")


def _font_and_text(text: str) -> tuple[Font, str]:
    """Choose a font that has the letters: Pillow's own if it can, so that most captions are the same everywhere."""
    own = ImageFont.load_default(size=26)
    if _has_letters(own, text):
        return own, text
    for name in _FONTS:
        font = _system_font(name)
        if font and _has_letters(font, text):
            return font, text
    plain = unicodedata.normalize("NFKD", text)
    return own, "".join(letter for letter in plain if not unicodedata.combining(letter))


@functools.cache
def _system_font(name: str) -> Font | None:
    try:
        return ImageFont.truetype(name, 24)
    except OSError:
        return None


def _has_letters(font: Font, text: str) -> bool:
    missing = bytes(font.getmask("\uffff"))
    return all(bytes(font.getmask(letter)) != missing for letter in set(text) if not letter.isspace())


@functools.lru_cache(maxsize=256)
def draw_image(prompt: str) -> bytes:
    """Draw a prompt as a JPEG of 1024 x 768 pixels; the same prompt gives the same bytes."""
    image = Image.new("RGB", SIZE)
    draw = ImageDraw.Draw(image)
    dice = random.Random(hashlib.sha256(prompt.encode()).digest())  # noqa: S311  # the prompt decides
    _scene(draw, prompt)
    subjects = [
        (found.start(), ordinary, paint) for words, ordinary, paint in _SUBJECTS if (found := _find(words, prompt))
    ]
    if subjects:
        _, ordinary, paint = min(subjects, key=lambda subject: subject[0])
        paint(draw, _color(prompt, ordinary))
    else:
        _abstract(draw, _color(prompt, dice.choice(list(_COLORS.values()))), dice)
    _caption(draw, prompt)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=82)
    return file.getvalue()


def padded(jpeg: bytes, size: int) -> bytes:
    """Make a JPEG exactly this long, if it is shorter, by bytes after its end, which decoders pass over."""
    return jpeg + b"\0" * (size - len(jpeg))
