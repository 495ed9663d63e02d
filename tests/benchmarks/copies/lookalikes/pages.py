"""Documents and screens: one layout, other words and numbers."""

import textwrap

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Rng = np.random.Generator
WORDS = [
    "market",
    "river",
    "paper",
    "light",
    "seven",
    "train",
    "field",
    "result",
    "error",
    "value",
    "total",
    "order",
    "invoice",
    "month",
    "paid",
    "city",
    "large",
    "window",
    "bread",
    "garden",
    "winter",
    "music",
    "doctor",
    "silver",
    "engine",
    "bottle",
    "council",
    "science",
    "village",
    "picture",
    "summer",
]


def font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Return Pillow's own font."""
    return ImageFont.load_default(size)


def words(rng: Rng, count: int) -> str:
    """Return some words."""
    return " ".join(rng.choice(WORDS, count))


def blank(
    size: tuple[int, int], colour: str | tuple[int, int, int] = "white"
) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Return an empty page and a pen for it."""
    page = Image.new("RGB", size, colour)
    return page, ImageDraw.Draw(page)


def letter(rng: Rng, number: int) -> Image.Image:
    """Letters of one company."""
    page, pen = blank((820, 1060))
    pen.rectangle((60, 50, 760, 120), outline="navy", width=4)
    pen.text((80, 66), "NORTHERN WATER WORKS", font=font(36), fill="navy")
    for line, text in enumerate(textwrap.wrap(words(rng, 300), 74)[:30]):
        pen.text((70, 170 + 28 * line), text, font=font(18), fill="black")
    return page


def form(rng: Rng, number: int) -> Image.Image:
    """One printed form, filled in by different people."""
    page, pen = blank((700, 900))
    pen.text((200, 30), "APPLICATION FORM B-12", font=font(28), fill="black")
    for row in range(12):
        pen.text((50, 110 + 62 * row), f"{row + 1}. {WORDS[row]} of {WORDS[row + 9]}", font=font(18), fill="black")
        pen.rectangle((320, 100 + 62 * row, 650, 140 + 62 * row), outline="black", width=2)
        pen.text((335, 106 + 62 * row), words(rng, 2)[:20], font=font(22), fill=(20, 20, 140))
    return page


def spreadsheet(rng: Rng, number: int) -> Image.Image:
    """Sheets of numbers."""
    page, pen = blank((900, 620))
    for row in range(20):
        for column in range(8):
            box = (110 * column, 31 * row, 110 * column + 110, 31 * row + 31)
            pen.rectangle(box, outline=(200, 200, 200), fill=(235, 240, 250) if row == 0 else "white")
            pen.text((box[0] + 8, box[1] + 7), str(rng.integers(0, 99999)), font=font(15), fill="black")
    return page


def crossword(rng: Rng, number: int) -> Image.Image:
    """Crosswords on one grid of black squares, other letters."""
    page, pen = blank((500, 500))
    dark = np.random.default_rng(5).random((13, 13)) < 0.2
    for y, x in np.ndindex(13, 13):
        box = (20 + 35 * x, 20 + 35 * y, 55 + 35 * x, 55 + 35 * y)
        pen.rectangle(box, outline="black", fill="black" if dark[y, x] else "white")
        if not dark[y, x]:
            pen.text((box[0] + 10, box[1] + 6), chr(65 + rng.integers(0, 26)), font=font(22), fill="black")
    return page


def calendar(rng: Rng, number: int) -> Image.Image:
    """Months with other appointments."""
    page, pen = blank((840, 640))
    pen.rectangle((0, 0, 840, 60), fill=(180, 40, 40))
    pen.text((330, 12), "MARCH", font=font(36), fill="white")
    for day in range(35):
        x, y = 120 * (day % 7), 60 + 116 * (day // 7)
        pen.rectangle((x, y, x + 120, y + 116), outline=(160, 160, 160))
        pen.text((x + 6, y + 4), str(day % 31 + 1), font=font(18), fill="black")
        if rng.random() < 0.35:
            pen.text((x + 8, y + 40), words(rng, 1), font=font(18), fill=(20, 60, 160))
    return page


def editor(rng: Rng, number: int) -> Image.Image:
    """Screenshots of one editor."""
    page, pen = blank((1200, 700), (30, 30, 30))
    pen.rectangle((0, 0, 1200, 40), fill=(60, 60, 60))
    pen.rectangle((0, 40, 210, 700), fill=(37, 37, 38))
    for row in range(12):
        pen.text((20, 60 + 30 * row), f"module_{row}.py", font=font(16), fill=(200, 200, 200))
    for row in range(23):
        colour = [(86, 156, 214), (206, 145, 120), (220, 220, 170)][rng.integers(0, 3)]
        x = 230 + 24 * int(rng.integers(0, 4))
        pen.text((x, 55 + 27 * row), words(rng, int(rng.integers(2, 10))), font=font(17), fill=colour)
    return page


def receipt(rng: Rng, number: int) -> Image.Image:
    """Receipts of one shop."""
    page, pen = blank((380, 860), (246, 246, 243))
    pen.text((110, 20), "CORNER SHOP", font=font(24), fill=(40, 40, 40))
    for row in range(20):
        pen.text((20, 90 + 34 * row), words(rng, 2)[:16], font=font(19), fill=(50, 50, 50))
        pen.text((300, 90 + 34 * row), f"{rng.random() * 50:5.2f}", font=font(19), fill=(50, 50, 50))
    return page


def slide(rng: Rng, number: int) -> Image.Image:
    """Slides of one deck."""
    page, pen = blank((960, 540), (250, 250, 252))
    pen.rectangle((0, 0, 960, 90), fill=(0, 70, 120))
    pen.text((30, 20), words(rng, 3).title(), font=font(42), fill="white")
    for row in range(int(rng.integers(3, 6))):
        pen.text((70, 140 + 70 * row), "- " + words(rng, 5), font=font(28), fill=(40, 40, 40))
    pen.text((820, 500), "Annual Review", font=font(18), fill=(120, 120, 120))
    return page


def sheet_music(rng: Rng, number: int) -> Image.Image:
    """Pages of music."""
    page, pen = blank((700, 900))
    for staff in range(8):
        top = 70 + 100 * staff
        for line in range(5):
            pen.line((40, top + 12 * line, 660, top + 12 * line), fill="black", width=1)
        for beat in range(22):
            x, y = 70 + 26 * beat, top + 6 * int(rng.integers(0, 9))
            pen.ellipse((x, y - 5, x + 13, y + 5), fill="black")
            pen.line((x + 12, y, x + 12, y - 34), fill="black", width=2)
    return page


def chat(rng: Rng, number: int) -> Image.Image:
    """Screenshots of a messenger."""
    page, pen = blank((540, 960), (229, 221, 213))
    pen.rectangle((0, 0, 540, 80), fill=(7, 94, 84))
    pen.text((80, 22), "Team", font=font(30), fill="white")
    y = 100
    while y < 850:
        lines = textwrap.wrap(words(rng, int(rng.integers(3, 15))), 28)
        height, x = 14 + 26 * len(lines), int(rng.choice([20, 180]))
        pen.rounded_rectangle((x, y, x + 340, y + height), 12, fill="white" if x == 20 else (220, 248, 198))
        for row, text in enumerate(lines):
            pen.text((x + 10, y + 6 + 26 * row), text, font=font(20), fill="black")
        y += height + 14
    return page


def ticket(rng: Rng, number: int) -> Image.Image:
    """One concert's tickets: only seat and number differ."""
    page, pen = blank((640, 280), (250, 235, 205))
    pen.rectangle((10, 10, 630, 270), outline=(120, 60, 20), width=4)
    pen.text((40, 40), "CITY HALL, GRAND CONCERT", font=font(32), fill=(120, 20, 20))
    pen.text((40, 110), "Saturday 14 June, 20:00", font=font(26), fill="black")
    seat = f"Row {rng.integers(1, 40)}  Seat {rng.integers(1, 60)}"
    pen.text((40, 170), seat, font=font(36), fill="black")
    pen.text((400, 225), f"No {rng.integers(10**6, 10**7)}", font=font(24), fill="black")
    return page


KINDS = (letter, form, spreadsheet, crossword, calendar, editor, receipt, slide, sheet_music, chat, ticket)
HELD_OUT = {"form", "calendar", "sheet_music", "ticket", "slide"}
