"""Whatever the bytes, `decode` decodes or refuses; and what each kind of file becomes."""

import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from conftest import encoded, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, features

from shared.images.decode import MAX_PIXELS, UndecodableError, decode

SMALL = picture(7, (24, 16))
GRAY16 = Image.fromarray((np.arange(24 * 16, dtype=np.uint16) * 170).reshape(16, 24))
FLOAT = Image.fromarray(np.linspace(-3, 9, 24 * 16, dtype=np.float32).reshape(16, 24))
OTHERS = [picture(8, (24, 16)), picture(9, (24, 16))]


def oriented(orientation: int, broken: bool = False) -> bytes:
    """An EXIF block with an orientation, and with a second tag whose value lies far outside of it."""
    entries = [struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)]
    if broken:
        entries.append(struct.pack(">HHII", 0x8769, 4, 1, 0x7FFFFFFF))
        entries.append(struct.pack(">HHII", 0x829A, 5, 99_999, 0xFFFFFFF0))
    block = b"MM\x00*" + struct.pack(">IH", 8, len(entries)) + b"".join(entries) + bytes(4)
    return b"Exif\x00\x00" + block


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *more: bytes, interlaced: bool = False) -> bytes:
    """A PNG by hand: Pillow reads more kinds than it writes."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    parts = (chunk(b"IHDR", header), *more, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def interlaced_png() -> bytes:
    """A 4 × 4 gray PNG in the passes of Adam7; pixel (x, y) is 60 y + 10 x."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    lines = (
        [bytes([60 * y + 10 * x for x in range(left, 4, dx)]) for y in range(top, 4, dy)]
        for left, top, dx, dy in passes
    )
    return png(4, 4, 8, 0, b"".join(b"\x00" + line for part in lines for line in part if line), interlaced=True)


def icon_around(inner: bytes, side: int = 16) -> bytes:
    """An icon that promises a small picture and holds a PNG of any size."""
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, side, side, 0, 0, 1, 32, len(inner), 22) + inner


