"""The arguments that a calling model writes, and those that a program passes."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, field_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from langchain_mistral_imagegen._prompt_words import Shape

_OF_THE_TOOL = {"model", "image_store", "store", "style", "size", "quality", "seed", "on_error"}


class GenerateImageInput(BaseModel):
    """The arguments that the calling model writes."""

    model_config = ConfigDict(extra="forbid")

    prompt: str = Field(
        min_length=1,
        description="The image in words: subject, setting, composition, style, light. For an edit, what to change.",
    )
    shape: Shape | None = Field(
        default=None, description="Format of the image, asked for in words; there are no sizes in pixels."
    )
    edit: str | None = Field(
        default=None,
        description="Id of an image that this tool generated earlier in this conversation, to change it; "
        "leave it out for a new image.",
    )

    @field_validator("prompt")
    @classmethod
    def _refuse_blank_prompts(cls, prompt: str) -> str:
        if not prompt.strip():
            raise ValueError(BLANK)
        return prompt


BLANK = "the prompt is blank; describe the image in words"


def arguments(max_count: int) -> type[GenerateImageInput]:
    """Return the schema of the arguments, with a `count` if the calling model may ask for several images."""
    if max_count == 1:
        return GenerateImageInput
    text = f"How many different images to generate, at most {max_count}; each is paid for."
    count = Field(default=1, ge=1, le=max_count, description=text)
    return create_model("GenerateImagesInput", __base__=GenerateImageInput, count=(int, count))


def check_names(values: Any, schema: Any) -> None:
    """Refuse arguments that do not exist, and name the right one.

    Raises:
        ValidationError: At the place of the argument, because LangGraph does not give the model errors without a place.
    """
    if not isinstance(values, dict) or not (isinstance(schema, type) and issubclass(schema, GenerateImageInput)):
        return
    known = list(schema.model_fields)
    errors: list[InitErrorDetails] = [
        {
            "type": PydanticCustomError("unknown_argument", "{remedy}", {"remedy": _remedy(name, known)}),
            "loc": (name,),
            "input": None,
        }
        for name in values
        if name not in known
    ]
    if errors:
        raise ValidationError.from_exception_data(schema.__name__, errors)


def _remedy(name: str, known: list[str]) -> str:
    similar = difflib.get_close_matches(name, [*known, *_OF_THE_TOOL], 1, 0.6)
    if name in _OF_THE_TOOL or (similar and similar[0] in _OF_THE_TOOL):
        setting = name if name in _OF_THE_TOOL else similar[0]
        return f"there is no argument {name!r}: {setting!r} is not chosen by call; describe the wish in the prompt"
    hint = f"; did you mean {similar[0]!r}?" if similar else "."
    return f"there is no argument {name!r}{hint} The arguments are {', '.join(known)}"
