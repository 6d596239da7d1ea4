"""The monitor: one event a transition, kept on disk, told until somebody has it.

`monitor` is the room's one entry; `transitions` makes events of probes by `rules/transition`, `outbox` keeps them,
`notify` delivers them by the child process in `courier`, `message` says them to people, `traffic` says where requests
went meanwhile, and `rounds` looks at other Homeports and pings the dead man's switch.

Beside it, `/metrics`: `series` names what is on the page, `measures` counts it from receipts, `readings` reads the rest when it is scraped, `prometheus`
makes the text of it and of what `siblings` counted, and `departed` keeps what workers had counted that ended. `telemetry` makes spans of receipts, with the
names in `genai`.
"""
