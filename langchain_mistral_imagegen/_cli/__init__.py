"""The command `mistral-imagegen`."""
