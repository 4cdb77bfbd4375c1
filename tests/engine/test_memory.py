import gc

from engine import memory


def test_what_the_start_made_is_looked_through_no_more() -> None:
    made = {"kept": ["for", "good"]}
    try:
        memory.settle()
        assert not any(found is made for found in gc.get_objects())
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
