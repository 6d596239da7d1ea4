"""The settings: one frozen tree, read once from homeport.toml, the environment and flags.

`tree` holds the values and their defaults, `reading` fills it, `document` says what is wrong with a file and
on which of its `lines`, `places` knows the folders of the platform, `address` what `listen` means.
"""

from homeport.settings.address import address, from_here, is_loopback
from homeport.settings.monitor import minutes
from homeport.settings.places import usual_file
from homeport.settings.reading import load
from homeport.settings.tree import (
    AnswerSettings,
    BackendSettings,
    FleetSettings,
    KeyLimits,
    Kind,
    LimitSettings,
    Location,
    ModelSettings,
    MonitorSettings,
    RouteSettings,
    Server,
    Settings,
    TaskSettings,
    TelemetrySettings,
    TunnelSettings,
)

__all__ = [
    "AnswerSettings",
    "BackendSettings",
    "FleetSettings",
    "KeyLimits",
    "Kind",
    "LimitSettings",
    "Location",
    "ModelSettings",
    "MonitorSettings",
    "RouteSettings",
    "Server",
    "Settings",
    "TaskSettings",
    "TelemetrySettings",
    "TunnelSettings",
    "address",
    "from_here",
    "is_loopback",
    "load",
    "minutes",
    "usual_file",
]
