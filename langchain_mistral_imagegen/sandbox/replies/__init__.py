"""What the sandbox answers."""
