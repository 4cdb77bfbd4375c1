from alembic import context

from storage.tables import Row

# `storage.migrate` opens the connection, so that there is one way in and one lock around it.
context.configure(connection=context.config.attributes["connection"], target_metadata=Row.metadata)
with context.begin_transaction():
    context.run_migrations()
