"""`RunRecord`: the lines that one prompt on the command line adds to the manifest, as each prompt of a batch does."""

from __future__ import annotations

import secrets
import shlex
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from langchain_mistral_imagegen._cli.exit_codes import UsageError
from langchain_mistral_imagegen._cli.file_names import slug
from langchain_mistral_imagegen._cli.manifest import MANIFEST, Record, Status, append_record, now
from langchain_mistral_imagegen.stores import FsspecImageStore


@dataclass
class RunRecord:
    """What the manifest knows of one prompt: that it was sent, what came back, and where it is stored.

    Attributes:
        prompt: The prompt.
        store: Where the images go. Only a local folder has a manifest.
        is_sandbox: Whether a sandbox answers that ends with the command.
        key: Also goes to Mistral, as metadata of the conversation.
    """

    prompt: str
    store: FsspecImageStore
    is_sandbox: bool
    key: str = field(default_factory=lambda: secrets.token_hex(16))
    _last: dict[str, Any] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Make the id."""
        self._last = {"id": f"{slug(self.prompt)}-{self.key[:8]}", "prompt": self.prompt, "key": self.key}
        if self.is_sandbox:
            self._last |= {"sandbox": True}

    def sent(self) -> None:
        """Note that the prompt is sent now.

        Raises:
            UsageError: If that cannot be written. Nothing is paid for yet.
        """
        try:
            self.write("asked")
        except OSError as error:
            raise UsageError(f"Cannot write the manifest: {error}; choose another output with -o") from error

    def write(self, status: Status, **facts: Any) -> None:
        """Add a line with what is known now.

        Raises:
            OSError: If it cannot be written.
        """
        self._last |= {name: fact for name, fact in facts.items() if fact is not None}
        self._last |= {"status": status, "time": now()}
        if self._path:
            append_record(self._path, cast("Record", self._last))

    def write_if_possible(self, status: Status, **facts: Any) -> None:
        """Add a line; what is paid for is more important than the manifest, which a full disk does not take."""
        with suppress(OSError):
            self.write(status, **facts)

    @property
    def _path(self) -> Path | None:
        folder = self.store.local_folder
        return folder / MANIFEST if folder else None


def fetch_command(conversation: str, output: str | None) -> str:
    """Return the command that downloads the images of a conversation, given its id or its key."""
    return f"mistral-imagegen show {conversation} -o {shlex.quote(output or FsspecImageStore().root)}"
