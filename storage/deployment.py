"""The identity key by which the ids of a database were derived."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from domain.identity import IdentityKey
from storage.database import Database
from storage.tables import deployment


class IdentityKeyMismatch(RuntimeError):  # noqa: N818 - the name says what it is
    """The identity key is not the one that the ids of this database were derived with."""


class DeploymentStore:
    """The one row of `deployment`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._verified = False

    async def verify(self, key: IdentityKey) -> None:
        """Return if the key is this database's; the first key becomes it. Reads once a process.

        Raises:
            IdentityKeyMismatch: the ids were derived with another key.
            DatabaseUnavailable: nothing is known yet; call it again.
        """
        if self._verified:
            return
        first = insert(deployment).values(identity_key=key.fingerprint).on_conflict_do_nothing()
        async with self._database.statement() as connection:
            await connection.execute(first)
            stored = (await connection.execute(select(deployment.c.identity_key))).scalar_one()
        if stored != key.fingerprint:
            raise IdentityKeyMismatch(
                "PAYSAGA_IDENTITY_KEY_FILE holds another key than the one that this database's ids"
                " were derived with. Put the right file back; if it is lost, see `./paysaga"
                " replace-identity-key --help`."
            )
        self._verified = True

    async def replace(self, key: IdentityKey) -> None:
        """Derive the ids of further payments and refunds with another key."""
        async with self._database.statement() as connection:
            await connection.execute(
                insert(deployment)
                .values(identity_key=key.fingerprint)
                .on_conflict_do_update(
                    index_elements=[deployment.c.singleton],
                    set_={"identity_key": key.fingerprint},
                )
            )
