#!/usr/bin/env python3
"""Prints what pykickstart knows of kickstart's commands and sections, as src/provision/kickstart/syntax.txt has it.

Run with the Python that setup.sh makes: target/pykickstart/bin/python tests/lab/kickstart-syntax.py
"""
import argparse
import warnings

from pykickstart.base import DeprecatedCommand, RemovedCommand
from pykickstart.parser import KickstartParser
from pykickstart.version import makeVersion, versionMap

RELEASES = {"rhel8": "RHEL8", "rhel9": "RHEL9", "rhel10": "RHEL10"}
RELEASES |= {f"fedora{number}": f"F{number}" for number in range(40, 46)}


def arguments(actions):
    """`words=` for positional arguments, then every option: a flag, or `=` and what its value must be."""
    words, options = "", []
    for action in actions:
        if not action.option_strings:
            words = {None: "1", 1: "1"}.get(action.nargs, str(action.nargs))
            continue
        value = ""
        if action.nargs != 0:
            value = "="
            if action.choices:
                value += "{" + ",".join(str(choice) for choice in action.choices) + "}"
            elif action.type is int:
                value += "#"
        if action.required:
            value += "!"
        options += [name + value for name in action.option_strings if name.startswith("--")]
    return tuple([f"words={words or 0}"] + sorted(options))


def meaning(command):
    if isinstance(command, RemovedCommand):
        return None
    if isinstance(command, DeprecatedCommand):
        return ("deprecated",)
    if not hasattr(command, "op"):
        return ("anything",)
    return arguments(command.op._actions)


def main():
    warnings.simplefilter("ignore")
    seen = {}
    for release, version in RELEASES.items():
        handler = makeVersion(versionMap[version])
        entries = {name: meaning(command) for name, command in handler.commands.items()}
        for name, section in KickstartParser(handler)._sections.items():
            entries[name] = arguments(section._getParser()._actions) if hasattr(section, "_getParser") else ("anything",)
        for name, text in entries.items():
            if text is not None:
                seen.setdefault(name, {}).setdefault(text, []).append(release)
    print("# Kickstart's commands and sections by release, as pykickstart knows them: name, releases, arguments, between tabs.")
    print("# Made by tests/lab/kickstart-syntax.py; a test holds it to be what that prints.")
    for name in sorted(seen):
        for text, releases in seen[name].items():
            print(name, ",".join(releases), " ".join(text), sep="\t")


main()
