"""Reads `cargo metadata` on standard input and checks the crate graph against the table below."""

import json
import sys

PREFIX = "sluicegate-"

# Who may name whom directly. No arrow points upward.
MAY_IMPORT = {
    "rtp": set(),
    "contract": {"rtp"},
    "proto": set(),
    "sfu": {"rtp"},
    "transport": {"rtp"},
    "engine": {"sfu", "transport", "contract", "rtp"},
    "room": {"proto", "contract", "rtp"},
    "worker": {"engine", "contract"},
    "control": {"room", "proto", "contract"},
    "load": {"transport", "proto", "rtp"},
    "server": {"worker", "control", "load", "contract", "proto"},
    "sim": {"engine", "room", "load", "contract", "proto", "rtp"},
}

# What must not be reachable, at any distance, by normal dependencies.
SOCKETS = {"tokio", "mio", "socket2", "axum", "redis", "crossbeam-channel"}
WIRE = {"livekit-protocol", "prost", "serde_json"}
MUST_NOT_REACH = {
    "rtp": SOCKETS | WIRE | {"str0m", "dimpl", "tracing-subscriber"},
    "contract": SOCKETS | WIRE | {"str0m", "dimpl", "tracing-subscriber"},
    "sfu": SOCKETS | WIRE | {"str0m", "dimpl", "tracing-subscriber"},
    "proto": SOCKETS | {"str0m", "dimpl"},
    "transport": SOCKETS | {"livekit-protocol", "prost"},
    "engine": SOCKETS | {"livekit-protocol", "prost"},
    "room": SOCKETS | {"str0m", "dimpl"},
    "worker": {"axum", "redis", "livekit-protocol", "prost"},
    "control": {"str0m", "dimpl"},
}
# `worker` has mio, which is tokio's reactor, but never tokio itself.
MUST_NOT_NAME = {"worker": {"tokio"}}


def own(name):
    return name.removeprefix(PREFIX) if name.startswith(PREFIX) else None


def reachable(start, edges):
    seen, todo = set(), [start]
    while todo:
        for to in edges.get(todo.pop(), ()):
            if to not in seen:
                seen.add(to)
                todo.append(to)
    return seen


def faults(metadata):
    names = {package["id"]: package["name"] for package in metadata["packages"]}
    ids = {name: package for package, name in names.items() if own(name)}
    edges = {
        node["id"]: [dep["pkg"] for dep in node["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
        for node in metadata["resolve"]["nodes"]
    }
    for package in metadata["packages"]:
        crate = own(package["name"])
        if crate is None:
            continue
        if crate not in MAY_IMPORT:
            yield f"{crate}: not in the table of scripts/walls.py"
            continue
        for dependency in package["dependencies"]:
            wanted = own(dependency["name"])
            if wanted is not None and wanted not in MAY_IMPORT[crate] | {crate}:
                yield f"{crate} may not import {wanted}"
            if dependency["kind"] is None and dependency["name"] in MUST_NOT_NAME.get(crate, ()):
                yield f"{crate} may not name {dependency['name']}"
        reached = {names[package_id] for package_id in reachable(ids[package["name"]], edges)}
        for name in sorted(reached & MUST_NOT_REACH.get(crate, set())):
            yield f"{crate} reaches {name}"


def main():
    found = list(faults(json.load(sys.stdin)))
    for fault in found:
        print(f"walls: {fault}", file=sys.stderr)
    if not found:
        print(f"walls: {len(MAY_IMPORT)} crates import only what lies below them")
    return 1 if found else 0


sys.exit(main())
