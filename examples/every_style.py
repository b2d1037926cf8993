"""One photo in every style, with concurrent requests of the asynchronous client: python examples/every_style.py PHOTO."""

import asyncio
import sys
from pathlib import Path

import ganvas
from ganvas.card import StylizerCard


async def main(photo: Path) -> None:
    async with ganvas.AsyncClient() as client:
        card, _ = (await client.models()).find(None, StylizerCard)

        async def stylize(style: str) -> None:
            result = await client.stylize(photo, style=style)
            print(result.save(f"{photo.stem}-{style}.jpg"))

        await asyncio.gather(*(stylize(style.name) for style in card.styles))


asyncio.run(main(Path(sys.argv[1])))
