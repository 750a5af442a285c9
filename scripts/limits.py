"""docs/limits.md against the code: every bound is there, with the value that it has and a test that exists."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CRATES = ROOT / "crates"
CONSTANT = re.compile(r"^\s*(?:pub(?:\([a-z]+\))? )?const ([A-Z][A-Z0-9_]*): [A-Za-z0-9]+ = ([^;]+);", re.M)
# what comes from the network meets its bounds here; those inside a parser stand with the parser
WATCHED = ["contract/src/limit.rs", "room/src", "control/src", "proto/src"]
# no bound of anything that somebody sends
NONE = {"control/console/ROOMS_MAX", "control/rooms/task/EVENTS_IN_A_ROW_MAX"}
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "s": 1000, "ms": 1, "min": 60_000, "h": 3_600_000, "": 1}


def constants():
    """path of the constant as `crate/module/NAME` → its expression."""
    found = {}
    for file in sorted(CRATES.glob("*/src/**/*.rs")):
        parts = file.relative_to(CRATES).with_suffix("").parts
        if "tests" in parts:
            continue
        place = "/".join([parts[0], *parts[2:]])
        for name, expression in CONSTANT.findall(file.read_text()):
            found[f"{place}/{name}"] = expression
    return found


def value(expression, known, depth=0):
    """A number; milliseconds of a duration."""
    expression = re.sub(r"Duration::from_secs\((.*)\)", r"(\1) * 1000", expression)
    expression = re.sub(r"Duration::from_millis\((.*)\)", r"(\1)", expression)
    expression = re.sub(r" as [a-z0-9]+", "", expression).replace("_u32", "").replace("/", "//")

    def number(match):
        word = match.group(0).split("::")[-1]
        fitting = [other for path, other in known.items() if path.rsplit("/", 1)[1] == word]
        if not fitting or depth > 5:
            raise ValueError(word)
        return f"({value(fitting[0], known, depth + 1)})"

    expression = re.sub(r"[A-Za-z_][A-Za-z0-9_:]*[A-Z][A-Z0-9_]*|[A-Z][A-Z0-9_]+", number, expression)
    if not re.fullmatch(r"[0-9_ ()*/<+-]+", expression):
        raise ValueError(expression)
    return eval(expression)  # noqa: S307: digits and operators only


def shown(text):
    number, _, unit = text.strip().partition(" ")
    return int(number.replace(",", "")) * UNITS[unit.strip()]


def main():
    known, faults, listed = constants(), [], set()
    source = "\n".join(file.read_text() for file in CRATES.glob("**/*.rs") if "/target/" not in str(file))
    rows = [line for line in (ROOT / "docs/limits.md").read_text().splitlines() if line.startswith("| ")]
    for row in rows:
        what, bound, where, beyond, tests = [cell.strip() for cell in row.strip("|").split("|")]
        if what == "what" or set(what) <= {"-"}:
            continue
        if not beyond:
            faults.append(f"{what}: what is beyond it?")
        for test in re.findall(r"`([a-z0-9_]+)`", tests) or [""]:
            if f"fn {test}(" not in source:
                faults.append(f"{what}: there is no test `{test}`")
        for path in re.findall(r"`([a-z0-9_/]+/[A-Z0-9_]+)`", where):
            listed.add(path)
            if path not in known:
                faults.append(f"{what}: there is no {path}")
                continue
            try:
                is_so = value(known[path], known) == shown(bound)
            except (ValueError, KeyError) as error:
                faults.append(f"{what}: cannot compare {bound!r} with {known[path]!r} ({error})")
                continue
            if not is_so:
                faults.append(f"{what}: {bound} in the table, {known[path]} in {path}")
    for path in known:
        file, name = path.rsplit("/", 1)
        crate, _, module = file.partition("/")
        watched = any(f"{crate}/src/{module}.rs".startswith(place) for place in WATCHED)
        is_bound = name.endswith("_MAX") or file == "contract/limit"
        if watched and is_bound and path not in listed and path not in NONE:
            faults.append(f"{path} is not in docs/limits.md")
    for fault in faults:
        print(f"limits: {fault}", file=sys.stderr)
    if faults:
        sys.exit(1)
    print(f"limits: {len(rows) - 2} bounds are as docs/limits.md says, each with its test")


main()
