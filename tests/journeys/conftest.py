"""The journeys share one installation a module; it is the demo's own."""

from tests.support.installation import installation

__all__ = ["installation"]
