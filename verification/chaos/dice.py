from random import Random


def chance(random: Random, of_one: float) -> bool:
    """True with this probability."""
    return random.random() < of_one