def all_kinds() -> dict[str, bytes]:
    """One small file of every kind that a collection may hold."""
    # A copy, where Pillow trips over the settings that an earlier save left in the image.
    palette, alpha = SMALL.convert("P"), SMALL.convert("RGBA")
    alpha.putalpha(SMALL.convert("L"))
    moving = {"save_all": True, "append_images": OTHERS}
    kinds = {
        "jpeg": encoded(SMALL),
        "jpeg progressive": encoded(SMALL, progressive=True),
        "jpeg 4:4:4": encoded(SMALL, subsampling=0, restart_marker_blocks=1),
        "jpeg cmyk": encoded(SMALL.convert("CMYK")),
        "jpeg gray": encoded(SMALL.convert("L")),
        "jpeg turned": encoded(SMALL, exif=oriented(6)),
        "jpeg broken exif": encoded(SMALL, exif=oriented(8, broken=True)),
        "jpeg with a profile": encoded(
            SMALL, icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        ),
        "mpo": encoded(SMALL, "MPO", save_all=True, append_images=[OTHERS[0].copy()]),
        "png": encoded(SMALL, "PNG", exif=oriented(3)),
        "png palette": encoded(palette, "PNG"),
        "png palette clear": encoded(palette, "PNG", transparency=bytes(range(0, 250, 10))),
        "png bilevel": encoded(SMALL.convert("1"), "PNG"),
        "png 16-bit": encoded(GRAY16, "PNG"),
        "png la": encoded(SMALL.convert("LA"), "PNG"),
        "png rgba": encoded(alpha, "PNG"),
        "png colour key": encoded(SMALL, "PNG", transparency=SMALL.getpixel((0, 0))),
        "png interlaced": interlaced_png(),
        "png animated": encoded(SMALL, "PNG", **moving),
        "gif": encoded(palette, "GIF"),
        "gif animated": encoded(SMALL, "GIF", **moving),
        "webp": encoded(SMALL, "WEBP"),
        "webp lossless": encoded(alpha, "WEBP", lossless=True),
        "webp animated": encoded(SMALL, "WEBP", **moving),
        "tiff": encoded(SMALL, "TIFF"),
        "tiff lzw": encoded(SMALL, "TIFF", compression="tiff_lzw"),
        "tiff jpeg": encoded(SMALL, "TIFF", compression="jpeg"),
        "tiff 16-bit": encoded(GRAY16, "TIFF"),
        "tiff float": encoded(FLOAT, "TIFF"),
        "tiff pages": encoded(SMALL.copy(), "TIFF", **moving),
        "tiff lab": encoded(Image.new("LAB", (24, 16), (120, 100, 140)), "TIFF"),
        "tiff cmyk": encoded(SMALL.convert("CMYK"), "TIFF"),
        "bmp": encoded(SMALL, "BMP"),
        "bmp palette": encoded(palette, "BMP"),
        "ppm": encoded(SMALL, "PPM"),
        "pgm 16-bit": b"P5 24 16 65535\n" + np.asarray(GRAY16).astype(">u2").tobytes(),
        "pbm": encoded(SMALL.convert("1"), "PPM"),
        "pfm": encoded(FLOAT, "PPM"),
        "ico": encoded(alpha, "ICO", sizes=[(16, 16)]),
        "icns": encoded(alpha.resize((16, 16)), "ICNS"),
        "jpeg2000": encoded(SMALL, "JPEG2000", irreversible=True),
        "jpeg2000 16-bit": encoded(GRAY16, "JPEG2000"),
        "dds": encoded(alpha, "DDS"),
        "dds dxt1": encoded(SMALL, "DDS", pixel_format="DXT1"),
        "tga": encoded(SMALL, "TGA"),
        "tga rle": encoded(palette, "TGA", compression="tga_rle"),
        "sgi": encoded(SMALL, "SGI"),
        "qoi": encoded(SMALL, "QOI"),
        "pcx": encoded(palette, "PCX"),
    }
    if features.check("avif"):
        kinds["avif"] = encoded(alpha, "AVIF", speed=10)
        kinds["avif animated"] = encoded(SMALL, "AVIF", speed=10, **moving)
    return kinds


KINDS = all_kinds()


def outcome(data: bytes) -> tuple[str, tuple[int, int], bytes] | str:
    """What `decode` makes of the bytes, checked against its promises: pixels, or the reason for a refusal."""
    try:
        decoded = decode(data)
    except UndecodableError as refused:
        reason = str(refused)
        assert reason.strip()
        return reason
    image = decoded.image
    assert image.mode == "RGB"
    assert min(image.size) >= 1
    assert image.width * image.height <= MAX_PIXELS
    assert len(image.tobytes()) == 3 * image.width * image.height
    return decoded.format, image.size, image.tobytes()


Mutation = Callable[[bytes, bytes, int, int, int], bytes]

MUTATIONS: dict[str, Mutation] = {
    "set a byte": lambda data, _, at, size, value: data[:at] + bytes([value]) + data[at + 1 :],
    "flip a bit": lambda data, _, at, size, value: data[:at] + bytes([data[at] ^ 1 << value % 8]) + data[at + 1 :],
    "set a number": lambda data, _, at, size, value: data[:at] + EXTREMES[value % len(EXTREMES)] + data[at + 4 :],
    "truncate": lambda data, _, at, size, value: data[:at],
    "cut out": lambda data, _, at, size, value: data[:at] + data[at + size :],
    "duplicate": lambda data, _, at, size, value: data[: at + size] + data[at:],
    "zeros": lambda data, _, at, size, value: data[:at] + bytes(size) + data[at:],
    "splice": lambda data, other, at, size, value: data[:at] + other[at * len(other) // len(data) :],
    "graft": lambda data, other, at, size, value: data[:at] + other[value : value + size] + data[at:],
}
EXTREMES = [
    struct.pack(">I", 0xFFFFFFFF),
    struct.pack("<I", 0x7FFFFFFF),
    bytes(4),
    b"\x00\x01\x00\x00",
    b"\x00\x00\xff\xff",
]


@st.composite
def broken_files(draw: st.DrawFn) -> bytes:
    """A file of some kind after one to six accidents; most of them near its start, where headers lie."""
    data = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    for _ in range(draw(st.integers(1, 6))):
        if not data:
            break
        change = MUTATIONS[draw(st.sampled_from(sorted(MUTATIONS)))]
        other = KINDS[draw(st.sampled_from(sorted(KINDS)))]
        last = len(data) - 1
        at = draw(st.integers(0, min(last, 64)) | st.integers(0, last))
        data = change(data, other, at, draw(st.integers(1, 64)), draw(st.integers(0, 255)))
    return data


@settings(max_examples=2500, deadline=None)
@given(broken_files())
def test_bytes_are_decoded_or_refused_and_twice_the_same(data):
    assert outcome(data) == outcome(data)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=64), st.sampled_from(sorted(KINDS)))
