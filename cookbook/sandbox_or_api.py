"""What the recipes share: the real API where there is a key, else the sandbox."""

import os
from contextlib import ExitStack

from langchain_mistral_imagegen.sandbox import Sandbox


def settings(stack: ExitStack) -> dict[str, str]:
    """Return where to send requests, as keyword arguments of the chat model.

    Args:
        stack: Stops the sandbox when it is closed.
    """
    if os.environ.get("MISTRAL_API_KEY"):
        return {}
    print("No MISTRAL_API_KEY: using the local sandbox; its images are placeholders.")
    return {"base_url": stack.enter_context(Sandbox()).url, "api_key": "sandbox"}
