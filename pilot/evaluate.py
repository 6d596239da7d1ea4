"""The evaluation: the shipped GGUF in llama.cpp's own server, on held-out phrasings and fifty hand-written prompts."""

from __future__ import annotations

import json
import math
import random
import re
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import xllamacpp

import corpus
import export
import grammar
import measure

HERE = Path(__file__).parent
_CITY = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city", "days"]}
_SCHEMAS: tuple[dict[str, Any], ...] = (
    _CITY,
    {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]},
    {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "happy": {"type": "boolean"}},
        "required": ["name", "age", "happy"],
    },
    {"type": "object", "properties": {"items": {"type": "array", "items": {"type": "string"}}}, "required": ["items"]},
    {"type": "object", "properties": {"intent": {"enum": ["question", "request", "complaint", "other"]}}, "required": ["intent"]},
    {"type": "string", "enum": ["yes", "no"]},
    {
        "type": "object",
        "properties": {"price": {"type": "number"}, "currency": {"type": "string"}, "note": {"type": "string"}},
        "required": ["price", "currency", "note"],
    },
    {
        "type": "object",
        "properties": {"person": {"type": "object", "properties": {"name": {"type": "string"}, "email": {"type": "string"}}, "required": ["name", "email"]}},
        "required": ["person"],
    },
    {"type": "object", "properties": {"zorbl": {"type": "string"}, "quux": {"type": "array", "items": {"type": "number"}}}, "required": ["zorbl", "quux"]},
    {"type": "array", "items": {"type": "integer"}},
)


class Engine:
    """llama.cpp's server in this process, on a port of its own."""

    def __init__(self, path: Path) -> None:
        given = xllamacpp.CommonParams()
        given.model.path = str(path)
        given.port, given.n_parallel, given.n_ctx, given.verbosity = 0, 1, 2048, -1
        given.cpuparams.n_threads = given.cpuparams_batch.n_threads = 1
        began = time.perf_counter()
        self._server = xllamacpp.Server(given)
        self.load_ms = 1000 * (time.perf_counter() - began)
        self.url = self._server.listening_address

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """The decoded answer to a request."""
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def chat(self, asked: str, **more: Any) -> tuple[str, str]:
        """The reply to one message, and why it ended."""
        found = self.post("/v1/chat/completions", messages=[{"role": "user", "content": asked}], **{"max_tokens": 300, **more})["choices"][0]
        return found["message"]["content"] or "", found["finish_reason"]


def interval(hits: int, cases: int) -> str:
    """hits/cases as a share with its 95 % Wilson interval."""
    share, z = hits / cases, 1.96
    middle = (share + z * z / (2 * cases)) / (1 + z * z / cases)
    half = z * math.sqrt(share * (1 - share) / cases + z * z / (4 * cases * cases)) / (1 + z * z / cases)
    return f"{hits}/{cases} = {share:.2f} [{max(0.0, middle - half):.2f}, {min(1.0, middle + half):.2f}]"


def repeats(text: str) -> bool:
    """Whether some four words stand three times in `text`."""
    words = text.lower().split()
    runs = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    return any(runs.count(run) >= 3 for run in runs)


def spoken(engine: Engine, known: frozenset[str], show: bool, **more: Any) -> list[str]:
    """The fifty prompts: words, proper ends, fitting signs."""
    words = ends = loops = fits = 0
    prompts = [line.split(" => ") for line in grammar.lines("prompts.txt")]
    for seed, (asked, signs) in enumerate(prompts):
        reply, finish = engine.chat(asked, seed=seed, **more)
        found = re.findall(r"[A-Za-z]+(?:'[a-z]+)?", reply)
        right = sum(word.lower() in known for word in found)
        words += bool(reply.strip()) and (not found or right / len(found) >= 0.9)
        ends += finish == "stop"
        loops += repeats(reply)
        fit = any(sign.lower() in reply.lower() for sign in signs.split(" / "))
        fits += fit
        if show:
            print(f"{'+' if fit else '-'} {asked}\n    {json.dumps(reply, ensure_ascii=False)}")
    cases = len(prompts)
    return [interval(words, cases), interval(ends, cases), f"{loops}/{cases}", interval(fits, cases)]


def exact(engine: Engine) -> dict[str, str]:
    """What has one right answer: saying again, sums, capitals, JSON by a schema."""
    rng = random.Random(11)
    said = [corpus.echo(rng) for _ in range(60)]
    echoed = sum(engine.chat(asked, temperature=0)[0] == reply for asked, reply in said)
    summed = sum(str(a + b) in re.findall(r"\d+", engine.chat(f"What is {a} + {b}?", temperature=0)[0])[-1:] for a in range(11) for b in range(11))
    places = grammar.TABLES["capital"]
    named = sum(city in engine.chat(f"What is the capital of {country}?", temperature=0)[0] for country, city in places)
    asked_of = ("Where is my parcel?", "Tell me about Anna in Paris.", "Name some fruits.", "I want to complain.", "What is the meaning of zorbl?")
    valid = 0
    for schema in _SCHEMAS:
        for asked in asked_of:
            reply, finish = engine.chat(asked, seed=7, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
            try:
                json.loads(reply)
                valid += finish == "stop"
            except ValueError:
                continue
    return {
        "said again exactly": interval(echoed, len(said)),
        "sums up to 10 + 10": interval(summed, 121),
        "capitals (seen)": interval(named, len(places)),
        "JSON schema: ended and valid": interval(valid, len(_SCHEMAS) * len(asked_of)),
    }


def speed(engine: Engine) -> str:
    """Tokens a second and the first token, one client, one thread."""
    rates, firsts = [], []
    for _ in range(10):
        found = engine.post("/v1/chat/completions", messages=[{"role": "user", "content": "Tell me a story."}], max_tokens=120, cache_prompt=False)["timings"]
        rates.append(found["predicted_per_second"])
        firsts.append(found["prompt_ms"])
    return f"{sorted(rates)[5]:,.0f} tokens/s, prompt in {sorted(firsts)[5]:.1f} ms, loaded in {engine.load_ms:.0f} ms"


def main(path: Path, show: bool) -> None:
    """Print the table for the GGUF at `path`."""
    weights, shape, tokenizer = export.read(path)
    table = measure.exact(weights, [*measure.own(), *measure.hand()], tokenizer, shape, jnp.float32)
    engine, known = Engine(path), frozenset(corpus.vocabulary())
    rows = {f"{group}, whole answer exact, no grammar": interval(hits, cases) for group, (hits, cases, _, _) in table.items()}
    names = ("non-empty, 90 % known words", "ended by itself", "repeats itself", "holds a fitting sign")
    for label, more in (("greedy", {"temperature": 0}), ("default sampling", {})):
        for name, value in zip(names, spoken(engine, known, show, **more), strict=True):
            rows[f"50 prompts, {label}: {name}"] = value
    rows.update(exact(engine))
    rows["speed, one thread"] = speed(engine)
    print("\n| figure | value |\n|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {value} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1] != "--show" else export.SHIPPED / "pilot.gguf", "--show" in sys.argv)
