"""The words of a request's journey, as frozen values: Ask → Caller → Route → Reply → Receipt."""

from __future__ import annotations

import enum
from typing import Any

import msgspec
from msgspec import Raw, Struct


class Surface(enum.StrEnum):
    """The endpoint that a caller used; the value is its path."""

    CHAT = "/v1/chat/completions"
    COMPLETIONS = "/v1/completions"
    EMBEDDINGS = "/v1/embeddings"
    RESPONSES = "/v1/responses"
    MESSAGES = "/v1/messages"
    COUNT_TOKENS = "/v1/messages/count_tokens"
    OLLAMA_CHAT = "/api/chat"
    GENERATE = "/api/generate"
    EMBED = "/api/embed"
    OLD_EMBED = "/api/embeddings"


# reached without the enum's look-up, which costs on the hot path
CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, MESSAGES, COUNT_TOKENS, OLLAMA_CHAT, GENERATE, EMBED, OLD_EMBED = Surface


class Caller(Struct, frozen=True, gc=False):
    """Who asks: the name of the key, or None where no key exists."""

    key: str | None


class Request(Struct, frozen=True, gc=False):
    """One HTTP request on a model route, whole, before anything was made of it."""

    dialect: str
    surface: Surface
    headers: dict[bytes, bytes]  # lower-case names
    body: bytes
    arrived: float  # time.perf_counter(), seconds
    caller: Caller  # who sent it, found out before its body was read


class Errand(Struct, frozen=True, gc=False):
    """On whose behalf a task asks a model, and why again: what the receipt says of it. No text of an answer is in it."""

    task: str
    checks: tuple[str, ...] = ()  # what was wrong with the answers before this one, by the names of the checks
    private: bool = False  # no byte of it may go to a backend with location = "cloud"


class Ask(Struct, frozen=True, gc=False):
    """One request, decoded once. `fields` holds every top-level field as raw JSON, known or not."""

    id: str  # ours, unique; also x-request-id
    dialect: str  # "openai" "responses" "anthropic" "ollama"
    surface: Surface
    model: str  # the name that was asked for
    fields: dict[str, Raw]
    stream: bool
    wants_usage: bool  # the caller asked for the usage chunk of a stream
    prompt_chars: int
    caller: Caller  # who asks, by the key that came with it; the key itself goes no further
    arrived: float  # time.perf_counter() when the request was whole, seconds
    trace: bytes | None = None  # W3C traceparent, sent on
    app: str | None = None  # what the caller calls itself (its User-Agent's first word)
    versions: bytes = b""  # Anthropic's version and beta header lines, sent on to a backend that speaks it
    errand: Errand | None = None  # where a task asks
    via: bytes = b""  # the Homeports it came through, by the ids of their runs, with commas between


class Begun(Struct, frozen=True, gc=False):
    """The beginning of an answer whose stream broke, for another attempt to go on with."""

    text: str  # exactly what the caller has
    tokens: int  # about as many as were made for it


class Route(Struct, frozen=True, gc=False):
    """One way an Ask can be answered: a backend, and the model's name there."""

    backend: str
    model: str
    while_in_flight_below: int | None = None
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    on_break: str = "error"  # error | continue: what follows where its stream breaks
    engine: str | None = None  # known to run there, and to be asked in OpenAI's dialect; told only where a cut answer may be continued
    begun: Begun | None = None  # what the answer is to go on from
    private: bool = False  # its model never leaves local backends: another Homeport behind is told


class Usage(Struct, frozen=True, gc=False):
    """Tokens of one answer, as the engine counted them, or estimated from its stream."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0
    estimated: bool = False


NOTHING = Usage()


class Reply(Struct, frozen=True, gc=False):
    """What a backend answered. `body` is the whole answer still held, or None once it was streamed."""

    status: int
    content_type: str
    body: bytes | None
    usage: Usage
    finish: str | None  # "stop", "length", "tool_calls" …; None where the surface has none
    empty: bool  # no text, no reasoning and no tool call in it
    generation_s: float  # first to last token of a stream; the whole wait otherwise


class Attempt(Struct, frozen=True, gc=False):
    """One try at one backend, as the receipt shows it."""

    backend: str
    model: str | None
    outcome: str  # "ok" "unreachable" "refused" "stalled" "broke" "rejected" "client_left" "full"
    reason: str
    ms: float


class Receipt(Struct, frozen=True, gc=False):
    """What one Ask came to: a settled line of the journal, a row of the ledger. Field names are the contract's."""

    id: str
    ts: float  # when it arrived, seconds since the epoch
    key: str | None
    app: str | None
    task: str | None
    dialect: str
    asked: str
    model: str | None
    backend: str | None
    provider: str | None  # the backend's kind
    location: str | None
    stream: bool
    outcome: str  # ok | cut | client_left | refused | failed; `unsettled` where the gateway died meanwhile
    attempts: list[Attempt]
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    prompt_chars: int
    queue_ms: float
    first_token_ms: float | None
    total_ms: float
    tok_per_s: float | None
    cost_usd: float | None
    cloud_usd: float | None
    cache: str | None
    checks: list[str]


