"""Serving stored pictures over HTTP, for any Starlette or FastAPI app, and so for a LangGraph server's `http.app`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable

from langchain_mistral_imagegen.images import sniff_image
from langchain_mistral_imagegen.stores import ImageStore, image_store

try:
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route
except ImportError as error:  # pragma: no branch
    raise ImportError(
        "Serving pictures needs Starlette: pip install 'langchain-mistral-imagegen[web]'", name=error.name
    ) from error

Authorize = Callable[[Request, str], Awaitable[bool] | bool]
# Nothing else in a store can be asked for, such as its intents.
_KEY = re.compile(r"([0-9a-f]{2})/(\1[0-9a-f]{62})\.(jpg|png|webp|gif)")


def image_routes(
    store: ImageStore | str | None = None, prefix: str = "/images", authorize: Authorize | None = None
) -> list[Route]:
    """Serve the pictures of a store at `{prefix}/{key}`, where `key` is that of an `ImageRef`.

    A key holds the hash of the bytes, so whoever has a picture may keep it forever. It is also all that one needs to
    know to get it, unless `authorize` says otherwise.

    Args:
        store: A store, a path, or an fsspec URL; by default `generated_images`, or `$MISTRAL_IMAGEGEN_STORE`.
        prefix: Path below which the pictures are.
        authorize: Takes the request and the key and tells whether to answer; else the status is 403. It may block or
            be async. Given, shared caches are told not to keep the pictures.

    Example:
        ```python
        from starlette.applications import Starlette

        app = Starlette(routes=image_routes("pictures"))
        ```
    """
    pictures = image_store(store)
    cached = f"{'private' if authorize else 'public'}, max-age=31536000, immutable"

    async def serve(request: Request) -> Response:
        key = request.path_params["key"]
        if not (parts := _KEY.fullmatch(key)):
            return Response(status_code=404)
        if authorize and not await _is_allowed(authorize, request, key):
            return Response(status_code=403)
        headers = {"cache-control": cached, "etag": f'"{parts[2]}"', "x-content-type-options": "nosniff"}
        if headers["etag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return await run_in_threadpool(_picture, pictures, key, headers)

    return [Route(f"{prefix.rstrip('/')}/{{key:path}}", serve, name="image")]


async def _is_allowed(authorize: Authorize, request: Request, key: str) -> bool:
    allowed = await run_in_threadpool(authorize, request, key)
    return await allowed if inspect.isawaitable(allowed) else allowed


def _picture(store: ImageStore, key: str, headers: dict[str, str]) -> Response:
    try:
        data = store.get(key)
    except FileNotFoundError:
        return Response(status_code=404)
    kind = sniff_image(data[:16])
    return Response(data, headers=headers, media_type=kind[0]) if kind else Response(status_code=404)
