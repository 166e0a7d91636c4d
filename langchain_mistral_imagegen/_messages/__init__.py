"""LangChain's messages and Mistral's entries, each made of the other: pure."""
