"""The ledger's tables; the ledger is a view of the journal, so a new layout is a new VERSION and a rebuild, never an ALTER."""

from __future__ import annotations

import sqlite3

VERSION = 1

_TABLES = """
CREATE TABLE receipts (
    id TEXT NOT NULL, ts REAL NOT NULL, key TEXT, app TEXT, task TEXT, dialect TEXT NOT NULL, asked TEXT NOT NULL,
    model TEXT, backend TEXT, provider TEXT, location TEXT, stream INTEGER NOT NULL, outcome TEXT NOT NULL,
    attempts TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL, prompt_chars INTEGER NOT NULL,
    queue_ms REAL NOT NULL, first_token_ms REAL, total_ms REAL NOT NULL, tok_per_s REAL,
    cost_usd REAL, cloud_usd REAL, cache TEXT, checks TEXT NOT NULL,
    PRIMARY KEY (ts, id)
) WITHOUT ROWID;
CREATE TABLE files (name TEXT PRIMARY KEY, position INTEGER NOT NULL, damaged INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE open_asks (run TEXT NOT NULL, id TEXT NOT NULL, line BLOB NOT NULL, PRIMARY KEY (run, id)) WITHOUT ROWID;
"""


def current(connection: sqlite3.Connection) -> bool:
    """Whether the tables are those of this version. Raises sqlite3.Error."""
    return version(connection) == VERSION


def version(connection: sqlite3.Connection) -> int:
    """The layout's version; 0 where there are no tables yet. Raises sqlite3.Error."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    return int(found)


def create(connection: sqlite3.Connection) -> None:
    """Make the tables in an empty database, in one transaction. Raises sqlite3.Error."""
    connection.executescript(f"BEGIN IMMEDIATE;{_TABLES}PRAGMA user_version = {VERSION};COMMIT;")
