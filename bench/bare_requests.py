"""The baseline of throughput.py: bodies from a file, one a line, sent at a fixed concurrency. Nothing is kept.

python bench/bare_requests.py ADDRESS BODIES CONCURRENCY
"""

import asyncio
import sys
from pathlib import Path

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

HEADERS = {"Content-Type": "application/json"}


async def main(address: str, bodies: list[bytes], concurrency: int) -> None:
    connector = aiohttp.TCPConnector(limit=concurrency)
    transport = AiohttpTransport(client=aiohttp.ClientSession(connector=connector))
    waiting = iter(bodies)

    async def worker(client: httpx.AsyncClient) -> None:
        for body in waiting:
            response = await client.post(f"{address}/v1/chat/completions", content=body, headers=HEADERS)
            response.raise_for_status()

    async with httpx.AsyncClient(transport=transport, timeout=600, trust_env=False) as client:
        await asyncio.gather(*(worker(client) for _ in range(concurrency)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes().splitlines(), int(sys.argv[3])))
