"""`[monitor]`."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.settings import MonitorSettings, minutes

from .test_reading import HOME, folder, problems, read

__all__ = ["folder"]

FULL = """\
[monitor]
notify = ["ntfys://ntfy.example/topic", { env = "NOTIFY_URL" }, { file = "hook" }]
probe_interval_s = 5
down_after = 3
up_after = 4
dead_man_url = { env = "PING" }
quiet_hours = "23:00-07:00"
watch = ["https://vps.example/v1/", "http://10.0.0.2:8461"]
"""


def test_without_the_section(folder: Path) -> None:
    assert read(HOME, folder).monitor == MonitorSettings()


def test_every_key(folder: Path) -> None:
    (folder / "hook").write_text("json://127.0.0.1/hook-secret\n")
    settings = read(HOME + FULL, folder, NOTIFY_URL="slack://slack-secret", PING="https://ping.example/ping-secret")
    assert settings.monitor == MonitorSettings(
        notify=("ntfys://ntfy.example/topic", "slack://slack-secret", "json://127.0.0.1/hook-secret"),
        probe_interval_s=5.0,
        down_after=3,
        up_after=4,
        dead_man_url="https://ping.example/ping-secret",
        quiet_hours="23:00-07:00",
        watch=("https://vps.example", "http://10.0.0.2:8461"),
    )
    assert settings.notices == ()
    assert settings.secrets["monitor.notify[2]"] == "env NOTIFY_URL"
    assert settings.secrets["monitor.dead_man_url"] == "env PING"
    assert "-secret" not in repr(settings)
    assert "topic" not in repr(settings)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("notfy = []", '[monitor] has no key "notfy"; did you mean "notify"?'),
        ('notify = "json://x"', 'monitor.notify takes a list, not a text; write notify = ["ntfys://ntfy.example/topic", { env = "NOTIFY_URL" }]'),
        ('notify = ["hush"]', 'monitor.notify[1] is no apprise URL, such as "ntfys://ntfy.example/topic"'),
        ("notify = [3]", 'monitor.notify[1] takes a text, not a whole number; write a URL, or { env = "NOTIFY_URL" }'),
        ('notify = ["json://x", ""]', "monitor.notify[2] takes a URL in printable ASCII characters"),
        ('notify = [{ env = "GONE" }]', "monitor.notify[1].env names GONE, which is not set; export GONE=… before the start"),
        (
            "notify = [{}]",
            'monitor.notify[1] takes either env or file; write notify[1] = { env = "NOTIFY_URL" }, or notify[1] = { file = "path" }',
        ),
        ("down_after = 0", "monitor.down_after takes at least 1, not 0"),
        ("probe_interval_s = 0", "monitor.probe_interval_s takes more than 0, not 0"),
        ('dead_man_url = "hush"', "monitor.dead_man_url takes an address that begins with http:// or https://"),
        ('quiet_hours = "23-7"', 'monitor.quiet_hours takes two times of the day, such as "23:00-07:00"'),
        ('quiet_hours = "07:00-07:00"', "monitor.quiet_hours begins and ends at the same time; leave it out to have none"),
        ('watch = ["vps.example"]', 'monitor.watch[1] takes http:// or https:// at its start; did you mean "http://vps.example"?'),
        ('watch = ["https://me:hush@vps.example"]', "monitor.watch[1] may not hold a user name or password; use api_key"),
        ("watch = [true]", "monitor.watch[1] takes a text, not true or false"),
    ],
)
def test_what_is_wrong(folder: Path, line: str, problem: str) -> None:
    assert problems(f"{HOME}[monitor]\n{line}\n", folder) == [f"homeport.toml:5: {problem}"]


def test_quiet_hours_in_minutes() -> None:
    assert minutes("23:00-07:30") == (1380, 450)
    assert minutes(" 00:00 - 23:59 ") == (0, 1439)
    for bad in ("24:00-01:00", "1:00-2:00", "12:00", "12:60-13:00", ""):
        with pytest.raises(ValueError):
            minutes(bad)
