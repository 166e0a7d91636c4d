"""Serve stored images over HTTP, in any Starlette or FastAPI app, such as a LangGraph server's `http.app`."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

from langchain_mistral_imagegen import stores
from langchain_mistral_imagegen.images import sniff_image
from langchain_mistral_imagegen.stores import ImageStore
from langchain_mistral_imagegen.stores._incoming import IMAGE_KEY

try:
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route
except ImportError as error:  # pragma: no branch
    raise ImportError(
        "Serving images needs Starlette: pip install 'langchain-mistral-imagegen[web]'", name=error.name
    ) from error

Authorize = Callable[[Request, str], Awaitable[bool] | bool]


def image_routes(
    image_store: ImageStore | str | None = None, *, prefix: str = "/images", authorize: Authorize | None = None
) -> list[Route]:
    """Serve the images of a store at `{prefix}/{key}`, where `key` is the key of an `ImageRef`.

    A key contains the hash of the bytes, so clients may cache an image forever. Without `authorize`, everyone who knows
    a key gets the image.

    Args:
        image_store: A store, a path, or an fsspec URL; by default `generated_images`, or `$MISTRAL_IMAGEGEN_STORE`.
        prefix: Path below which the images are served.
        authorize: Takes the request and the key, and returns whether to send the image; if not, the status is 403. It
            may block or be async. With it, responses are marked `private`, so that shared caches do not keep them.

    Raises:
        InvalidInputError: If `image_store` is no place for images.

    Example:
        ```python
        from starlette.applications import Starlette

        app = Starlette(routes=image_routes("images"))
        ```
    """
    store = stores.image_store(image_store)
    cached = f"{'private' if authorize else 'public'}, max-age=31536000, immutable"

    async def serve(request: Request) -> Response:
        key = request.path_params["key"]
        # Nothing else in a store can be requested, such as its ledger.
        if not (parts := IMAGE_KEY.fullmatch(key)):
            return Response(status_code=404)
        if authorize and not await _is_allowed(authorize, request, key):
            return Response(status_code=403)
        headers = {"cache-control": cached, "etag": f'"{parts["sha256"]}"', "x-content-type-options": "nosniff"}
        if headers["etag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return await run_in_threadpool(_image_response, store, key, headers)

    return [Route(f"{prefix.rstrip('/')}/{{key:path}}", serve, name="image")]


async def _is_allowed(authorize: Authorize, request: Request, key: str) -> bool:
    allowed = await run_in_threadpool(authorize, request, key)
    return await allowed if inspect.isawaitable(allowed) else allowed


def _image_response(store: ImageStore, key: str, headers: dict[str, str]) -> Response:
    try:
        data = store.get(key)
    except FileNotFoundError:
        return Response(status_code=404)
    kind = sniff_image(data[:16])
    return Response(data, headers=headers, media_type=kind.mime_type) if kind else Response(status_code=404)
