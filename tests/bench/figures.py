"""A measured figure, with its goal where it has one, and how figures are printed."""

import os
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """It holds when it is not above its goal; None where there is no goal."""

    name: str
    value: float
    unit: str
    goal: float | None
    holds: bool | None


def figure(name: str, value: float, unit: str, goal: float | None = None) -> Figure:
    """One figure, to two decimals; whether it holds is asked before rounding."""
    holds = None if goal is None else value <= goal
    return Figure(name=name, value=round(value, 2), unit=unit, goal=goal, holds=holds)


def show(figures: Iterable[Figure]) -> list[Figure]:
    """Print a line each, as they come, and before them how busy the machine was; give them."""
    load = os.getloadavg()[0]
    print(f"figures of the simulator, {os.cpu_count()} cores, load {load:.1f} before the start")
    shown = []
    for item in figures:
        shown.append(item)
        verdict = {True: "holds", False: "DOES NOT HOLD", None: ""}[item.holds]
        goal = "" if item.goal is None else f"<= {item.goal:g}"
        print(f"{item.name:<64} {item.value:>8} {item.unit:<4} {goal:>8}  {verdict}", flush=True)
    return shown
