"""Fault: what is wrong with one answer of a model, told without its text."""

from __future__ import annotations


class Fault(Exception):
    """One answer that cannot be used.

    `check` names what found it: "json" "schema" "quote" "truncated" "several" "unicode" "placeholder" "empty", or a check of the task's own.
    `reason` is fit for receipts and logs; `detail` may quote the answer and is only ever said to the model that wrote it.
    """

    def __init__(self, check: str, reason: str, detail: str = "") -> None:
        super().__init__(f"{check}: {reason}")
        self.check = check
        self.reason = reason
        self.detail = detail or reason
