"""Many prompts: several at the same time, and none of them paid for twice.

Before a prompt is sent, the manifest gets a line with a key that also goes to Mistral. Further lines record the
conversation and files of the answer, and then the stored images. If a run is killed between two
lines, the next run continues:

    manifest      meaning                         next run                   next run with --resume
    (no line)     not sent                        sends                      sends
    failed        refused, nothing was paid       sends                      sends
    asked         sent, no answer recorded        leaves it alone            looks for the answer, else sends
    drawn         paid for, not all downloaded    leaves it alone            downloads
    stored        done                            skips; does not download   skips; downloads images that
                                                  missing images             are missing in the folder
    text          done, without an image          skips; --retry sends       skips; --retry sends
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from langchain_core.messages import AIMessage

from langchain_mistral_imagegen._cli.batch_report import BatchReport, batch_report
from langchain_mistral_imagegen._cli.exit_codes import DONE, FAILED, NO_IMAGE, UsageError
from langchain_mistral_imagegen._cli.file_names import image_name
from langchain_mistral_imagegen._cli.manifest import MANIFEST, BadManifestError, Manifest, Record, Status, now
from langchain_mistral_imagegen._cli.output import short_path, writable_output
from langchain_mistral_imagegen._cli.prompts import Prompt, read_prompts, run_of, versions
from langchain_mistral_imagegen._cli.report import facts_of
from langchain_mistral_imagegen._cli.session import Session, session
from langchain_mistral_imagegen._conversations.pay_once import PayOnce, paying_once
from langchain_mistral_imagegen._downloads import attempted
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen._prompt_words import with_shape
from langchain_mistral_imagegen._protocol.retry import is_unpaid
from langchain_mistral_imagegen.errors import AuthenticationError, MistralImagegenError, QuotaExceededError
from langchain_mistral_imagegen.images import ImageRef
from langchain_mistral_imagegen.stores import FsspecImageStore

_DONE, _PAID = {"stored", "text"}, {"asked", "drawn"}
_HOPELESS = (AuthenticationError, QuotaExceededError)  # all other prompts would be refused too


@dataclass(frozen=True)
class BatchCommand:
    """Sends each prompt of a file."""

    args: argparse.Namespace
    report: BatchReport

    @classmethod
    def of(cls, args: argparse.Namespace) -> BatchCommand:
        """Create the command with the report that the options choose."""
        return cls(args, batch_report(as_json=args.json, quiet=args.quiet))

    async def run(self) -> int:
        """Send the prompts that are not done, store the images, and return the exit code."""
        output = writable_output(self.args.output)
        if output.file_name:
            raise UsageError(f"{self.args.output} is a file name, which is for one prompt; choose a folder with -o")
        store = output.store
        with _manifest(self.args.manifest, store) as manifest:
            prompts = self._prompts(manifest)
            _check_unchanged(prompts, manifest)
            async with session(self.args, self.report.notice) as connected:
                self.report.is_free = connected.is_sandbox
                if connected.is_sandbox:
                    _check_free(prompts, manifest)
                else:
                    self.report.rescue = "run the command again with --resume"
                batch = Batch(
                    connected,
                    store,
                    manifest,
                    self.report,
                    resume=self.args.resume,
                    retry=self.args.retry,
                    shape=self.args.shape,
                )
                self.report.announced(batch.count_unsent(prompts))
                with self.report:
                    try:
                        await batch.run(prompts, self.args.concurrency)
                    finally:
                        self.report.summarize(short_path(str(manifest.path.absolute())))
        return _exit_code(self.report)

    def _prompts(self, manifest: Manifest) -> list[Prompt]:
        """Read the prompts, or make several of one; `--resume` continues the last run of that one."""
        if self.args.prompts is not None:
            return read_prompts(self.args.prompts)
        before = [record for record in manifest.records() if record["prompt"] == self.args.prompt]
        run = next(filter(None, (run_of(record["id"]) for record in reversed(before))), None)
        return versions(self.args.prompt, self.args.count, run if self.args.resume else None)


@dataclass
class Batch:
    """Runs the next step of each prompt."""

    session: Session
    store: FsspecImageStore
    manifest: Manifest
    report: BatchReport
    resume: bool = False
    retry: bool = False
    shape: str | None = None
    _is_hopeless: bool = field(default=False, init=False)

    async def run(self, prompts: Sequence[Prompt], concurrency: int) -> None:
        """Run all prompts, several at the same time; a prompt that fails does not stop the others.

        Raises:
            OSError: If the manifest cannot be written. Nothing more is paid for then.
        """
        self.report.started(prompts)
        waiting = iter(prompts)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(concurrency, len(prompts))):
                    group.create_task(self._work(waiting))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _work(self, waiting: Iterator[Prompt]) -> None:
        for prompt in waiting:
            known = self._known(prompt)
            status = known["status"] if known else "failed"
            if known and status == "text" and not self.retry:
                self._end(prompt, "no_image_before", known)
            elif known and status == "stored":
                self._end(prompt, "skipped", known)
            elif known and status in _PAID and not self.resume:
                self._end(prompt, "unfinished", known)
            elif status == "failed" and self._is_hopeless:
                self.report.not_sent(prompt)
            else:
                await self._attempt(prompt, known)

    def count_unsent(self, prompts: Sequence[Prompt]) -> int:
        """Count the prompts that will certainly be sent."""
        statuses = [known["status"] if (known := self._known(prompt)) else "failed" for prompt in prompts]
        return sum(status == "failed" or (status == "text" and self.retry) for status in statuses)

    def _known(self, prompt: Prompt) -> Record | None:
        """Return the record of a prompt, corrected for deleted files; `None` if it must be sent."""
        known = self.manifest.get(prompt.id)
        if known and known["status"] == "stored":
            images: list[ImageRef] = [_as_remote(ref) if self._is_lost(ref) else ref for ref in known["images"]]
            if images != known["images"]:
                known = {**known, "images": images, "status": "drawn"}
        if known and known.get("sandbox") and not (self.session.is_sandbox and known["status"] in _DONE):
            return None  # that sandbox no longer exists, and it was free
        return known

    def _is_lost(self, ref: ImageRef) -> bool:
        # Only a folder can be checked without cost.
        return self.store.local_folder is not None and not Path(self.store.location(ref["key"])).exists()

    async def _attempt(self, prompt: Prompt, known: Record | None) -> None:
        try:
            record = await self._finish(prompt, known)
        except MistralImagegenError as error:
            self._is_hopeless = self._is_hopeless or isinstance(error, _HOPELESS)
            record = {**cast("Record", self.manifest.get(prompt.id)), "error": _reason(error)}
        self._end(prompt, "unfinished" if record["status"] in _PAID else record["status"], record)

    def _end(self, prompt: Prompt, outcome: str, record: Record) -> None:
        images = [ref for ref in record.get("images", ()) if ref["status"] == "stored"]
        self.report.ended(
            prompt, outcome, record, [(ref, short_path(self.store.location(ref["key"]))) for ref in images]
        )

    async def _finish(self, prompt: Prompt, known: Record | None) -> Record:
        """Get the answer, then download its images."""
        if known and known["status"] == "drawn":
            return await self._download(prompt, known)
        answer = await self._answer(prompt, known if known and known["status"] == "asked" else None)
        images = images_of(answer)
        status: Status = "drawn" if images else "text"
        record = self.manifest.write(self._record(prompt, status, images=images, **facts_of(answer)))
        return await self._download(prompt, record) if images else record

    async def _answer(self, prompt: Prompt, asked: Record | None) -> AIMessage:
        """Return the answer to a prompt: one that did not arrive if there is one, or may be, and else a new one."""
        self.report.working(prompt, "looking for its answer" if asked else "drawing")
        is_known = asked is not None  # then look for an answer also if the ledger has gone
        asked = asked or self.manifest.write(self._record(prompt, "asked", key=secrets.token_hex(16)))
        try:
            with paying_once(self._paid_work(asked, look_first=is_known)):
                answer = await self.session.model.ainvoke(with_shape(prompt.text, self.shape))
        except MistralImagegenError as error:
            status: Status = "failed" if is_unpaid(error) else "asked"
            self.manifest.write({**asked, "status": status, "error": _reason(error)})
            raise
        self.report.answered(answer)
        return answer

    def _paid_work(self, asked: Record, *, look_first: bool) -> PayOnce:
        # The manifest's folder is local, and belongs to this process while the manifest does. The manifest checks the
        # prompts itself; the shape of one that was sent may change.
        ledger_store = FsspecImageStore(str(self.manifest.path.absolute().parent))
        return PayOnce(store=ledger_store, name=asked["key"], look_first=look_first, checks_prompt=False)

    async def _download(self, prompt: Prompt, drawn: Record) -> Record:
        self.report.working(prompt, "downloading")
        missing = [ref for ref in drawn["images"] if ref["status"] != "stored"]
        outcomes = await self.session.model.astore_images(
            missing,
            self.store,
            name=functools.partial(image_name, prompt.name),
            on_bytes=functools.partial(self.report.image_bytes_received, prompt),
        )
        new = {ref["id"]: attempted(ref, outcome) for ref, outcome in zip(missing, outcomes, strict=True)}
        images = [new.get(ref["id"], ref) for ref in drawn["images"]]
        errors = [ref["error"] for ref in images if "error" in ref]
        status: Status = "drawn" if errors else "stored"
        error = {"error": errors[0]} if errors else {}
        before = {name: value for name, value in drawn.items() if name != "error"}
        after = {"status": status, "time": now(), "images": images, **error}
        return self.manifest.write(cast("Record", {**before, **after}))

    def _record(self, prompt: Prompt, status: Status, **facts: Any) -> Record:
        known = {name: fact for name, fact in facts.items() if fact is not None}
        sandbox = {"sandbox": True} if self.session.is_sandbox else {}
        line = {"id": prompt.id, "prompt": prompt.text, "status": status, "time": now(), **known, **sandbox}
        return cast("Record", line)


def _as_remote(ref: ImageRef) -> ImageRef:
    return {**ref, "status": "remote"}


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _manifest(place: str | None, store: FsspecImageStore) -> Manifest:
    folder = store.local_folder
    if place is None and folder is None:
        raise UsageError(
            f"{store.location('').rstrip('/')} is not a local folder, so the manifest needs a file of its own: "
            "choose one with --manifest"
        )
    return Manifest(Path(place) if place is not None else cast("Path", folder) / MANIFEST)


def _check_unchanged(prompts: Sequence[Prompt], manifest: Manifest) -> None:
    """Check that each id still has its prompt, so that no answer is paid for again or used for another prompt.

    Raises:
        BadManifestError: If the manifest has another prompt under an id.
    """
    for prompt in prompts:
        known = manifest.get(prompt.id)
        if known and known["prompt"] != prompt.text and known["status"] != "failed":
            raise BadManifestError(
                f"The id {prompt.id!r} has another prompt in {manifest.path}: choose another id, "
                "or remove the lines with that id"
            )


def _check_free(prompts: Sequence[Prompt], manifest: Manifest) -> None:
    """Check that the sandbox gets no prompt that was sent to Mistral: its record would be lost.

    Raises:
        UsageError: If the manifest has an unfinished result of Mistral.
    """
    for prompt in prompts:
        known = manifest.get(prompt.id)
        if known and not known.get("sandbox") and known["status"] not in _DONE:
            raise UsageError(
                f"{manifest.path} records that {prompt.id!r} was sent to Mistral: set MISTRAL_API_KEY to continue, or "
                "choose another output with -o for the sandbox"
            )


def _exit_code(report: BatchReport) -> int:
    if any(report.counts[outcome] for outcome in ("failed", "unfinished", "not_sent")):
        return FAILED
    return NO_IMAGE if report.counts["text"] or report.counts["no_image_before"] else DONE
