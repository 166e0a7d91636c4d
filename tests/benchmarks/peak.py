"""Print by how many MB the memory of this process peaks while `ToolFileNode` stores images (Linux)."""

from __future__ import annotations

import asyncio
import gc
import re
import sys
import tempfile
from pathlib import Path

from langchain_core.messages import AIMessage

from langchain_mistral_imagegen import ChatMistralConversations, ToolFileNode

_STATUS = Path("/proc/self/status")


def state(count: int, size: int, name: str) -> dict[str, object]:
    blocks = [{"type": "tool_file", "file_id": f"{size}-{name}{n}", "file_type": "png"} for n in range(count)]
    return {"messages": [AIMessage(content=blocks)], "images": {}}


def resident(what: str) -> int:
    found = re.search(rf"{what}:\s+(\d+)", _STATUS.read_text())
    assert found
    return int(found[1])


async def main(url: str, face: str, count: int, size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        node = ToolFileNode(
            image_store=folder, model=ChatMistralConversations(base_url=url, api_key="k"), on_error="raise"
        )

        async def run(asked: dict[str, object]) -> None:
            await node.arun(asked) if face == "arun" else node.run(asked)

        await run(state(count, 10_000, "warm"))  # what is imported and started once is not what is asked
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
        before = resident("VmRSS")
        await run(state(count, size, "real"))
        print((resident("VmHWM") - before) / 1024)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
