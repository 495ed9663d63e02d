"""Signs, flags, charts, codes and boards: few shapes and flat colours."""

import numpy as np
from copies.lookalikes.pages import Rng, blank, font, words
from PIL import Image, ImageDraw

COLOURS = {
    "blue": (0, 40, 150), "white": (255, 255, 255), "red": (210, 20, 40), "green": (0, 140, 70),
    "orange": (255, 130, 0), "yellow": (250, 210, 0), "black": (0, 0, 0), "sky": (110, 170, 230),
    "maroon": (120, 20, 40),
}  # fmt: skip
FLAGS = (
    "blue white red", "green white red", "green white orange", "blue yellow red", "black yellow red",
    "green yellow red", "sky white sky", "blue white blue", "red white black", "maroon white maroon",
    "green yellow green", "red yellow red",
)  # fmt: skip


def flag(rng: Rng, number: int) -> Image.Image:
    """Three stripes, upright or lying."""
    page, pen = blank((600, 400))
    stripes = FLAGS[number % len(FLAGS)].split()
    lying = number // len(FLAGS) % 2
    for stripe, colour in enumerate(stripes):
        box = (0, 133 * stripe, 600, 134 + 133 * stripe) if lying else (200 * stripe, 0, 200 + 200 * stripe, 400)
        pen.rectangle(box, fill=COLOURS[colour])
    return page


def emblem_flag(rng: Rng, number: int) -> Image.Image:
    """One tricolour, another emblem in its middle."""
    page = flag(rng, 0)
    pen, x, y = ImageDraw.Draw(page), 300, 200
    colour = list(COLOURS.values())[number % len(COLOURS)]
    sides = number % 5 + 3
    pen.regular_polygon((x, y, 40 + 6 * (number % 7)), sides, rotation=7 * number, fill=colour, outline="black")
    return page


def line_chart(rng: Rng, number: int) -> Image.Image:
    """Curves on the same axes."""
    page, pen = blank((640, 480))
    pen.rectangle((80, 50, 580, 420), outline="black")
    for tick in range(6):
        pen.text((40, 45 + 70 * tick), str(100 - 20 * tick), font=font(16), fill="black")
        pen.text((75 + 98 * tick, 428), str(2015 + tick), font=font(16), fill="black")
        pen.line((80, 50 + 74 * tick, 580, 50 + 74 * tick), fill=(220, 220, 220))
    y = np.clip(400 - rng.random() * 300 + np.cumsum(rng.normal(0, 12, 101)), 52, 418)
    pen.line([(80 + 5 * k, float(y[k])) for k in range(101)], fill="blue", width=3)
    return page


def bar_chart(rng: Rng, number: int) -> Image.Image:
    """Bars on the same axes."""
    page, pen = blank((640, 480))
    pen.line((60, 30, 60, 440, 620, 440), fill="black", width=2)
    for bar in range(8):
        height = int(rng.integers(30, 390))
        pen.rectangle((80 + 66 * bar, 440 - height, 125 + 66 * bar, 440), fill=(31, 119, 180))
    return page


def pie_chart(rng: Rng, number: int) -> Image.Image:
    """Pies of five shares."""
    page, pen = blank((500, 500))
    ends = np.concatenate([[0], np.cumsum(rng.dirichlet(np.full(5, 2.0)))]) * 360
    for start, end, colour in zip(ends, ends[1:], ("red", "blue", "green", "yellow", "orange"), strict=False):
        pen.pieslice((60, 60, 440, 440), start, end, fill=COLOURS[colour], outline="white", width=3)
    return page


def scatter(rng: Rng, number: int) -> Image.Image:
    """Clouds of points."""
    page, pen = blank((600, 600))
    pen.rectangle((50, 30, 570, 550), outline="black")
    for x, y in rng.normal(300, 80, (160, 2)):
        pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=(214, 39, 40))
    return page


def heatmap(rng: Rng, number: int) -> Image.Image:
    """Matrices of coloured cells."""
    cells = rng.random((12, 12, 1))
    colours = cells * np.array([250, 230, 40]) + (1 - cells) * np.array([60, 10, 90])
    return Image.fromarray(colours.astype(np.uint8)).resize((480, 480), Image.Resampling.NEAREST)


def qr_code(rng: Rng, number: int) -> Image.Image:
    """QR-like codes."""
    cells = rng.integers(0, 2, (33, 33)).astype(np.uint8)
    for y, x in ((0, 0), (0, 26), (26, 0)):
        cells[y : y + 7, x : x + 7], cells[y + 1 : y + 6, x + 1 : x + 6] = 0, 1
        cells[y + 2 : y + 5, x + 2 : x + 5] = 0
    return Image.fromarray(np.pad(cells * 255, 4, constant_values=255)).resize((410, 410), 0).convert("RGB")


def barcode(rng: Rng, number: int) -> Image.Image:
    """Bars of a code, and its digits."""
    page, pen = blank((600, 300))
    x = 40
    while x < 550:
        width = 3 * int(rng.integers(1, 5))
        pen.rectangle((x, 30, x + width, 240), fill="black")
        x += width + 3 * int(rng.integers(1, 5))
    pen.text((150, 250), str(rng.integers(10**12, 10**13)), font=font(32), fill="black")
    return page


