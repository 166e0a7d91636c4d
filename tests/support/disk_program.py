"""A program that draws an image and stores it with less rights or room than the tests have.

Usage: disk_program.py URL FOLDER RESTRICTION; prints what became of the images, as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile

from langchain_core.messages import HumanMessage
from PIL import Image, JpegImagePlugin  # noqa: F401

from langchain_mistral_imagegen import ChatMistralConversations, ToolFileNode

NOBODY = 65534


def restrict(how: str) -> None:
    if how == "nobody":
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    if how == "small files":
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))


def main(url: str, folder: str, how: str) -> None:
    model = ChatMistralConversations(base_url=url, api_key="k", max_retries=0)
    answer = model.invoke([HumanMessage("Draw a boat.")])
    with tempfile.TemporaryDirectory() as elsewhere:  # imports what is needed, while all files can be read
        ToolFileNode(image_store=elsewhere, model=model).run({"messages": [answer]})
    restrict(how)
    print(
        json.dumps(list(ToolFileNode(image_store=folder, model=model).run({"messages": [answer]})["images"].values()))
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
