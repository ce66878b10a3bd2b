"""The fixtures of the end-to-end tests."""
import signal

from servers import serve, shop  # noqa: F401

# A shell has what it runs in the background ignore interrupts, and programs inherit that; one that is handled here is not inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)
