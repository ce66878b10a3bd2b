"""The extra suites start servers as the end-to-end tests do."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from servers import serve, shop  # noqa: E402,F401
