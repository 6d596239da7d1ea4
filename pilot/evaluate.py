"""The evaluation: the files that ship, through a real gateway, on texts kept out of training and on the hand-written set; writes the model card."""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import card
import composing
import extraction
import grammar
import homeport
import intent
import prompts
import reading
import scoring
from homeport.skills.backend import SWITCH

HERE = Path(__file__).parent
MODES = {"rules": "code alone", "decoder": "decoder alone", "both": "both"}
MODELS = ("pilot", "pilot-mini")
Case = tuple[str, dict[str, Any], dict[str, Any]]  # group, the task's input, what is known of the right answer
LONG_S = 60.0


def hand() -> list[Case]:
    """The hand-written cases."""
    found: list[Case] = []
    for task in ("classify", "extract", "ask", "scatter", "draft"):
        for line in (HERE / "eval" / f"{task}.jsonl").read_text(encoding="utf-8").splitlines():
            case = json.loads(line)
            if task == "classify":
                labels = case.get("labels")
                found.append(
                    (
                        f"{task}{'' if labels is None else ', other labels'}",
                        {"text": case["text"], **({"labels": labels} if labels else {})},
                        {"label": case["label"]},
                    )
                )
            elif task == "extract":
                fields = list(case["values"])
                other = tuple(fields) != prompts.FIELDS
                found.append(
                    (f"{task}{', other fields' if other else ''}", {"text": case["text"], **({"fields": fields} if other else {})}, {"values": case["values"]})
                )
            elif task == "ask":
                found.append((task, {"question": case["question"], "context": case["context"]}, {"answer": case["answer"]}))
            elif task == "scatter":
                found.append((task, {"prompt": case["prompt"]}, {"nouns": case["nouns"]}))
            else:
                found.append((task, {name: case[name] for name in ("client", "amount", "due", "days_overdue")}, {"tone": case["tone"]}))
    return found


def own(count: int) -> list[Case]:
    """Generated cases of fields of life, layouts and question families that training never saw."""
    rng = random.Random(7)
    found: list[Case] = []
    for number in range(count):
        text, label = intent.four(rng, own=True)
        found.append(("classify", {"text": text}, {"label": label}))
        text, _, values = extraction.case(rng, own=True)
        found.append(("extract", {"text": text}, {"values": values}))
        text, question, answer = reading.case(rng, own=True)
        found.append(("ask", {"question": question, "context": text}, {"answer": answer}))
        if number % 4 == 0:
            raw, bands = composing.scatter(rng, own=True)
            found.append(("scatter", {"prompt": raw}, {"nouns": scoring.nouns(bands["TASK"], raw)}))
    return found


@contextmanager
def running(mode: str, model: str) -> Iterator[homeport.Gateway]:
    """A gateway with one bundled model."""
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = mode
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "homeport.toml"
        path.write_text(f'[server]\nlisten = "127.0.0.1:0"\ndata = "{folder}/data"\n[models.default]\nroutes = [{{ backend = "{model}" }}]\n', encoding="utf-8")
        try:
            with homeport.Gateway(config=path) as gateway:
                until = time.monotonic() + LONG_S
                while gateway.client.get("/status").backends[0].state != "healthy":
                    if time.monotonic() > until:
                        raise SystemExit(f"{model} does not start")
                    time.sleep(0.05)
                yield gateway
        finally:
            os.environ.pop(SWITCH) if before is None else os.environ.__setitem__(SWITCH, before)


def answered(gateway: homeport.Gateway, group: str, given: dict[str, Any]) -> Any:
    """The task's output; None where no answer of the model's own held."""
    try:
        reply = gateway.client.post(f"/tasks/{group.split(',', maxsplit=1)[0]}", {"input": given})
    except homeport.client.HomeportError:
        return None
    return None if reply["homeport"]["offline"] else reply["output"]


def measured(gateway: homeport.Gateway, cases: list[Case], show: Callable[[str], None] | None) -> dict[str, scoring.Score]:
    """Scores by what is measured."""
    table: dict[str, scoring.Score] = {}
    for group, given, right in cases:
        output = answered(gateway, group, given)
        found = scoring.judged(group, given, right, output)
        for name, (hits, all_) in found.items():
            table.setdefault(name, scoring.Score()).add(hits, all_)
        if show is not None and any(hits < all_ for hits, all_ in found.values()):
            show(f"{group}: {json.dumps(right, ensure_ascii=False)} got {json.dumps(output, ensure_ascii=False)}\n    {json.dumps(given, ensure_ascii=False)}")
    return table


