"""docs/guards.md: every guard, and what was seen to fail when it was out.

The document is its own memory: a run of dev/guards fills the rows of the guards that it tried and leaves the others.
"""

import os
import re
from collections import namedtuple

PATH = "docs/guards.md"

HEAD = """\
# Guards

What keeps the program from doing harm, and what fails when it is taken out: tests by name, and the first seed of the
simulation's 10,000 that breaks a rule. `dev/guards` takes each guard out of a copy of the tree, runs the tests and the
simulation, and fills this table; CI holds the table against the guards in `dev/guards.d` and the tests in the tree.
The rules are those of [ARCHITECTURE.md](../ARCHITECTURE.md#safety-rules-and-where-each-one-lives); a guard without one
serves the others: pace, settings, credentials. `-` stands where nothing failed, or where the crate has no simulation;
`not tried` is what no run has tried yet.
"""

ROW = re.compile(r"^\| (?P<name>[^|]+) \| (?P<rule>[^|]+) \| (?P<tests>[^|]+) \| (?P<seed>[^|]+) \|$")
NOT_TRIED = "not tried"

Row = namedtuple("Row", "tests seed")


def row(guard, rows):
    """What is known of a guard."""
    fresh = NOT_TRIED, NOT_TRIED if guard.crate.simulation else "-"
    return Row(*rows.get((guard.crate.name, guard.name), fresh))


def load(root):
    """What is known: tests and seed, by crate and guard."""
    rows, crate = {}, None
    try:
        with open(os.path.join(root, PATH), encoding="utf-8") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return rows
    for line in lines:
        found = ROW.match(line)
        if line.startswith("## "):
            crate = line[3:]
        elif found and found["name"] not in ("guard", "---"):
            rows[crate, found["name"]] = (found["tests"], found["seed"])
    return rows


def text(crates, rows, rules):
    """The document, with a row for every guard."""
    lines = [HEAD, "| rule | what it says | guards | seen to be caught |", "| ---: | --- | ---: | ---: |"]
    every = [guard for crate in crates for guard in crate.guards]
    for rule, what in rules.items():
        mine = [row(guard, rows) for guard in every if guard.rule == rule]
        caught = sum(bool({*known} - {"-", NOT_TRIED}) for known in mine)
        lines.append(f"| {rule} | {what} | {len(mine)} | {caught} |")
    for crate in crates:
        lines += ["", f"## {crate.name}", "", "| guard | rule | tests | seed |", "| --- | --- | --- | --- |"]
        for guard in crate.guards:
            known = row(guard, rows)
            lines.append(f"| {guard.name} | {guard.rule or '-'} | {known.tests} | {known.seed} |")
    return "\n".join(lines) + "\n"


def cell(names):
    """The tests of a row: three of them, and how many more."""
    if not names:
        return "-"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(f"`{name}`" for name in names[:3]) + more


def save(root, crates, rows, rules):
    with open(os.path.join(root, PATH), "w", encoding="utf-8") as file:
        file.write(text(crates, rows, rules))


def problems(root, crates, rules, sources):
    """What is wrong with the document, where `sources` are the texts of the tree's Rust files."""
    rows = load(root)
    with open(os.path.join(root, PATH), encoding="utf-8") as file:
        if file.read() != text(crates, rows, rules):
            yield f"{PATH} does not have the guards of dev/guards.d; run dev/guards --document"
    known = set(re.findall(r"\bfn (\w+)", "\n".join(sources)))
    for (crate, guard), (tests, _) in rows.items():
        for name in re.findall(r"`(\w+)", tests):
            if name not in known:
                yield f"{PATH}: {crate}: {guard}: there is no test {name}; run dev/guards '{guard}'"
