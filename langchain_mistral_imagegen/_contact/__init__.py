"""What only the real API can answer: questions, the flows that answer them, and what the package assumes."""
