"""What a reverse chain costs in nats: KL divergence, variational bound, entropies, and the integral over the SNR."""

from __future__ import annotations

from .kl import *  # noqa: F403
from .kl import __all__ as __all__
