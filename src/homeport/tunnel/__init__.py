"""How this home is reached from elsewhere: a child process holds the way open, and is looked after.

`ssh` and `cloudflared` are the kinds, a file each. `key` makes the key that ssh shows, `confinement` says what the VPS
lets it do. `child` runs either, `relay` and `asking` see whether anything comes through, `supervision` does the rest,
`state` is what others may read of it.
"""
