"""A client of a LangGraph server: watches an image being drawn, and fetches it from where the server shows it.

Costs one image on the real API. Run: `python cookbook/langgraph_server/client.py`, while the server runs (see
`graph.py`).
"""

import hashlib
import os
from typing import Any

import httpx
from langgraph_sdk import get_sync_client

URL = os.environ.get("LANGGRAPH_URL", "http://127.0.0.1:2024")


def main() -> None:
    """Draw one image."""
    question: dict[str, Any] = {"messages": [{"role": "user", "content": "Draw a lighthouse at dusk."}]}
    with get_sync_client(url=URL) as client:
        thread = client.threads.create()["thread_id"]
        for part in client.runs.stream(thread, "images", input=question, stream_mode=["custom", "updates"]):
            if part.event == "custom":
                print(part.data["type"])
            elif part.event == "updates" and "download" in part.data:
                for ref in part.data["download"]["images"].values():
                    show(ref)


def show(ref: dict[str, Any]) -> None:
    """Fetch an image as a browser would."""
    answer = httpx.get(f"{URL}/images/{ref['key']}").raise_for_status()
    print(answer.url, answer.headers["content-type"], f"{ref['width']}x{ref['height']} pixels")
    print("sha256", hashlib.sha256(answer.content).hexdigest())


if __name__ == "__main__":
    main()
