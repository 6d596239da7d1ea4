"""Reads `[telemetry]`: where OpenTelemetry's spans go, and whether what sends them is installed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from homeport.settings.address import url_problem
from homeport.settings.document import Table
from homeport.settings.tree import TelemetrySettings

KEYS = ("otlp_url",)
VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"  # as every program that speaks OpenTelemetry has it
EXAMPLE = "http://127.0.0.1:4318"
REMEDY = "what sends spans is not installed; pip install 'homeport[otel]'"


def read_telemetry(table: Table, environ: Mapping[str, str]) -> TelemetrySettings:
    """The section; what is wrong is collected in the table's document.

    The variable wins over the file. It may be there for other programs' sake, so that nothing can be sent to it is worth a notice only.
    """
    table.known(KEYS)
    url = table.text("otlp_url", EXAMPLE)
    if url is not None and (problem := url_problem(url)):
        table.problem("otlp_url", problem)
        return TelemetrySettings()
    if told := environ.get(VARIABLE, "").strip():
        table.document.origins[f"{table.name}.otlp_url"] = "environment"
        if problem := url_problem(told):
            table.document.outside(f"{VARIABLE} {problem}")
        elif not installed():
            table.document.mention(f"{VARIABLE} is set, and {REMEDY}, or unset it")
            return TelemetrySettings()
        url = told
    elif url is not None and not installed():
        table.problem("otlp_url", f"is set, and {REMEDY}, or remove it")
    return TelemetrySettings(otlp_url=url.rstrip("/") if url else None)


def installed() -> bool:
    """Whether the extra `homeport[otel]` is there."""
    try:
        return find_spec("opentelemetry.sdk.trace") is not None and find_spec("opentelemetry.exporter.otlp.proto.http.trace_exporter") is not None
    except ModuleNotFoundError:  # a parent of it
        return False
