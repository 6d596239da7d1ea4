"""At boot: what is written so that the system starts the gateway or the tunnel, and how it is told that they are well.

`job` says what is to run, whatever the system calls it; `systemd`, `launchd` and `schtasks` make files and commands of it, pure but for a look at
the state; `installing` writes, calls and takes away; `readiness` talks to systemd while the gateway runs.
"""