def test_a_signature_before_noise_is_decoded_or_refused(noise, kind):
    outcome(KINDS[kind][:16] + noise)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_file_decodes(kind):
    told = outcome(KINDS[kind])
    assert not isinstance(told, str), told


LOSSLESS = ("png", "png animated", "webp lossless", "tiff", "tiff lzw", "tiff pages", "bmp", "ppm", "tga", "sgi", "qoi")


@pytest.mark.parametrize("kind", [kind for kind in LOSSLESS if kind not in ("png", "webp lossless")])
def test_a_lossless_file_gives_its_pixels(kind):
    assert np.array_equal(np.asarray(decode(KINDS[kind]).image), np.asarray(SMALL))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_upright_though_the_rest_of_the_exif_block_is_broken(orientation):
    stored = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the Pillow transposition that makes it
    turned = SMALL.transpose(Image.Transpose(stored[orientation])) if orientation > 1 else SMALL
    for broken in (False, True):
        data = encoded(turned, "PNG", exif=oriented(orientation, broken))
        assert np.array_equal(np.asarray(decode(data).image), np.asarray(SMALL))


@pytest.mark.parametrize("kind", ["jpeg", "jpeg progressive", "jpeg cmyk", "jpeg gray"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_jpeg_is_refused_wherever_it_ends(kind, share):
    with pytest.raises(UndecodableError, match=r"[Tt]runcated"):
        decode(KINDS[kind][: int(len(KINDS[kind]) * share)])


def test_alpha_is_mixed_with_white_in_proportion():
    colours = np.array([[[200, 100, 0, 255], [200, 100, 0, 51], [200, 100, 0, 0]]], np.uint8)
    weight = colours[..., 3:] / 255
    expected = colours[..., :3] * weight + 255 * (1 - weight)
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})):
        got = np.asarray(decode(encoded(Image.fromarray(colours), kind, **options)).image)
        assert np.abs(got - expected).max() <= 1


def test_a_colour_declared_clear_lies_on_white_in_rgb_too():
    key = chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))
    image = decode(png(2, 1, 8, 2, bytes([0, 1, 2, 3, 9, 9, 9]), key)).image
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (9, 9, 9)]


def test_a_palette_is_looked_up_with_the_alpha_of_each_colour():
    colours, clear = chunk(b"PLTE", bytes([255, 0, 0, 0, 0, 255])), chunk(b"tRNS", bytes([255, 0]))
    image = decode(png(2, 1, 8, 3, bytes([0, 0, 1]), colours, clear)).image
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0), (255, 255, 255)]


def test_ink_becomes_light():
    for kind, options in (("TIFF", {}), ("JPEG", {"quality": 100})):
        for ink, light in (((0, 0, 0, 0), 255), ((0, 0, 0, 255), 0), ((255, 255, 255, 0), 0)):
            pixel = decode(encoded(Image.new("CMYK", (8, 8), ink), kind, **options)).image.getpixel((0, 0))
            assert np.abs(np.array(pixel) - light).max() <= 2


