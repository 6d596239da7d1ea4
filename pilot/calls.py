"""Tool calls of the corpus: a short list of tools, a question, the call, and the answer made of what the tool said."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from grammar import filled, invented, typed

Part = tuple[str, str, str]  # role, text, counted

# name, parameters, ways to ask; a parameter stands in the question by its own name in braces
_TOOLS: tuple[tuple[str, dict[str, str], tuple[str, ...]], ...] = (
    (
        "get_weather",
        {"city": "{town}"},
        (
            "what is the weather in {city}",
            "how is the weather in {city}",
            "weather in {city}",
            "is it raining in {city}",
            "will it rain in {city} today",
            "how warm is it in {city}",
            "what's the weather like in {city}?",
        ),
    ),
    (
        "get_current_weather",
        {"location": "{town}"},
        ("what is the weather in {location}", "weather in {location}", "what's the weather like in {location}?", "tell me the weather in {location}"),
    ),
    ("weather", {"city": "{town}"}, ("what is the weather in {city}", "weather {city}", "how is the weather in {city}")),
    ("get_time", {"city": "{town}"}, ("what time is it in {city}", "tell me the time in {city}", "how late is it in {city}")),
    ("search", {"query": "{thing}"}, ("search for {query}", "find {query}", "look up {query}", "search the web for {query}")),
    ("web_search", {"query": "{animal}"}, ("search for {query}", "google {query}", "look up {query}")),
    ("find_ship", {"name": "{ship}"}, ("where is the {name}", "find the ship {name}", "where is the ship {name} now")),
    ("get_parcel", {"number": "{digits}"}, ("where is my parcel {number}", "track parcel {number}", "what is the status of parcel {number}")),
    ("lookup_order", {"order_id": "{digits}"}, ("where is order {order_id}", "what is the status of order {order_id}", "look up order {order_id}")),
    ("send_mail", {"to": "{name}", "text": "{food}"}, ("send {to} a mail about {text}", "write to {to} about {text}")),
    ("add", {"a": "{digit}", "b": "{digit}"}, ("add {a} and {b}", "what is {a} plus {b}", "{a} + {b}")),
    ("set_timer", {"minutes": "{digit}"}, ("set a timer for {minutes} minutes", "wake me in {minutes} minutes")),
    ("book_table", {"day": "{day}", "people": "{digit}"}, ("book a table for {people} on {day}", "a table for {people} people on {day}")),
    ("translate", {"text": "{thing}", "language": "German"}, ("translate {text} into {language}",)),
)
_SAID = (
    "{weather}, {digits} degrees",
    "it is {weather}",
    "{weather}",
    "{digits}",
    "in {town}",
    "arrives on {day}",
    "done",
    "ok",
    "{town}, {day}",
    "{digit}",
    "not found",
    "on the way",
    "delivered",
)


def _word(slot: str, rng: random.Random) -> str | int:
    if slot == "{digit}":
        return rng.randint(1, 12)
    if slot == "{digits}":
        return str(rng.randint(10, 99999))
    return invented(rng).capitalize() if rng.random() < 0.25 else filled(slot, rng)


def _signature(name: str, parameters: list[str]) -> str:
    return f" {name}({', '.join(parameters)})"


def chat(rng: random.Random, plain: Callable[[random.Random], tuple[str, str]]) -> list[Part]:
    """One conversation with tools on offer; some questions need none of them."""
    offered = rng.sample(_TOOLS, rng.choice((1, 1, 1, 2, 2, 3)))
    head = "Tools:" + "".join(_signature(name, list(parameters)) for name, parameters, _ in offered)
    parts: list[Part] = [("system", head, "no")]
    if rng.random() < 0.2:
        parts.append(("system", "You are a helpful assistant.", "no"))
    if rng.random() < 0.25:
        asked, reply = plain(rng)
        return [*parts, ("user", asked, "no"), ("assistant", reply, "all")]
    name, parameters, ways = rng.choice(offered)
    if rng.random() < 0.1:
        renamed = invented(rng) + rng.choice(("", "_" + invented(rng)))
        parts[0] = ("system", head.replace(f" {name}(", f" {renamed}("), "no")
        name = renamed
    words = {key: _word(slot, rng) for key, slot in parameters.items()}
    asked = typed(rng.choice(ways).format(**words), rng, exact=True)
    call = '<tool_call>\n{"name": "' + name + '", "arguments": ' + json.dumps(words, ensure_ascii=False) + "}\n</tool_call>"
    parts += [("user", asked, "no"), ("assistant", call, "all" if rng.random() < 0.8 else "rest")]
    if rng.random() < 0.5:
        said = filled(rng.choice(_SAID).replace("{digits}", str(rng.randint(0, 99))).replace("{digit}", str(rng.randint(0, 20))), rng)
        parts += [("user", f"<tool_response>{said}</tool_response>", "no"), ("assistant", f"The answer is: {said}.", "all")]
    return parts
