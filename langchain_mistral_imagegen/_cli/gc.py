"""`mistral-imagegen gc`: files in an image store that nothing refers to."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from langchain_mistral_imagegen._cli.exit_codes import DONE, UsageError
from langchain_mistral_imagegen._cli.report import Report
from langchain_mistral_imagegen.garbage import collect_garbage, live_images
from langchain_mistral_imagegen.images import ImageRef
from langchain_mistral_imagegen.stores import FsspecImageStore
from langchain_mistral_imagegen.stores._incoming import IMAGE_KEY


@dataclass(frozen=True)
class GarbageCommand:
    """Lists garbage, or deletes it."""

    args: argparse.Namespace
    report: Report = field(default_factory=Report)

    async def run(self) -> int:
        """Print the keys, and return the exit code."""
        store = FsspecImageStore() if self.args.output is None else FsspecImageStore(self.args.output)
        with ExitStack() as stack:
            live = self._live(store, stack)
            grace = timedelta(days=self.args.days)
            keys = collect_garbage(store, live, grace=grace, dry_run=not self.args.delete)
        for key in keys:
            self.report.print(store.location(key))
        count = f"{len(keys)} {'file' if len(keys) == 1 else 'files'}"
        self.report.notice(f"{count} deleted." if self.args.delete else f"{count} would be deleted with --delete.")
        return DONE

    def _live(self, store: FsspecImageStore, stack: ExitStack) -> Iterator[ImageRef | str]:
        """Yield what is in use: the images of checkpoints, or all, if no checkpoints are given."""
        if not self.args.checkpoints:
            yield from (key for key in store.all_keys() if IMAGE_KEY.fullmatch(key))
        for file in self.args.checkpoints or ():
            if not Path(file).is_file():
                raise UsageError(f"{file} is not a file with checkpoints")
            from langgraph.checkpoint.sqlite import SqliteSaver  # noqa: PLC0415  # another package

            yield from live_images(stack.enter_context(SqliteSaver.from_conn_string(file)))
