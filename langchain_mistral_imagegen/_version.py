"""The version, in one place: the build, the user agent and traces read it from here."""

__version__ = "0.2.0"