def test_sixteen_bits_keep_their_upper_eight():
    expected = np.repeat((np.asarray(GRAY16) >> 8)[..., None], 3, axis=2)
    for kind in ("png 16-bit", "tiff 16-bit", "jpeg2000 16-bit"):
        assert np.array_equal(np.asarray(decode(KINDS[kind]).image), expected)
    assert np.abs(np.asarray(decode(KINDS["pgm 16-bit"]).image).astype(int) - expected).max() <= 1  # these are rounded


def test_floats_are_stretched_over_their_range():
    expected = np.round((np.asarray(FLOAT, np.float64) + 3) / 12 * 255)
    assert np.array_equal(np.asarray(decode(KINDS["tiff float"]).image)[..., 0], expected)


def test_what_is_converted_in_bands_is_what_would_be_converted_whole(monkeypatch):
    files = [KINDS[kind] for kind in ("png rgba", "png palette clear", "png colour key", "tiff float")]
    whole = [outcome(data) for data in files]
    monkeypatch.setattr("shared.images.hidden.BAND_PIXELS", 50)  # two rows
    assert [outcome(data) for data in files] == whole


def test_adam7_passes_are_put_together():
    expected = [[60 * y + 10 * x for x in range(4)] for y in range(4)]
    assert np.asarray(decode(interlaced_png()).image)[..., 0].tolist() == expected


@pytest.mark.parametrize(
    "kind", ["gif animated", "png animated", "webp animated", "tiff pages", "mpo", "avif animated"]
)
def test_the_first_frame_counts(kind):
    if kind not in KINDS:
        pytest.skip("this Pillow reads no AVIF")
    got = np.asarray(decode(KINDS[kind]).image).astype(int)
    distances = [np.abs(got - np.asarray(frame)).mean() for frame in (SMALL, *OTHERS)]
    assert np.argmin(distances) == 0


def test_a_bomb_is_refused_before_a_pixel_is_decoded():
    header = png(60_000, 60_000, 1, 0, b"")
    with pytest.raises(UndecodableError, match="3600000000 pixels"):
        decode(header)
    with pytest.raises(UndecodableError, match="3600000000 pixels"):
        decode(icon_around(header))  # the icon itself says 16 × 16


def test_a_jpeg_of_endless_scans_is_refused():
    data = encoded(SMALL, progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    assert decode(data[:-2] + 50 * last + data[-2:]).format == "jpeg"
    with pytest.raises(UndecodableError, match="more than 100 scans"):
        decode(data[:-2] + 100 * last + data[-2:])
    assert decode(data + 200 * last).format == "jpeg"  # what follows its end, as phones append a film, is not its own


def test_a_frame_that_grows_its_animation_past_the_limit_is_refused():
    data = bytearray(KINDS["gif animated"])
    frame = data.index(b"\x2c" + struct.pack("<HHHH", 0, 0, *SMALL.size))
    data[frame + 5 : frame + 9] = struct.pack("<HH", 60_000, 60_000)
    with pytest.raises(UndecodableError, match="pixels"):
        decode(bytes(data))


@pytest.mark.parametrize(
    "data", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", b"SIMPLE  =    T"]
)
def test_formats_that_run_programs_or_inflate_without_limit_are_not_opened(data):
    with pytest.raises(UndecodableError, match=r"no image format|a PostScript drawing"):
        decode(data)


def test_a_file_without_a_signature_is_not_taken_for_another_kind_whatever_was_imported(monkeypatch):
    """Pillow tries formats in the order in which they were imported, and TGA accepts the start of an icon."""
    first = Image.ID.copy()
    Image.init()
    monkeypatch.setattr(Image, "ID", ["TGA", *first])
    assert decode(KINDS["ico"]).format == "ico"


@pytest.mark.parametrize("kind", ["jpeg", "jpeg turned", "png colour key"])
def test_the_image_holds_on_to_no_file_and_is_not_turned_twice(kind):
    image = decode(KINDS[kind]).image
    assert type(image) is Image.Image
    assert image.size == SMALL.size[:: -1 if kind == "jpeg turned" else 1]
    assert not image.info
    assert not image.getexif()
