"""How a history is answered."""
