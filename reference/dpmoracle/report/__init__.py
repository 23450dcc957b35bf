"""Results rendered: text for a terminal, JSON for machines. Nothing is computed here."""

from __future__ import annotations
