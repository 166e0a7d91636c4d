"""The HTML of a gallery: one page that needs nothing else, neither scripts nor the network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_STYLE = """
:root { color-scheme: light dark; --paper: #faf9f7; --card: #fff; --ink: #1d1c1a; --soft: #5c5953; --line: #e3dfd8;
  --accent: #b3410e; --bad: #a3221b; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #161513; --card: #211f1c; --ink: #f1eee9; --soft: #b3aea5; --line: #38342f; --accent: #ff9a5c;
    --bad: #ff8f85; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 96rem; padding: clamp(1rem, 4vw, 3rem); background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0 0 .25rem; font-size: clamp(1.5rem, 4vw, 2.25rem); line-height: 1.2; text-wrap: balance; }
h2 { margin: 3rem 0 1rem; font-size: 1.25rem; }
header p, footer { margin: 0; color: var(--soft); }
footer { margin-top: 3rem; font-size: .875rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); gap: 1.5rem;
  margin: 2rem 0 0; padding: 0; list-style: none; }
.card { display: flex; flex-direction: column; background: var(--card); border: 1px solid var(--line);
  border-radius: .75rem; overflow: clip; }
img { display: block; width: 100%; height: auto; background: var(--line); }
.open { display: block; width: 100%; padding: 0; border: 0; background: none; cursor: zoom-in; }
.open img { aspect-ratio: 4 / 3; object-fit: cover; }
.none { display: grid; place-items: center; aspect-ratio: 4 / 3; padding: 1rem; background: var(--line);
  color: var(--soft); }
.words { padding: .875rem 1rem 1rem; }
.words p { margin: 0; }
.words .prompt { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 4; overflow: hidden; }
.words .note { margin-top: .375rem; color: var(--soft); font-size: .875rem; }
dialog { width: min(72rem, 100vw - 2rem); max-height: calc(100dvh - 2rem); padding: 0; border: 1px solid var(--line);
  border-radius: .75rem; background: var(--card); color: var(--ink); overflow: auto; }
dialog::backdrop { background: rgb(0 0 0 / .7); }
dialog:popover-open { display: grid; grid-template-columns: minmax(0, 1fr); }
dialog img { grid-area: 1 / 1; max-height: 75dvh; object-fit: contain; }
dialog .words { display: grid; gap: 1rem; padding: 1.25rem 1.5rem 1.5rem; }
dialog .prompt { display: block; white-space: pre-line; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .25rem 1rem; margin: 0;
  font-size: .875rem; }
dt { color: var(--soft); }
dd { margin: 0; }
.close { grid-area: 1 / 1; z-index: 1; place-self: start end; position: sticky; top: .75rem; margin: .75rem;
  padding: .375rem .875rem; border: 1px solid var(--line); border-radius: 2rem; background: var(--card);
  color: inherit; font: inherit; cursor: pointer; }
.missing { margin: 0; padding: 0; list-style: none; }
.missing li { padding: .75rem 0; border-top: 1px solid var(--line); }
.missing p { margin: 0; }
.missing .error { color: var(--bad); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.open:focus-visible { outline-offset: -3px; }
@media (max-width: 30rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; } }
@media print { .card { break-inside: avoid; } }
"""
_POLICY = (
    "default-src 'none'; img-src data:; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True)
class EmbeddedImage:
    """An image inside the page.

    Attributes:
        data: The bytes of the file.
        mime_type: Their MIME type.
        width: Width in pixels.
        height: Height in pixels.
    """

    data: bytes
    mime_type: str
    width: int
    height: int

    @property
    def attributes(self) -> str:
        """Source and size, as attributes of an `img`."""
        source = f"data:{self.mime_type};base64,{base64.b64encode(self.data).decode()}"
        return f'src="{source}" width="{self.width}" height="{self.height}" decoding="async"'


@dataclass(frozen=True)
class Card:
    """An image of the gallery with its caption.

    Attributes:
        words: The prompt, or the name of the file.
        facts: Further facts by name.
        note: The most important fact.
        small: The image in the grid; `None` if it cannot be read.
        large: The image when it is opened.
    """

    words: str
    facts: dict[str, str]
    note: str
    small: EmbeddedImage | None
    large: EmbeddedImage | None


@dataclass(frozen=True)
class Gap:
    """A prompt without an image, and the reason."""

    words: str
    status: str
    reason: str


def page(title: str, summary: str, cards: Sequence[Card], gaps: Sequence[Gap]) -> str:
    """Return the HTML of a page. All arguments are text, never markup."""
    figures = "\n".join(_card(number, card) for number, card in enumerate(cards, start=1))
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p>{escape(summary)}</p>
</header>
<main>
<ul class="grid">
{figures}
</ul>
{_gaps(gaps)}</main>
<footer>Made by mistral-imagegen. Click an image or press Enter to open it; press Esc to close it.</footer>
</body>
</html>
"""


def _card(number: int, card: Card) -> str:
    words = escape(card.words)
    note = f'<p class="note">{escape(card.note)}</p>' if card.note else ""
    text = f'<div class="words"><p class="prompt" dir="auto">{words}</p>{note}</div>'
    if card.small is None or card.large is None:
        return f'<li class="card"><div class="none">This image cannot be shown</div>{text}</li>'
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>" for name, fact in card.facts.items())
    return f"""\
<li class="card">
<button class="open" popovertarget="image-{number}"><img alt="{words}" {card.small.attributes}></button>
{text}
<dialog popover id="image-{number}" aria-label="Image {number}">
<button class="close" popovertarget="image-{number}" popovertargetaction="hide" autofocus>Close</button>
<img alt="{words}" {card.large.attributes}>
<div class="words"><p class="prompt" dir="auto">{words}</p><dl>{facts}</dl></div>
</dialog>
</li>"""


def _gaps(gaps: Sequence[Gap]) -> str:
    if not gaps:
        return ""
    lines = "\n".join(
        f'<li><p>{escape(gap.words)}</p><p class="error">{escape(gap.status)}: {escape(gap.reason)}</p></li>'
        for gap in gaps
    )
    return f"""\
<section aria-labelledby="missing">
<h2 id="missing">Without an image</h2>
<ul class="missing">
{lines}
</ul>
</section>
"""
