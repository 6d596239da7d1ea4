"""What must not stand in the repository: registries in lock files, and addresses or folders of one machine anywhere."""

from __future__ import annotations

import re

# Written in two halves, so that this file does not name them itself.
_REGISTRIES = [
    "pypi" + ".org",
    "python" + "hosted.org",
    "npmjs" + ".org",
    "npmjs" + ".com",
    "yarnpkg" + ".com",
    "index.crates" + ".io",
    "static.crates" + ".io",
    "proxy.golang" + ".org",
    "sum.golang" + ".org",
    "deb.debian" + ".org",
    "security.debian" + ".org",
    "registry" + "-1.docker.io",
    "jfrog" + ".io",
]
_FOLDERS = [r"/work" + r"/(?!er)", "/root" + "/", "/tmp" + "/(?:x|brief|bash_jobs|house)\\b", "/opt" + "/wheels", r"/home" + r"/(?!home)\w+/", "/Users" + "/"]
_FORBIDDEN = re.compile("|".join([rf"[\w.-]*{re.escape(name)}" for name in _REGISTRIES] + [rf"(?<![\w.$~}}]){folder}" for folder in _FOLDERS]), re.IGNORECASE)
_PINNED = re.compile(r"^[a-z0-9][a-z0-9._-]*==[^ ;]+( ; .+)? \\$")
_OPTION = re.compile(r"^\s*(-i|-f|--(?!hash=)[a-z-]+)")


def named(text: str) -> list[str]:
    """Each line that names a registry or a folder of one machine."""
    return [f"line {number}: {match[0]}" for number, line in enumerate(text.splitlines(), 1) for match in [_FORBIDDEN.search(line)] if match]


def lock_faults(text: str) -> list[str]:
    """Each line of a lock file that is not a comment, an exact version or its hash, and each version without a hash."""
    faults: list[str] = []
    open_pin = ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            continue
        if "://" in line or _OPTION.match(line):
            faults.append(f"line {number} names where to fetch: {line.strip()}")
        elif re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line):
            open_pin = ""
        elif _PINNED.match(line):
            faults += [f"{open_pin} has no hash"] if open_pin else []
            open_pin = line.split("==")[0]
        else:
            faults.append(f"line {number} is neither an exact version nor a hash: {line.strip()}")
    return faults + ([f"{open_pin} has no hash"] if open_pin else [])
