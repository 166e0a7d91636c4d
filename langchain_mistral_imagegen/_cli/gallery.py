"""`mistral-imagegen gallery`: a page of the images in a folder, with their prompts from the manifest."""

from __future__ import annotations

import argparse
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from langchain_mistral_imagegen._cli.exit_codes import DONE, NO_IMAGE, UsageError
from langchain_mistral_imagegen._cli.gallery_page import Card, EmbeddedImage, Gap, page
from langchain_mistral_imagegen._cli.manifest import MANIFEST, Record, read_lines
from langchain_mistral_imagegen._cli.output import short_path
from langchain_mistral_imagegen._cli.report import Report, times
from langchain_mistral_imagegen._files import make_folder, write_file
from langchain_mistral_imagegen._reduced_image import reduced_image
from langchain_mistral_imagegen.images import image_size, sniff_image

PAGE = "gallery.html"
_SMALL, _LARGE = 640, 1600  # pixels of the longer side
_GAPS = {
    "asked": ("Unfinished", "no answer was recorded; --resume looks for it"),
    "drawn": ("Unfinished", "it was drawn, but not downloaded; --resume downloads it"),
    "stored": ("Missing", "its file is not in the folder; --resume downloads it again"),
    "text": ("Answered with text", ""),
    "failed": ("Failed", ""),
}


@dataclass(frozen=True)
class GalleryCommand:
    """Writes the page of a folder."""

    args: argparse.Namespace
    report: Report = field(default_factory=Report)

    async def run(self) -> int:
        """Write the page, print its path, and return the exit code."""
        return self._write()

    def _write(self) -> int:
        folder = Path(self.args.folder)
        if not folder.is_dir():
            raise UsageError(f"{self.args.folder} is not a folder")
        gallery = Gallery(folder, self._lines(folder), is_reduced=not self.args.originals)
        target = Path(self.args.output or folder / PAGE)
        make_folder(target.parent)
        title = self.args.title or folder.resolve().name.replace("_", " ").capitalize()
        write_file(target, gallery.page(title).encode("utf-8", "replace"))
        self.report.print(short_path(str(target.absolute())))
        return DONE if gallery.files else NO_IMAGE

    def _lines(self, folder: Path) -> list[Record]:
        if self.args.manifest:
            return read_lines(Path(self.args.manifest))
        return read_lines(folder / MANIFEST) if (folder / MANIFEST).exists() else []


class Gallery:
    """The images in a folder. No other file is read, whatever the manifest names."""

    def __init__(self, folder: Path, lines: Sequence[Record], *, is_reduced: bool = True) -> None:
        self._folder = folder
        self._is_reduced = is_reduced
        self.files = {path.relative_to(folder).as_posix(): path for path in _images(folder)}
        self._records = {record["id"]: record for record in lines}
        # A prompt may have been answered more than once; each conversation was paid for.
        self._answers = {str(record["conversation_id"]): record for record in lines if "conversation_id" in record}

    def page(self, title: str) -> str:
        """Return the page: first the images in the manifest, in its order, then the others."""
        named = [(record, ref) for record in self._records.values() for ref in record.get("images", ())]
        known = {str(ref.get("key")): (record, ref) for record, ref in named}
        keys = [*dict.fromkeys(key for key in known if key in self.files), *sorted(self.files.keys() - known.keys())]
        cards = [self._card(key, *known.get(key, (None, {}))) for key in keys]
        return page(title, self._summary(), cards, list(self._gaps()))

    def _card(self, key: str, record: Record | None, ref: Mapping[str, Any]) -> Card:
        small, large, size = self._embedded(self.files[key])
        words = record["prompt"] if record else self.files[key].stem.replace("-", " ").replace("_", " ")
        facts = {"File": key, "Size": size, **(_facts(record, ref) if record else {})}
        return Card(words, facts, size.partition(",")[0], small, large)

    def _embedded(self, path: Path) -> tuple[EmbeddedImage | None, EmbeddedImage | None, str]:
        """Return an image small and large, and a text with its original size."""
        data = path.read_bytes()
        kind, pixels = sniff_image(data[:16]), image_size(io.BytesIO(data))
        try:
            large = reduced_image(io.BytesIO(data), _LARGE)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return None, None, ""
        if kind is None or pixels is None:
            return None, None, ""
        whole = EmbeddedImage(data, kind.mime_type, *pixels)
        size = f"{pixels[0]} × {pixels[1]} pixels, {len(data):,} bytes"  # noqa: RUF001  # a person reads it
        return _reduced(large, _SMALL), _reduced(large, _LARGE) if self._is_reduced else whole, size

    def _summary(self) -> str:
        count = len(self.files)
        used = _usage(self._answers.values())
        days = sorted(record["time"][:10] for record in self._records.values())
        when = " to ".join(dict.fromkeys([days[0], days[-1]])) if days else ""
        return " · ".join(part for part in (f"{count} {'image' if count == 1 else 'images'}", when, used) if part)

    def _gaps(self) -> Iterator[Gap]:
        for record in self._records.values():
            if not any(ref.get("key") in self.files for ref in record.get("images", ())):
                status, reason = _GAPS[record["status"]]
                yield Gap(record["prompt"], status, str(record.get("error") or reason or record.get("text", "")))


def _facts(record: Record, ref: Mapping[str, Any]) -> dict[str, str]:
    facts = {
        "Id": record["id"],
        "Drawn": record["time"],
        "By": record.get("agent_id") or record.get("model_name"),
        "Usage": _usage([record]),
        "Conversation": ref.get("conversation_id"),
        "File at Mistral": ref.get("file_id"),
    }
    return {name: str(fact) for name, fact in facts.items() if fact}


def _images(folder: Path) -> Iterator[Path]:
    """Yield the images below a folder, without hidden files and links out of it."""
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if path.is_symlink() or any(part.startswith((".", "_")) for part in inner.parts) or not path.is_file():
            continue
        with path.open("rb") as file:
            if sniff_image(file.read(16)):
                yield path


def _reduced(image: Image.Image, longest: int) -> EmbeddedImage:
    small = image.copy()
    small.thumbnail((longest, longest))
    data = io.BytesIO()
    small.save(data, "WEBP", quality=80)
    return EmbeddedImage(data.getvalue(), "image/webp", small.width, small.height)


def _usage(records: Iterable[Record]) -> str:
    tokens, called, unreported = 0, Counter[str](), 0
    for record in records:
        usage, connectors = record.get("usage"), record.get("connectors")
        tokens += _number(usage, "total_tokens")
        unreported += not isinstance(usage, dict)
        if isinstance(connectors, dict):
            called.update({name: _number(connectors, name) for name in connectors})
        else:  # an answer that was looked up, of which Mistral reports no usage
            called["image_generation"] += len(record.get("images", ()))
    calls = [f"{name} called {times(count)}" for name, count in called.items() if count]
    unknown = [f"the tokens of {unreported} {'answer' if unreported == 1 else 'answers'} not reported"]
    return ", ".join([*calls, *([f"{tokens:,} tokens"] if tokens else []), *(unknown if unreported else [])])


def _number(values: Any, name: str) -> int:
    value = values.get(name) if isinstance(values, dict) else None
    return value if isinstance(value, int) else 0
