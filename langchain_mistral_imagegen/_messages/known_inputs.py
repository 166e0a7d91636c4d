"""`KnownInputs` remembers what messages become, so that a long history is read once and not at each turn."""

from __future__ import annotations

import marshal
import threading
from typing import TypeAlias

from langchain_core.messages import BaseMessage

from langchain_mistral_imagegen._messages.inputs import Inputs, read

_MAX_BYTES = 16 * 1024 * 1024  # of all messages
_MAX_MESSAGE = 256 * 1024  # bytes; a larger one, such as an image in base64, is read each time
_Key: TypeAlias = tuple[type[BaseMessage], bool, bytes]


class KnownInputs:
    """What messages became, by their content: a message that was changed is another one.

    Threads may share it. It holds immutable keys, and inputs that nobody changes.
    """

    def __init__(self) -> None:
        self._inputs: dict[_Key, Inputs] = {}
        self._size = 0
        self._lock = threading.Lock()

    def read(self, message: BaseMessage, *, system_as_user: bool) -> Inputs:
        """Convert a message, unless one of the same content was converted before; see `inputs.read`."""
        try:
            key = type(message), system_as_user, _content(message)
        except ValueError:  # it holds something that is not JSON
            return read(message, system_as_user=system_as_user)
        known = self._inputs.get(key)
        if known is None:
            known = read(message, system_as_user=system_as_user)
            self._remember(key, known)
        return known

    def _remember(self, key: _Key, inputs: Inputs) -> None:
        if len(key[2]) > _MAX_MESSAGE:
            return
        with self._lock:
            if self._inputs.setdefault(key, inputs) is inputs:
                self._size += len(key[2])
            while self._size > _MAX_BYTES:
                oldest = next(iter(self._inputs))
                self._size -= len(oldest[2])
                del self._inputs[oldest]


def _content(message: BaseMessage) -> bytes:
    """Return the content of a message as bytes, which is faster than any digest of it.

    Raises:
        ValueError: If it holds other objects than JSON has.
    """
    # Of these the entries are made; the message's own id and usage are not sent. They are written out instead of listed
    # by name, because this is the larger part of what reading a long history takes.
    fields = message.__dict__
    get, provider = fields.get, fields["response_metadata"].get
    sent = (
        fields["content"],
        fields["additional_kwargs"],
        get("tool_calls"),
        get("invalid_tool_calls"),
        get("tool_call_id"),
        get("role"),
        provider("model_provider"),
        provider("output_version"),
        message.__pydantic_extra__,
    )
    return marshal.dumps(sent, 2)  # in later versions equal values may have different bytes
