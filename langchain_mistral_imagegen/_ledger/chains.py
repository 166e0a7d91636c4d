"""`Ledger`: chains of records in an image store. Creating a record's number is the compare-and-swap."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from langchain_mistral_imagegen._ledger.decision import Head
from langchain_mistral_imagegen._ledger.records import Asking, Record, See, read_record, write_record
from langchain_mistral_imagegen._logger import package_logger
from langchain_mistral_imagegen.errors import ImageStoreError
from langchain_mistral_imagegen.stores._ledger_files import LedgerFiles

FOLDER = "_ledger"
_RECORD = re.compile(r"(\d{1,9})\.json")
_ATTEMPTS = 3
_log = package_logger()
_warned: set[str] = set()


@dataclass(frozen=True)
class Ledger:
    """Reads and creates records.

    Attributes:
        files: Where they are kept.
    """

    files: LedgerFiles

    def head(self, key: str) -> Head:
        """Read the last record of a chain.

        Raises:
            ImageStoreError: If the store cannot be read. Nothing was paid then.
        """
        try:
            return self._head(key)
        except OSError as error:
            raise self._unusable("read", error) from error

    def create(self, key: str, number: int, record: Record, *, synced: bool = False) -> bool:
        """Create a record, unless its number is taken, and return whether it was created by this very call.

        An `Asking` or a `See` is on the disk when this returns; to lose one of the others costs a wait or a look.

        Args:
            key: The chain.
            number: The record's place in it.
            record: The record.
            synced: Whether it is on the disk in any case.

        Raises:
            ImageStoreError: If it cannot be written. A request must not leave then.
        """
        place, data = f"{FOLDER}/{key}/{number}.json", write_record(record)
        synced = synced or isinstance(record, Asking | See)
        failure: OSError | None = None
        for _ in range(_ATTEMPTS):
            try:
                self.files.create(place, data, synced=synced)
            except OSError as error:  # also FileExistsError: a client library may have repeated its own success
                failure = failure or error
                with suppress(OSError):
                    found = read_record(self.files.read(place)).by
                    if found or isinstance(failure, FileExistsError):  # else it may be torn by this very call
                        return found == record.by
            else:
                return True
        raise self._unusable("written", cast("OSError", failure)) from failure

    def _head(self, key: str) -> Head:
        folder = f"{FOLDER}/{key}"
        while numbers := [int(found[1]) for name in self.files.names(folder) if (found := _RECORD.fullmatch(name))]:
            number = max(numbers)
            with suppress(FileNotFoundError):  # cleaned up this moment
                return Head(number, self._read(f"{folder}/{number}.json"))
        return Head()

    def _read(self, place: str) -> Record:
        record = read_record(self.files.read(place))
        if not record.by and place not in _warned:
            _warned.add(place)
            _log.warning("The record %s cannot be read; it counts as a request whose answer is looked for", place)
        return record

    def _unusable(self, verb: str, error: OSError) -> ImageStoreError:
        return ImageStoreError(f"The ledger in {self.files.name} cannot be {verb}: {error}; nothing was asked or paid")
