"""What a check of the machine or the deployment found."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one check found; `advice` says what to do where it isn't good."""

    what: str
    good: bool
    detail: str
    advice: str = ""