def streamed(url: str, path: str, body: dict[str, Any]) -> tuple[float, float, int]:
    """Seconds to the first piece, seconds to the end, tokens."""
    request = urllib.request.Request(
        url + path,
        json.dumps({"model": "default", "stream": True, "stream_options": {"include_usage": True}, **body}).encode(),
        {"content-type": "application/json"},
    )
    began, first, tokens = time.perf_counter(), 0.0, 0
    with urllib.request.urlopen(request, timeout=60) as reply:
        for line in reply:
            if line.startswith(b"data: {"):
                event = json.loads(line[6:])
                choice = (event.get("choices") or [{}])[0]
                if not first and (choice.get("text") or choice.get("delta", {}).get("content")):
                    first = time.perf_counter() - began
                tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
    return first, time.perf_counter() - began, tokens


def speed(gateway: homeport.Gateway) -> dict[str, str]:
    """How quick it is for one client."""
    url = gateway.url
    firsts = [
        streamed(url, "/v1/chat/completions", {"messages": [{"role": "user", "content": f"who are you{'?' * (n % 3)}"}], "max_tokens": 32})[0]
        for n in range(40)
    ]
    asks = [streamed(url, "/v1/chat/completions", {"messages": [{"role": "user", "content": prompts.classify(f"Where is parcel {n}?")}]})[0] for n in range(40)]
    rates = []
    for n in range(8):
        first, last, tokens = streamed(url, "/v1/completions", {"prompt": f"Once upon a time {n}", "max_tokens": 300, "ignore_eos": True, "temperature": 0})
        rates.append((tokens - 1) / (last - first))
    return {
        "first token of a chat, median": f"{1000 * statistics.median(firsts):.1f} ms",
        "first token of a task, median": f"{1000 * statistics.median(asks):.1f} ms",
        "tokens/s, one client, median": f"{statistics.median(rates):,.0f}",
    }


def shared(length: int = 6) -> list[str]:
    """Runs of so many words that the hand-written set has in common with the phrases."""
    known = set()
    for path in sorted((HERE / "phrases").rglob("*.txt")):
        words = grammar.lines(str(path.relative_to(HERE / "phrases")))
        for line in words:
            for part in line.replace("(", " ").replace(")", " ").split("|"):
                said = part.lower().split()
                known.update(tuple(said[at : at + length]) for at in range(len(said) - length + 1))
    found = []
    for _, given, _ in hand():
        for value in given.values():
            said = str(value).lower().split()
            found += [" ".join(said[at : at + length]) for at in range(len(said) - length + 1) if tuple(said[at : at + length]) in known]
    return found


def main() -> int:
    """Print the table; write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--own", type=int, default=150, help="generated cases a task")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--show", action="store_true", help="also each case that is not right, of the generated ones")
    parser.add_argument("--card", action="store_true", help="write MODEL_CARD.md")
    parser.add_argument("--no-hand", action="store_true")
    given = parser.parse_args()
    same = shared()
    print(f"six words in a row that the hand-written set shares with the phrases: {len(same)}", *same[:5], sep="\n    ")
    results: dict[tuple[str, str, str], dict[str, scoring.Score]] = {}
    speeds: dict[str, dict[str, str]] = {}
    for model in given.models.split(","):
        for mode in given.modes.split(","):
            if mode == "rules" and (("own", mode, MODELS[0]) in results):
                continue  # no decoder in it: the same for each
            began = time.perf_counter()
            with running(mode, model) as gateway:
                for name, cases in (("own", own(given.own)), *(() if given.no_hand else (("hand", hand()),))):
                    results[name, mode, model] = measured(gateway, cases, print if given.show and name == "own" else None)
                if mode == "both":
                    speeds[model] = speed(gateway)
            print(f"{model}, {mode}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    table = card.table(results, speeds)
    print(table)
    if given.card:
        card.write(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
