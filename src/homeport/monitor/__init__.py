"""The monitor: one event a transition, kept on disk, told until somebody has it.

`monitor` is the room's one entry; `transitions` makes events of probes by `rules/transition`, `outbox` keeps them,
`notify` delivers them by the child process in `courier`, `message` says them to people, `traffic` says where requests
went meanwhile, and `rounds` looks at other Homeports and pings the dead man's switch.
"""