def chess(rng: Rng, number: int) -> Image.Image:
    """Positions on one board."""
    page, pen = blank((480, 480))
    for y, x in np.ndindex(8, 8):
        pen.rectangle((60 * x, 60 * y, 60 * x + 59, 60 * y + 59), fill=[(240, 217, 181), (181, 136, 99)][(x + y) % 2])
    for square in rng.choice(64, int(rng.integers(6, 22)), replace=False):
        x, y = 60 * int(square % 8), 60 * int(square // 8)
        pen.ellipse((x + 12, y + 12, x + 48, y + 48), fill=str(rng.choice(["white", "black"])))
        pen.text((x + 22, y + 16), str(rng.choice(list("KQRBNP"))), font=font(24), fill="gray")
    return page


def go_board(rng: Rng, number: int) -> Image.Image:
    """Positions of another game on another board."""
    page, pen = blank((520, 520), (222, 184, 135))
    for line in range(13):
        pen.line((20 + 40 * line, 20, 20 + 40 * line, 500), fill="black")
        pen.line((20, 20 + 40 * line, 500, 20 + 40 * line), fill="black")
    for crossing in rng.choice(169, int(rng.integers(15, 60)), replace=False):
        x, y = 20 + 40 * int(crossing % 13), 20 + 40 * int(crossing // 13)
        pen.ellipse((x - 17, y - 17, x + 17, y + 17), fill=str(rng.choice(["white", "black"])), outline="black")
    return page


def sudoku(rng: Rng, number: int) -> Image.Image:
    """Sudokus."""
    page, pen = blank((480, 480))
    for line in range(10):
        width = 4 if line % 3 == 0 else 1
        pen.line((15 + 50 * line, 15, 15 + 50 * line, 465), fill="black", width=width)
        pen.line((15, 15 + 50 * line, 465, 15 + 50 * line), fill="black", width=width)
    for cell in rng.choice(81, 26, replace=False):
        place = (32 + 50 * int(cell % 9), 25 + 50 * int(cell // 9))
        pen.text(place, str(rng.integers(1, 10)), font=font(26), fill="black")
    return page


def sign(rng: Rng, number: int) -> Image.Image:
    """Traffic signs: eight directions of an arrow, in two colours."""
    page, pen = blank((200, 200))
    pen.ellipse((6, 6, 194, 194), fill=((0, 70, 160), (200, 30, 30))[number // 8 % 2])
    arrow = Image.new("L", (200, 200), 0)
    ImageDraw.Draw(arrow).polygon(
        [(100, 30), (150, 95), (118, 95), (118, 165), (82, 165), (82, 95), (50, 95)], fill=255
    )
    page.paste("white", mask=arrow.rotate(45 * number, Image.Resampling.BICUBIC))
    return page


def glyph(rng: Rng, number: int) -> Image.Image:
    """Letters and digits, of which some are others turned or mirrored."""
    page, pen = blank((160, 160))
    pen.text((45, 10), "bdpq69nuMWZNEK37"[number % 16], font=font(120), fill="black")
    return page


def badge(rng: Rng, number: int) -> Image.Image:
    """One logo's shape, another word in it."""
    page, pen = blank((400, 400))
    pen.ellipse((20, 20, 380, 380), fill=(30, 30, 120), outline=(200, 160, 40), width=14)
    pen.text((90, 160), words(rng, 1)[:7].upper(), font=font(56), fill="white")
    return page


def playing_card(rng: Rng, number: int) -> Image.Image:
    """Cards of one deck."""
    page, pen = blank((250, 350))
    pen.rounded_rectangle((5, 5, 244, 344), 18, outline="black", width=3)
    rank, red = number % 13 + 1, number % 2
    colour = "red" if red else "black"
    pen.text((18, 14), str(rank), font=font(40), fill=colour)
    for pip in range(rank):
        x, y = 70 + 55 * (pip % 3), 80 + 45 * (pip // 3)
        pen.regular_polygon((x, y, 18), 4 if red else 3, fill=colour)
    return page


def clock(rng: Rng, number: int) -> Image.Image:
    """Other times on one clock face."""
    page, pen = blank((300, 300))
    pen.ellipse((10, 10, 290, 290), outline="black", width=6)
    for hour in range(12):
        angle = np.deg2rad(30 * hour)
        x, y = 150 + 115 * np.sin(angle), 150 - 115 * np.cos(angle)
        pen.text((x - 10, y - 12), str(hour or 12), font=font(24), fill="black")
    minutes = int(number * 97 % 720)
    for length, width, angle in ((60, 9, minutes / 2), (95, 5, minutes * 6)):
        x, y = 150 + length * np.sin(np.deg2rad(angle)), 150 - length * np.cos(np.deg2rad(angle))
        pen.line((150, 150, x, y), fill="black", width=width)
    return page


def street_map(rng: Rng, number: int) -> Image.Image:
    """Maps in one style."""
    page, pen = blank((600, 600), (242, 239, 233))
    for _ in range(5):
        x, y, w, h = rng.integers(0, 500, 4)
        pen.rectangle((x, y, x + w // 2, y + h // 2), fill=(200, 230, 190))
    for width, count in ((3, 24), (8, 7)):
        for _ in range(count):
            x0, y0, x1, y1 = (int(value) for value in rng.integers(0, 600, 4))
            pen.line((x0, y0, x1, y1), fill="white" if width == 3 else (250, 215, 120), width=width)
    return page


KINDS = (
    flag, emblem_flag, line_chart, bar_chart, pie_chart, scatter, heatmap, qr_code, barcode, chess, go_board, sudoku,
    sign, glyph, badge, playing_card, clock, street_map,
)  # fmt: skip
HELD_OUT = {"emblem_flag", "pie_chart", "heatmap", "go_board", "playing_card", "clock", "street_map"}
