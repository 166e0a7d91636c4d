"""Routes of files, and of the blob host behind signed URLs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from langchain_mistral_imagegen.sandbox.behavior import Behavior
from langchain_mistral_imagegen.sandbox.records.files import Files, refusal
from langchain_mistral_imagegen.sandbox.records.problems import unprocessable
from langchain_mistral_imagegen.sandbox.routes.reading import ConnectionCut, Table, number, page

_PIECE = 64 * 1024
_LONGEST_EXPIRY = 168  # hours


class FileRoutes:
    """Upload, read, sign and delete files."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def table(self) -> Table:
        """Return the routes."""
        return [
            ("POST", "/v1/files", "files", self.upload),
            ("GET", "/v1/files", "files", self.list_files),
            ("GET", "/v1/files/{id}", "files", self.get_file),
            ("DELETE", "/v1/files/{id}", "files", self.delete_file),
            ("GET", "/v1/files/{id}/url", "files", self.sign_file),
            ("GET", "/v1/files/{id}/content", "download", self.content),
            ("GET", "/blob/{path:path}", "download", self.blob),
        ]

    async def upload(self, request: Request, _: Behavior) -> Response:
        """Keep an uploaded file."""
        async with request.form() as form:
            upload = form.get("file")
            if upload is None or isinstance(upload, str):
                raise unprocessable("missing", ("file",), "Field required")
            data, name = await upload.read(), upload.filename or "file"
            file = self._files.add(name, data, str(form.get("purpose") or "batch"), upload.content_type or "")
        return JSONResponse(file.as_json())

    async def list_files(self, request: Request, _: Behavior) -> Response:
        """List files."""
        query = request.query_params
        fields = {"purpose": "purpose", "source": "source", "mimetypes": "mimetype", "sample_type": "sample_type"}
        wanted = {field: query.getlist(name) for name, field in fields.items() if name in query}
        found = self._files.find(wanted, query.get("search", ""))
        described = [await asyncio.to_thread(file.as_json) for file in page(request, found, 100)]
        total = None if query.get("include_total") == "false" else len(found)
        return JSONResponse({"object": "list", "data": described, "total": total})

    async def get_file(self, request: Request, _: Behavior) -> Response:
        """Return the description of a file."""
        described = await asyncio.to_thread(self._files.get(request.path_params["id"]).as_json)
        return JSONResponse({**described, "deleted": False})

    async def delete_file(self, request: Request, _: Behavior) -> Response:
        """Delete a file."""
        file = self._files.get(request.path_params["id"])
        del self._files.by_id[file.id]
        return JSONResponse({"id": file.id, "object": "file", "deleted": True})

    async def sign_file(self, request: Request, _: Behavior) -> Response:
        """Return a signed URL."""
        hours = number(request, "expiry", 24, least=1, most=_LONGEST_EXPIRY)
        return JSONResponse({"url": self._files.sign(self._files.get(request.path_params["id"]), hours * 3600)})

    async def content(self, request: Request, behavior: Behavior) -> Response:
        """Send the bytes of a file, without `content-length`."""
        data = await asyncio.to_thread(self._files.get(request.path_params["id"]).read)
        return StreamingResponse(_body(data, behavior), media_type="application/octet-stream")

    async def blob(self, request: Request, behavior: Behavior) -> Response:
        """Send the bytes behind a signed URL."""
        if behavior.expired:
            raise refusal()
        read = self._files.open_blob(request.url.path, request.query_params)
        data = await asyncio.to_thread(read)
        headers = {"content-length": str(len(data))}
        return StreamingResponse(_body(data, behavior), media_type="application/octet-stream", headers=headers)


async def _body(data: bytes, behavior: Behavior) -> AsyncIterator[bytes]:
    end = len(data) if behavior.cut_after is None else min(behavior.cut_after, len(data))
    for start in range(0, end, _PIECE):
        yield data[start : min(start + _PIECE, end)]
        await asyncio.sleep(behavior.pace)
    if end < len(data):
        raise ConnectionCut
