"""A server as it is usually written, for `benchmarks/load.py`: the same model, one request after the other.

python benchmarks/naive_server.py PORT
"""

import asyncio
import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from translator.inference import Translator


class Wanted(BaseModel):
    """The fields of `POST /translate` that are used here."""

    q: str
    source: str
    target: str


def create_app() -> FastAPI:
    """Makes the application around the default model."""
    translator, turn, app = Translator.load(), asyncio.Lock(), FastAPI()

    @app.post("/translate")
    async def translate(wanted: Wanted) -> dict[str, str]:
        async with turn:
            [found] = await asyncio.to_thread(
                translator.translate, [wanted.q], source=wanted.source, target=wanted.target
            )
        return {"translatedText": found.text}

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(), port=int(sys.argv[1]), log_level="warning")
