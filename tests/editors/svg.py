"""What a terminal shows, cell by cell, as SVG: one screen, or several one after the other."""

import html
import re

WIDTH, HEIGHT = 8.4, 19
INK = "#d8dadb"
BASIC = "#1d1f21 #cc6666 #b5bd68 #f0c674 #81a2be #b294bb #8abeb7 #c5c8c6".split()
BRIGHT = "#717577 #d54e53 #b9ca4a #e7c547 #7aa6da #c397d8 #70c0b1 #eaeaea".split()


def palette(n):
    if n < 16:
        return (BASIC + BRIGHT)[n]
    if n >= 232:
        return "#" + f"{8 + 10 * (n - 232):02x}" * 3
    steps = (0, 95, 135, 175, 215, 255)
    return "#" + "".join(f"{steps[(n - 16) // unit % 6]:02x}" for unit in (36, 6, 1))


class Pen:
    """The attributes of the cells that follow."""

    def __init__(self, page):
        self.page = page
        self.reset()

    def reset(self):
        self.ink = self.paper = None
        self.bold = self.italic = self.underline = self.reverse = self.dim = False

    def colours(self):
        ink, paper = self.ink or INK, self.paper or self.page
        return (paper, ink) if self.reverse else (ink, paper)

    def change(self, codes):
        codes = [int(code or 0) for code in re.split("[;:]", codes)] or [0]
        while codes:
            code = codes.pop(0)
            if code == 0:
                self.reset()
            elif code in (1, 2, 3, 4, 7):
                setattr(self, {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse"}[code], True)
            elif code in (22, 23, 24, 27):
                setattr(self, {22: "bold", 23: "italic", 24: "underline", 27: "reverse"}[code], False)
            elif code in (38, 48):
                kind = codes.pop(0)
                colour = palette(codes.pop(0)) if kind == 5 else "#" + "".join(f"{codes.pop(0):02x}" for _ in range(3))
                setattr(self, "ink" if code == 38 else "paper", colour)
            elif code in (39, 49):
                setattr(self, "ink" if code == 39 else "paper", None)
            elif 30 <= code % 60 <= 37 or 40 <= code % 60 <= 47:
                bright, base = divmod(code, 60)
                setattr(self, "ink" if base < 40 else "paper", (BRIGHT if bright else BASIC)[base % 10])


def cells(screen, page, rows):
    """The shapes and texts of a screen with its escape sequences."""
    shapes, texts = [], []
    for row, line in enumerate(screen.splitlines()[:rows]):
        pen, column = Pen(page), 0
        for part in re.split(r"(\x1b\[[\d;:]*m)", line):
            if part.startswith("\x1b"):
                pen.change(part[2:-1])
            elif part:
                ink, paper = pen.colours()
                x, y, wide = 10 + column * WIDTH, 10 + row * HEIGHT, len(part) * WIDTH
                if paper != page:
                    shapes.append(f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="{HEIGHT}" fill="{paper}"/>')
                style = (' font-weight="bold"' if pen.bold else "") + (' font-style="italic"' if pen.italic else "")
                style += ' opacity=".5"' if pen.dim else ""
                if part.strip():
                    texts.append(
                        f'<text x="{x:.1f}" y="{y + 14}" fill="{ink}" textLength="{wide:.1f}"{style} '
                        f'xml:space="preserve">{html.escape(part)}</text>'
                    )
                column += len(part)
    return "\n".join(shapes + texts)


def page(content, colour, columns, rows):
    width, height = round(columns * WIDTH) + 20, rows * HEIGHT + 20
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">\n'
        f'<rect width="100%" height="100%" rx="8" fill="{colour}"/>\n'
        '<g font-family="ui-monospace, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="14">\n'
        f"{content}\n</g>\n</svg>\n"
    )


def still(screen, colour, columns, rows):
    """One screen; `colour` is that of what has none."""
    return page(cells(screen, colour, rows), colour, columns, rows)


def moving(screens, seconds, colour, columns, rows):
    """Screens one after the other, over and over; each stays as many `seconds` as it is told. Where nothing moves, the
    last one is seen."""
    whole, start, groups = sum(seconds), 0, []
    for screen, stays in zip(screens, seconds):
        last = screen is screens[-1]
        times, values = [0, start / whole, (start + stays) / whole], ["hidden", "visible", "hidden"]
        keep = slice(1 if start == 0 else 0, 2 if last else 3)
        times, values = times[keep], values[keep]
        groups.append(
            f'<g visibility="{"visible" if last else "hidden"}"><animate attributeName="visibility" calcMode="discrete" '
            f'dur="{whole:g}s" repeatCount="indefinite" keyTimes="{";".join(f"{time:.4f}" for time in times)}" '
            f'values="{";".join(values)}"/>\n{cells(screen, colour, rows)}\n</g>'
        )
        start += stays
    return page("\n".join(groups), colour, columns, rows)
