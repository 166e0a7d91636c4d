"""Azure's blocks: a large file is uploaded piece by piece, and appears when their list is committed.

Azure's library sends a file of up to 64 MB as one request, and holds all of it.
https://learn.microsoft.com/en-us/rest/api/storageservices/put-block-list
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

_BLOCK = 3 * 1024 * 1024  # bytes; the library holds two of them


def put_blocks(filesystem: Any, source: Path, path: str, *, content_settings: Any, mode: str = "overwrite") -> None:
    """Upload a file, as adlfs' `put_file` does.

    Args:
        filesystem: A filesystem of adlfs, which has no types.
        source: The file.
        path: Where it goes: the container, and the name in it.
        content_settings: Azure's `ContentSettings` of the new object.
        mode: "create" if it is not to replace an object, or "overwrite".

    Raises:
        FileExistsError: If there is an object that is not to be replaced.
        Exception: The library's own error, if it cannot be written or that is uncertain.
    """
    from fsspec.asyn import sync  # noqa: PLC0415  # not needed before a large image is stored

    sync(filesystem.loop, _put_blocks, filesystem, source, path, content_settings, mode)
    filesystem.invalidate_cache()


async def _put_blocks(filesystem: Any, source: Path, path: str, content_settings: Any, mode: str) -> None:
    from azure.core import MatchConditions  # noqa: PLC0415  # comes with the extra
    from azure.core.exceptions import ResourceExistsError, ResourceModifiedError  # noqa: PLC0415

    condition = {"match_condition": MatchConditions.IfMissing} if mode == "create" else {}
    container, name, _ = filesystem.split_path(path)
    async with filesystem.service_client.get_blob_client(container, name) as client:
        blocks = await _stage(client, source)
        try:
            await client.commit_block_list(
                blocks, content_settings=content_settings, metadata={"is_directory": "false"}, **condition
            )
        except (ResourceExistsError, ResourceModifiedError) as error:
            raise FileExistsError(path) from error


async def _stage(client: Any, source: Path) -> list[Any]:
    """Upload the blocks; Azure forgets those that nobody commits within a week."""
    from azure.storage.blob import BlobBlock  # noqa: PLC0415  # comes with the extra

    blocks = []
    with source.open("rb") as file:
        while piece := file.read(_BLOCK):
            block = BlobBlock(secrets.token_hex(16))
            await client.stage_block(block.id, piece)
            blocks.append(block)
    return blocks
