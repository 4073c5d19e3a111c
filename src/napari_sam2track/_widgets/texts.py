"""Texts that widgets show."""

from __future__ import annotations

from html import escape


def wrapped(text: str) -> str:
    """A tooltip's text that Qt breaks into lines, which it does with rich text only."""
    return f"<qt>{escape(text)}</qt>" if text else ""
