"""`mistral-imagegen recent`: the last runs that the manifest of a folder records."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from langchain_mistral_imagegen._cli.exit_codes import DONE, NO_IMAGE, UsageError
from langchain_mistral_imagegen._cli.manifest import MANIFEST, Record, read_manifest
from langchain_mistral_imagegen._cli.output import short_path
from langchain_mistral_imagegen._cli.report import Report
from langchain_mistral_imagegen._cli.result import result
from langchain_mistral_imagegen._printable import one_line
from langchain_mistral_imagegen.stores import FsspecImageStore


@dataclass(frozen=True)
class RecentCommand:
    """Lists the last runs, newest first."""

    args: argparse.Namespace
    report: Report = field(default_factory=Report)

    async def run(self) -> int:
        """Print a paragraph or a JSON object per run, and return the exit code."""
        store = FsspecImageStore() if self.args.output is None else FsspecImageStore(self.args.output)
        if store.local_folder is None:
            raise UsageError(f"{store.root} is not a local folder, so it has no manifest")
        path = store.local_folder / MANIFEST
        records = list(read_manifest(path).values()) if path.exists() else []
        recent = sorted(records, key=lambda record: record["time"])[-self.args.count :]
        width = shutil.get_terminal_size().columns
        for record in reversed(recent):
            self.report.print(_json(record, store) if self.args.json else "\n".join(_lines(record, store, width)))
        if not recent and not self.args.json:
            self.report.print(f"{short_path(str(path))} records no images yet.")
        return DONE if recent else NO_IMAGE


def _json(record: Record, store: FsspecImageStore) -> str:
    images = [{**ref, **({"path": path} if (path := _path(ref, store)) else {})} for ref in record.get("images", ())]
    return json.dumps(result("recorded", {**record, "images": images}))


def _lines(record: Record, store: FsspecImageStore, width: int) -> Iterator[str]:
    """Yield when and what, then the whole paths and the conversation, which may be copied."""
    what = " ".join(record["prompt"].split())
    head = f"{record['time'][:16].replace('T', ' ')}  {record['status']}  {what}"
    head = one_line(head)
    yield head if len(head) <= width else f"{head[: max(width - 1, 20)]}…"
    for ref in record.get("images", ()):
        yield f"  {one_line(_path(ref, store) or ref['id'])}"
    if "conversation_id" in record:
        yield f"  {one_line(record['conversation_id'])}{' (sandbox)' if record.get('sandbox') else ''}"


def _path(ref: Any, store: FsspecImageStore) -> str | None:
    return short_path(store.location(ref["key"])) if "key" in ref else None
