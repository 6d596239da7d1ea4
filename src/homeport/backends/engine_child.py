"""Serves one GGUF with llama.cpp's own server, in a process that ends when its parent does.

Started by `engine.py` as a plain script, so that nothing but the standard library and xllamacpp is imported. Its orders,
the key among them, come as one JSON line on stdin, which stays open as long as the parent lives. On stdout it says one
JSON line once it is warm; whatever llama.cpp prints goes to stderr. Exit status 3 means that the model cannot be used.

On Linux the kernel ends it with its parent at any moment. Elsewhere it notices that stdin ended, which xllamacpp allows
only once the model is loaded.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
from typing import Any, NoReturn

UNUSABLE = 3
PR_SET_PDEATHSIG = 1
SMALL_MODEL = 32 * 2**20  # bytes: up to here a second thread costs more than it gives
MIDDLE_MODEL = 2**30  # bytes: up to here a batch of 2,048 tokens fits anywhere


def main() -> NoReturn:
    """Load, warm up, say so, and serve until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the parent, which drains and then closes our stdin
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    control = os.dup(1)
    os.dup2(2, 1)
    if sys.platform == "linux":
        _die_with_parent()
    order: dict[str, Any] = json.loads(sys.stdin.buffer.readline() or b"null")
    if not order or (sys.platform == "linux" and os.getppid() != order["parent"]):
        os._exit(0)  # the parent died before we could ask to die with it
    watch = threading.Thread(target=_exit_with_stdin, daemon=True)
    watch.start()
    if order.get("digest"):
        _check(order["model"], order["digest"])
    server = _serve(order)
    _warm_up(server)
    os.write(control, json.dumps({"url": server.listening_address}).encode() + b"\n")
    watch.join()
    os._exit(0)


def _die_with_parent() -> None:
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _exit_with_stdin() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def _check(model: str, digest: str) -> None:
    """Give up on a bundled file that is not as it was made."""
    import hashlib

    try:
        with open(model, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        _give_up(f"it cannot be read ({error.strerror}); install Homeport anew")
    if found != digest:
        _give_up(f"it is not as it was made (its SHA-256 begins {found[:12]}, and should begin {digest[:12]}); install Homeport anew")


def _serve(order: dict[str, Any]) -> Any:
    try:
        llama = importlib.import_module("xllamacpp")
    except ImportError as error:
        _give_up(f"the package xllamacpp cannot be imported ({error}); install what is missing, or homeport anew")
    try:
        return llama.Server(_parameters(llama, order))
    except RuntimeError as error:
        _give_up(str(error))


def _parameters(llama: Any, order: dict[str, Any]) -> Any:
    p = llama.CommonParams()
    size = _size(order["model"])
    p.model.path = order["model"]
    p.model_alias = {order["name"]}
    p.n_parallel = order["slots"]
    p.n_ctx = order["slots"] * order["context"]  # shared out evenly: each slot has `context`
    p.n_batch = p.n_ubatch = max(32, min(order["context"], 2048 if size <= MIDDLE_MODEL else 512))  # also the longest text to embed
    p.cache_ram_mib = _prompt_cache_mib() if order["prompt_cache_mib"] is None else order["prompt_cache_mib"]
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = order["threads"] or _threads(size)
    p.embedding = order["embeddings"]
    if p.embedding:
        p.pooling_type = llama.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    p.hostnames = ["127.0.0.1"]
    p.port = 0
    p.api_keys = [order["key"]]
    p.cors_origins = ""
    p.ui = p.endpoint_slots = p.endpoint_props = p.endpoint_metrics = False
    p.use_jinja = p.cont_batching = p.cache_prompt = p.warmup = True
    p.offline = True
    p.verbosity = 1  # errors only: warnings quote requests
    return p


def _size(model: str) -> int:
    try:
        return os.path.getsize(model)
    except OSError:
        return 0  # llama.cpp will say what is wrong with it


def _threads(size: int) -> int:
    """One for a small model, where two would mostly wait for each other; else the cores that this process may use."""
    if size <= SMALL_MODEL:
        return 1
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(cores if cores <= 4 else cores // 2, 16)  # beyond four, half of them are likely hyper-threads


def _prompt_cache_mib() -> int:
    """A sixteenth of the memory, from 64 MiB to 2 GiB."""
    if sys.platform == "win32":
        return 512
    return max(64, min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**24, 2048))


def _warm_up(server: Any) -> None:
    """Decode one token through the whole server; a model that only embeds refuses, and that is no matter."""
    server.handle_completions({"prompt": "a", "max_tokens": 1, "cache_prompt": False})


def _give_up(reason: str) -> NoReturn:
    os.write(2, reason.encode() + b"\n")
    os._exit(UNUSABLE)


if __name__ == "__main__":
    main()
