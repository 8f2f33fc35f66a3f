"""What Alembic runs for each command; the connection comes from `signaling.db.database`."""

from __future__ import annotations

from alembic import context

from signaling.db.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place
)
with context.begin_transaction():
    context.run_migrations()
