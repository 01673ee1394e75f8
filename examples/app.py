"""An app that answers in every mode, and streams what each community says as soon as it says it.

MODPLURAL_APP="models:/overton@champion my-steerable" .venv/bin/uvicorn --app-dir examples app:app
curl "http://127.0.0.1:8000/overton?stream=true" --json '{"query": "May I read her diary?"}'
"""

import json
import os
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from modplural import Message, load
from modplural.optimizers.evaluation.answers import as_json
from modplural.programs.errors import reason
from modplural.programs.question import Question
from modplural.programs.streaming import streamed

programs = {type(one).__name__.lower(): one for one in map(load, os.environ["MODPLURAL_APP"].split())}
app = FastAPI(title="ModPlural")


class Asked(BaseModel, extra="forbid"):
    query: str
    attribute: str | None = None
    options: list[str] | None = None


@app.post("/{mode}")
async def answer(mode: str, asked: Asked, stream: bool = False) -> Response:
    if mode not in programs:
        raise HTTPException(404, f"no program answers {mode}; there is {', '.join(programs)}")
    try:
        question = Question.check(asked.query, asked.attribute, asked.options)
        question.fit(mode, programs[mode].attribute_use, programs[mode].options_use)
    except ValueError as error:
        raise HTTPException(422, str(error)) from error
    if stream:
        lines = (json.dumps(event) + "\n" async for event in events(mode, asked))
        return StreamingResponse(lines, media_type="application/x-ndjson")
    [*_, last] = [event async for event in events(mode, asked)]
    if "error" in last:
        raise HTTPException(502, last["error"])
    # Escaped, as in the stream: an LM may say half a character, which no answer could be encoded with.
    return Response(json.dumps(last["prediction"]), media_type="application/json")


async def events(mode: str, asked: Asked) -> AsyncIterator[dict[str, Any]]:
    try:
        async for part in streamed(programs[mode], **asked.model_dump()):
            yield {"message": asdict(part)} if isinstance(part, Message) else {"prediction": as_json(part)}
    except Exception as error:  # whose message may repeat a key that a server refused
        yield {"error": reason(error, programs[mode].base)}
