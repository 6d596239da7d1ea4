"""Which paths a scripted backend has by its style, and what their pages say that generate nothing."""

from __future__ import annotations

from homeport.testing import anthropic, ollama
from homeport.testing.dialects import Dialect, OpenAI
from homeport.testing.script import Model
from homeport.testing.shapes import STYLES, Json, Style, StyleName, encode

V1 = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
API = ("/api/chat", "/api/generate", "/api/embed", "/api/embeddings")
MESSAGES = ("/v1/messages", "/v1/messages/count_tokens")
GENERATING = {*V1, *API, *MESSAGES, "/v1/responses"}  # paths that make a model work, on any engine
COMPUTING = {"/v1/embeddings", "/api/embed", "/api/embeddings", "/v1/messages/count_tokens"}  # … without making text

OF: dict[StyleName, dict[str, Dialect]] = {
    name: dict.fromkeys(V1, OpenAI(style)) | (dict.fromkeys(API, ollama.Ollama(style)) if name == "ollama" else {}) for name, style in STYLES.items()
}
OF["anthropic"] = dict.fromkeys(MESSAGES, anthropic.Anthropic(Style()))


def dialect(style: StyleName, path: str) -> Dialect:
    """The dialect of a path; for one that is not there, that of its neighbours."""
    paths = OF[style]
    beside = "/v1/messages" if style == "anthropic" else "/api/chat" if style == "ollama" and not path.startswith("/v1") else V1[0]
    return paths.get(path) or paths[beside]


def page(style: StyleName, method: str, path: str, models: list[Model], fields: Json | None) -> tuple[int, bytes, str | None]:
    """Status, body and content type (None: the dialect's own; "": none) of a path that generates nothing."""
    reads = method in ("GET", "HEAD")
    if style == "anthropic":
        if reads and path == "/v1/models":
            return 200, encode(anthropic.models(models)), None
        return 404, encode(dialect(style, path).error(404, "Not Found")), None
    shapes = STYLES[style]
    if reads and path in ("/v1/models", "/models"):
        return 200, encode(_listed(shapes, models)), None
    if reads and path == "/props" and style == "llama.cpp":
        return 200, encode(_props(models[0])), None
    if reads and path == "/version" and style == "vllm":
        return 200, encode({"version": "0.32.0"}), None
    if reads and path in ("/health", "/v1/health"):
        return shapes.health()
    found = ollama.page(method, path, models, fields) if style == "ollama" else None
    if found is not None:
        status, document = found
        return (status, document.encode(), "text/plain; charset=utf-8") if isinstance(document, str) else (status, encode(document), None)
    return 404, encode(dialect(style, path).error(404, "File Not Found")), None


def work(style: StyleName, path: str, in_flight: int, slots: int | None) -> tuple[int, bytes, str | None] | None:
    """A page that says how much the engine computes: status, body and content type as `page` has them; None where it has no such page.

    llama.cpp tells it by its slots (its metrics are off unless they are switched on), vLLM by gauges, Ollama and Anthropic nowhere.
    """
    if style == "llama.cpp" and path == "/slots":
        places = slots or max(2, in_flight)
        return 200, encode([{"id": place, "n_ctx": 2048, "speculative": False, "is_processing": place < in_flight} for place in range(places)]), None
    if style == "llama.cpp" and path == "/metrics":
        why = "This server does not support metrics endpoint. Start it with `--metrics`"
        return 501, encode({"error": {"code": 501, "message": why, "type": "not_supported_error"}}), None
    if style == "vllm" and path == "/metrics":
        running = min(in_flight, slots or in_flight)
        gauges = {"num_requests_running": running, "num_requests_waiting": in_flight - running}
        lines = [f'# TYPE vllm:{name} gauge\nvllm:{name}{{engine="0",model_name="talker"}} {float(value)}\n' for name, value in gauges.items()]
        return 200, "".join(lines).encode(), "text/plain; version=1.0.0; charset=utf-8"
    return None


def _listed(shapes: Style, models: list[Model]) -> Json:
    """The model list, with the context of each model where the engine tells it."""
    listed = shapes.models([model.name for model in models])
    for row, model in zip(listed["data"], models, strict=True):
        if "max_model_len" in row:
            row["max_model_len"] = model.context
        if "meta" in row:
            row["meta"] |= {"n_ctx": model.context, "n_ctx_train": model.trained, "size": model.size}
    return listed


def _props(model: Model) -> Json:
    """llama.cpp's `/props`, as far as it describes the model."""
    can = model.capabilities
    caps = {"supports_system_role": True, "supports_tool_calls": "tools" in can, "supports_tools": "tools" in can, "supports_typed_content": False}
    template = "{%- if enable_thinking %}<think>{% endif %}" if "thinking" in can else "{{ messages[0].content }}"
    shared = {"total_slots": 2, "model_alias": model.name, "model_ftype": "all F32", "model_path": model.name}
    shape = {"modalities": {"vision": "vision" in can, "video": False, "audio": False}, "chat_template": template, "chat_template_caps": caps}
    return {"default_generation_settings": {"n_ctx": model.context}, **shared, **shape, "build_info": "b0-unknown"}
