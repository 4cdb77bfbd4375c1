"""The one base of every domain type: immutable, so that a change is always a new value."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A frozen value. Unknown fields are ignored: a running workflow may carry an older shape."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=False)
