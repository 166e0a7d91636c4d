"""Images: `ImageRef` refers to one in messages and state, `GeneratedImage` holds its bytes."""

from __future__ import annotations

from langchain_mistral_imagegen.images._formats import (
    FORMATS,
    SUFFIXES,
    ImageFormat,
    decode_image,
    image_size,
    sniff_image,
)
from langchain_mistral_imagegen.images._generated_image import FormatName, GeneratedImage
from langchain_mistral_imagegen.images._references import (
    IMAGE_URI_SCHEME,
    ImageRef,
    ImageStatus,
    merge_images,
    with_url,
)

__all__ = [
    "FORMATS",
    "IMAGE_URI_SCHEME",
    "SUFFIXES",
    "FormatName",
    "GeneratedImage",
    "ImageFormat",
    "ImageRef",
    "ImageStatus",
    "decode_image",
    "image_size",
    "merge_images",
    "sniff_image",
    "with_url",
]