class Said(Struct, frozen=True):
    """What a model said to a task, and who it was."""

    body: dict[str, Any]  # the whole reply as JSON; of a stream what it was put together to
    text: str
    finish: str | None  # "stop" "length" …
    headers: dict[str, str]  # those of Homeport: x-homeport-backend, x-tok-per-s …; of a stream the same figures


class Weights(Struct, frozen=True, gc=False):
    """The file of a model, as its backend describes it; empty where it does not."""

    form: str = ""  # "gguf" …
    family: str = ""  # "llama" …
    parameters: str = ""  # "7.6B"
    quantization: str = ""  # "Q4_K_M"
    size: int = 0  # bytes
    digest: str = ""  # hexadecimal SHA-256
    modified: str = ""  # RFC 3339


class Card(Struct, frozen=True, gc=False):
    """What is known of one model at one backend, learnt without a generation; None, or nothing said, where it was not told."""

    engine: str | None = None  # "ollama" "llama.cpp" "vllm" "anthropic" "homeport"
    version: str | None = None  # of the engine
    context: int | None = None  # tokens that a prompt and its answer may have, as it is loaded now
    trained: int | None = None  # … as it was made for
    max_tokens: int | None = None  # more than that may not be asked for
    capabilities: dict[str, bool] = {}  # Ollama's words: completion tools thinking vision insert embedding
    format: str = "unknown"  # "yes": JSON holds, with thinking and without; "schema": that of a schema does, bare "json" not; "no"
    cuts: bool = False  # it cuts a prompt that is too long, and says nothing
    weights: Weights = Weights()
    about: str = ""  # what it is, of a model that comes with Homeport

    @property
    def lacks(self) -> frozenset[str]:
        """What it is known not to do: capabilities, and "format"."""
        missing = [name for name, has in self.capabilities.items() if not has]
        return frozenset([*missing, "format"] if self.format == "no" else missing)


STATES = ("healthy", "loading", "degraded", "drained", "open")
"""Of a backend, from best to worst."""


class Behind(Struct, frozen=True, gc=False):
    """A backend of a Homeport that is itself a backend here, as that one tells of it."""

    name: str
    state: str = "healthy"  # one of STATES
    reason: str = ""
    in_flight: int = 0
    max_in_flight: int = 0
    queued: int = 0
    location: str = "local"


class Node(Struct, frozen=True, gc=False):
    """What a Homeport that is a backend here said of itself last; its backends' figures added up."""

    version: str
    in_flight: int
    max_in_flight: int
    queued: int
    backends: list[Behind]


class Standing(Struct, frozen=True, gc=False):
    """One backend as `choose` and `/status` see it at one moment."""

    name: str
    kind: str
    location: str
    state: str  # healthy | loading | degraded | open | drained
    reason: str
    since: float  # seconds since the epoch
    in_flight: int
    max_in_flight: int
    queued: int
    models: list[str]
    ttft_ms: float | None = None  # to the first token, as a moving average
    tok_per_s: float | None = None  # likewise
    retry_at: float | None = None  # open: when it is tried again, seconds since the epoch
    cold_start_s: float | None = None  # how long it took to load when it came back last
    zombies: int = 0  # places of answers that were given up, which it may still be computing
    node: Node | None = None  # what it said of itself, where it is a Homeport


class FleetStanding(Struct, frozen=True, gc=False):
    """How this gateway stands with those that share its backends, as `/status` shows it."""

    state: str  # together | away
    reason: str  # away: why the store cannot be used
    since: float  # seconds since the epoch
    gateways: int  # seen last, this one included
    workers: int  # their processes
    store: str  # where it is, without who asks
    round_trip_ms: float | None = None  # a moving average


class Finding(Struct, frozen=True, gc=False):
    """What one free probe of a backend found."""

    good: bool | None  # None: neither, such as a model that still loads, or a server too busy to answer a probe
    reason: str = ""  # where it is not good


class Event(Struct, frozen=True, gc=False):
    """One notification; field names are the contract's."""

    id: str  # the same however often it is delivered
    kind: str  # down | up | test | drift
    backend: str | None
    since: float  # when that began, seconds since the epoch
    reason: str
    downtime_s: float | None  # up: how long it was down
    traffic: str | None  # where its requests go, or went


class Incident(Struct, frozen=True, gc=False):
    """One outage as `/status` shows it. `id` is that of its first event; times are seconds since the epoch."""

    id: str
    kind: str  # down
    backend: str
    since: float
    until: float | None  # None while it lasts
    reason: str
    downtime_s: float | None
    traffic: str | None
