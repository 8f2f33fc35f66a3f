"""PostgreSQL keeps no samples of what was said in its statistics."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_COLUMNS = (
    ("entries", "body"),
    ("entry_words", "word"),
    ("files", "name"),
    ("files", "metadata_header"),
    ("webhook_deliveries", "event"),
)


def upgrade() -> None:
    _set_statistics(0)


def downgrade() -> None:
    _set_statistics(-1)


def _set_statistics(target: int) -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, column in _COLUMNS:
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS {target}")
