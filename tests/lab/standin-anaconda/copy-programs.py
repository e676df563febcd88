#!/usr/bin/python3
"""Copies programs of this Debian machine into a folder that is to be a root file system: copy-programs.py ROOT [PACKAGE|/PATH]...

Of a package everything but its documentation; with every program the shared libraries that it needs.
"""
import os
import shutil
import subprocess
import sys

SKIPPED = ("/usr/share/doc", "/usr/share/man", "/usr/share/locale", "/usr/share/info", "/usr/share/lintian", "/usr/share/bash-completion")
MERGED = ("bin", "sbin", "lib", "lib32", "lib64")


def real(path):
    """The path with its folder's links resolved: /bin/sh is /usr/bin/sh."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def copy(root, path, copied):
    path = real(path)
    if path in copied or path.startswith(SKIPPED) or os.path.isdir(path) and not os.path.islink(path) or not os.path.lexists(path):
        return
    copied.add(path)
    target = root + path
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy2(path, target, follow_symlinks=False)
    if os.path.islink(path):
        copy(root, os.path.join(os.path.dirname(path), os.readlink(path)), copied)


def is_elf(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def libraries(paths):
    listed = subprocess.run(["ldd", *paths], capture_output=True, text=True, check=False).stdout
    for line in listed.splitlines():
        words = line.split()
        yield from (word for word in words[:3] if word.startswith("/") and not word.endswith(":"))


def main(root, wanted):
    for name in MERGED:
        os.makedirs(f"{root}/usr/{name}", exist_ok=True)
        if not os.path.lexists(f"{root}/{name}"):
            os.symlink(f"usr/{name}", f"{root}/{name}")
    copied = set()
    packages = [name for name in wanted if not name.startswith("/")]
    listed = subprocess.run(["dpkg-query", "-L", *packages], capture_output=True, text=True, check=True).stdout if packages else ""
    for path in listed.splitlines() + [name for name in wanted if name.startswith("/")]:
        if path.startswith("/"):
            copy(root, path, copied)
    programs = [path for path in sorted(copied) if os.path.isfile(path) and is_elf(path)]
    for start in range(0, len(programs), 200):
        for library in libraries(programs[start:start + 200]):
            copy(root, library, copied)


main(sys.argv[1], sys.argv[2:])
