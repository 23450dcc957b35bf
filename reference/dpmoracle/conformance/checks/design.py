"""Design choices worth knowing: never a failure."""

from __future__ import annotations

from ..results import Result, noted
from ..subject import Subject

__all__ = ["check_clipping"]


def check_clipping(subject: Subject, quick: bool = False) -> Result:
    """A note: x̂_0 is clipped, which is right for data in that range only, and biases what lies near its edge."""
    return noted(
        "clipping", subject.clips, f"x0 is clipped to [-{subject.clips:g}, {subject.clips:g}] in every step"
    )
