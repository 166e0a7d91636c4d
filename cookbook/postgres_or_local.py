"""What recipes share: your PostgreSQL, if POSTGRES_URI is set, else a server that lives as long as the recipe."""

import os
import tempfile
from contextlib import ExitStack


def database(stack: ExitStack) -> str:
    """Return a connection URI.

    Args:
        stack: Stops the local server when it is closed.
    """
    if os.environ.get("POSTGRES_URI"):
        return os.environ["POSTGRES_URI"]
    print("No POSTGRES_URI: using a local PostgreSQL (from `pip install pgserver`).")
    os.environ.setdefault("XDG_RUNTIME_DIR", stack.enter_context(tempfile.TemporaryDirectory()))
    import pgserver  # noqa: PLC0415  # it reads the environment when it is imported

    return stack.enter_context(pgserver.get_server(tempfile.mkdtemp(), cleanup_mode="delete")).get_uri()
