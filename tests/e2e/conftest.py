"""The fixtures of the end-to-end tests."""
from servers import serve, shop  # noqa: F401
