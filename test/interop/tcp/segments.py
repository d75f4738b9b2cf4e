#!/usr/bin/env python3
"""Odd segments, one case a rule; prints one JSON line for each: {"name": ..., "wrong": null or text}.

usage: segments.py DEVICE [MAC] [--no-checksums] [--only=PART_OF_A_NAME], or --list for the names

The stack has echo on port 7, a service that never reads on 8, one that says 1,000,000 bytes and ends on 19, and one on 5 that is told,
as "HOST PORT\\n", whom to connect to: it echoes what comes from there, and answers with the name of an error if there is one.
"""
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import segment_cases_established
import segment_cases_ends
import segment_cases_opening
import segment_cases_options
from raw_host import Failed, Wire

GROUPS = [segment_cases_opening, segment_cases_options, segment_cases_established, segment_cases_ends]


def run(wire, name, case):
    try:
        case(wire)
        return None
    except Failed as error:
        return str(error)
    except Exception as error:  # a fault of the case is one, too
        return f"{type(error).__name__}: {error}"


def tell(results):
    for name, wrong in results:
        print(json.dumps({"name": name, "wrong": wrong}), flush=True)


def main():
    if "--list" in sys.argv:
        return print("\n".join(name for group in GROUPS for name, _ in group.CASES))
    arguments = [each for each in sys.argv[1:] if not each.startswith("--")]
    wire = Wire(*arguments, check="--no-checksums" not in sys.argv)
    only = next((each[7:] for each in sys.argv if each.startswith("--only=")), "")
    chosen = [(name, case) for group in GROUPS for name, case in group.CASES if only in name]
    with ThreadPoolExecutor(8) as pool:
        together = [each for each in chosen if not each[1].alone]
        tell(pool.map(lambda each: (each[0], run(wire, *each)), together))
    tell((name, run(wire, name, case)) for name, case in chosen if case.alone)


main()
