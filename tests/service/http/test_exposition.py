"""The text of /metrics for many callers at once."""

import asyncio

from service.engine.metrics import OTHER_REASONS, REJECTED, rejected
from service.http.exposition import Exposition


def test_callers_at_the_same_time_see_what_happened_before() -> None:
    reason = OTHER_REASONS[0]
    before = REJECTED.labels("", reason)._value.get()

    async def watch() -> None:
        exposition = Exposition()
        texts = []
        for _ in range(5):
            rejected(reason)
            texts.append(asyncio.create_task(exposition.text()))
            await asyncio.sleep(0)
        for number, text in enumerate(texts, 1):
            line = next(line for line in (await text).decode().splitlines() if f'model="",reason="{reason}"' in line)
            assert float(line.split()[-1]) >= before + number

    asyncio.run(watch())


def test_caller_that_leaves_does_not_take_the_text_from_others() -> None:
    async def leave() -> bytes:
        exposition = Exposition()
        leaving, staying = asyncio.create_task(exposition.text()), asyncio.create_task(exposition.text())
        await asyncio.sleep(0)
        leaving.cancel()
        return await staying

    assert b"ganvas_queue_rows" in asyncio.run(leave())
