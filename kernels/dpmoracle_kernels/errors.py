"""What a device may refuse."""

from __future__ import annotations

__all__ = ["DeviceError"]


class DeviceError(RuntimeError):
    """The device cannot do what was asked; nothing is lost, and backend="numba" or "numpy" can go on."""
