"""Draws docs/scaling.svg from the table of scheduler_simulation: plot_scaling.py TABLE.csv OUT.svg"""

import csv
import math
import sys

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 420, 60, 20, 230, 50
COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"]


def x_of(ranks):
    span = math.log(65536 / 64)
    return LEFT + (WIDTH - LEFT - RIGHT) * math.log(ranks / 64) / span


def y_of(efficiency):
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - efficiency)


def axes():
    for percent in (0, 20, 40, 60, 80, 95, 100):
        y = y_of(percent / 100)
        dash = ' stroke-dasharray="4 3"' if percent == 95 else ""
        yield (f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
               f'stroke="#bbb"{dash}/>')
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{percent}</text>'
    for ranks in (64, 256, 1024, 4096, 16384, 65536):
        yield (f'<text x="{x_of(ranks):.1f}" y="{HEIGHT - BOTTOM + 18}" '
               f'text-anchor="middle">{ranks}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">ranks</text>'
    yield (f'<text transform="translate(16 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" '
           'text-anchor="middle">work / (ranks x time of the stage), per cent</text>')


def curve(number, name, points):
    colour = COLOURS[number % len(COLOURS)]
    path = " ".join(f"{x_of(r):.1f},{y_of(e):.1f}" for r, e in points)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for ranks, efficiency in points:
        yield f'<circle cx="{x_of(ranks):.1f}" cy="{y_of(efficiency):.1f}" r="3" fill="{colour}"/>'
    y = TOP + 20 + 22 * number
    x = WIDTH - RIGHT + 15
    yield f'<line x1="{x}" x2="{x + 20}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"/>'
    yield f'<text x="{x + 26}" y="{y + 4}">{name}</text>'


def main():
    curves = {}
    with open(sys.argv[1], newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["cluster"] == "usual" and float(row["chunks_per_rank"]) == 8:
                curves.setdefault(row["case"], []).append(
                    (int(row["ranks"]), float(row["efficiency"])))
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
             'font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', *axes()]
    for number, (name, points) in enumerate(curves.items()):
        lines.extend(curve(number, name, points))
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write("\n".join([*lines, "</svg>", ""]))


if __name__ == "__main__":
    main()
