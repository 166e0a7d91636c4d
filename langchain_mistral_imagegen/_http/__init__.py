"""The only room with a socket, a clock or an event loop."""
