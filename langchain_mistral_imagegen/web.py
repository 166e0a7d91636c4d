"""Serve stored images over HTTP, in any Starlette or FastAPI app, such as a LangGraph server's `http.app`."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

from langchain_mistral_imagegen import stores
from langchain_mistral_imagegen.errors import InvalidImageError
from langchain_mistral_imagegen.images import sniff_image
from langchain_mistral_imagegen.stores import ImageStore
from langchain_mistral_imagegen.stores._incoming import IMAGE_KEY
from langchain_mistral_imagegen.stores._thumbnails import WIDTHS, thumbnail

try:
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route
except ImportError as error:  # pragma: no branch
    raise ImportError(
        "Serving images needs Starlette: pip install 'langchain-mistral-imagegen[web]'", name=error.name
    ) from error

_WIDTHS: dict[str | None, int | None] = {None: None, **{str(width): width for width in WIDTHS}}

Authorize = Callable[[Request, str], Awaitable[bool] | bool]


def image_routes(
    image_store: ImageStore | str | None = None, *, prefix: str = "/images", authorize: Authorize | None = None
) -> list[Route]:
    """Serve the images of a store at `{prefix}/{key}`, where `key` is the key of an `ImageRef`.

    A key contains the hash of the bytes, so clients may cache an image forever. Without `authorize`, everyone who knows
    a key gets the image.

    With `?w=256` (or 128, 512, 1024) it serves a thumbnail with at most that many pixels in each direction, by the same
    rules. It is made once and kept in the store; `collect_garbage` deletes it with its image. The status is 400 for
    other sizes, and 422 for an image that cannot be made smaller (damaged, or more than 50 million pixels).

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
        width = request.query_params.get("w")
        if width not in _WIDTHS:
            return PlainTextResponse(f"w must be one of {', '.join(map(str, WIDTHS))}", 400)
        version = f"{parts['sha256']}-{width}" if width else parts["sha256"]
        headers = {"cache-control": cached, "etag": f'"{version}"', "x-content-type-options": "nosniff"}
        if headers["etag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return await run_in_threadpool(_image_response, store, key, _WIDTHS[width], headers)

    return [Route(f"{prefix.rstrip('/')}/{{key:path}}", serve, name="image")]


async def _is_allowed(authorize: Authorize, request: Request, key: str) -> bool:
    allowed = await run_in_threadpool(authorize, request, key)
    return await allowed if inspect.isawaitable(allowed) else allowed


def _image_response(store: ImageStore, key: str, width: int | None, headers: dict[str, str]) -> Response:
    try:
        data = thumbnail(store, key, width) if width else store.get(key)
    except FileNotFoundError:
        return Response(status_code=404)
    except InvalidImageError:
        return PlainTextResponse("this image cannot be made smaller; request it without w", 422)
    kind = sniff_image(data[:16])
    return Response(data, headers=headers, media_type=kind.mime_type) if kind else Response(status_code=404)
