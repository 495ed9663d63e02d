"""Secrets in a flow: those of a Prefect block are fetched, and none is told by a log."""

import json
import logging
from functools import cache
from typing import Any

from shared.errors.secrets import redacted
from shared.storage.credentials import remember

BLOCK = "dinoflow-secrets"
"""A Secret block: a JSON object as in the environment variable DINOFLOW_SECRETS."""


def fetch_secrets() -> None:
    """Add what the Secret block holds, where there is one, to what the environment holds."""
    from prefect.blocks.system import Secret

    try:
        block: Any = Secret.load(BLOCK)
    except ValueError:  # there is none
        return
    held = block.get()
    remember(held if isinstance(held, dict) else json.loads(held))


@cache
def guard_logs() -> None:
    """From now on no record of a log holds a secret: not in its text, nor in the errors that stand below it."""
    make, formatter = logging.getLogRecordFactory(), logging.Formatter()

    def guarded(*arguments: Any, **options: Any) -> logging.LogRecord:
        record = make(*arguments, **options)
        text = record.getMessage() if "://" in f"{record.msg}{record.args}" else ""
        if redacted(text) != text:
            record.msg, record.args = redacted(text), ()
        if record.exc_info:
            record.exc_text = redacted(formatter.formatException(record.exc_info))
        return record

    logging.setLogRecordFactory(guarded)
