"""LangChain's messages and Mistral's entries, each made of the other; no I/O.

Whatever reads a message of this package imports this room, so LangChain's translator for it is registered here.
"""

from langchain_core.messages.block_translators import register_translator

from langchain_mistral_imagegen._messages.native_blocks import MODEL_PROVIDER
from langchain_mistral_imagegen._messages.standard_blocks import translate_chunk, translate_message

register_translator(MODEL_PROVIDER, translate_message, translate_chunk)
