async def upgrade(url: str) -> None:
    """Bring the database at `url` to the newest schema; safe to call from several processes."""
    raise NotImplementedError
