from datetime import timedelta

from temporalio.client import Client

from engine.sweep import SCHEDULE_ID, schedule_sweep


async def test_every_worker_may_schedule_the_sweep_and_there_is_one(client: Client) -> None:
    await schedule_sweep(client)
    handle = client.get_schedule_handle(SCHEDULE_ID)
    await handle.pause(note="looking into it")

    await schedule_sweep(client, every=timedelta(minutes=1))

    found = await handle.describe()
    [interval] = found.schedule.spec.intervals
    assert interval.every == timedelta(minutes=1)
    # Who has paused it finds it paused after a restart of the workers.
    assert found.schedule.state.paused
    await handle.delete()
