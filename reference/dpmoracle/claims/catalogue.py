"""The claims of every source, in the order in which they are judged."""

from __future__ import annotations

from . import notes_forward

__all__ = ["CLAIMS"]

CLAIMS = (*notes_forward.CLAIMS,)
