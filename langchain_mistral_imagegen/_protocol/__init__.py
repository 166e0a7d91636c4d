"""What Mistral sends and takes: no I/O, no LangChain."""
