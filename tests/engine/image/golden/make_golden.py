#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the small pictures of this folder and expected.inc, what Pillow makes of them, and the
seeds of the picture fuzzer.

Run in this folder with Debian 12's python3-pil (Pillow 9.4.0, libjpeg-turbo 2.1.5):
    python3 make_golden.py
The tests read only what it wrote; they need neither Python nor Pillow.
"""
import pathlib
import struct
import textwrap
import zlib

from PIL import Image

MASK = (1 << 32) - 1


def noise(width, height, channels, seed):
    """The same bytes as noise() of test_pictures.h."""
    out = bytearray(width * height * channels)
    for i in range(len(out)):
        seed = (seed * 1664525 + 1013904223) & MASK
        out[i] = seed >> 24
    return bytes(out)


def gradient(width, height, channels):
    """The same bytes as gradient() of test_pictures.h."""
    return bytes((7 * x + 13 * y + 50 * c) % 256
                 for y in range(height) for x in range(width) for c in range(channels))


def picture(data, width, height, channels):
    return Image.frombytes("RGB" if channels == 3 else "L", (width, height), data)


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & ((1 << 64) - 1)
    return value


def numbers(data):
    return ", ".join(str(v) for v in data)


# input width, height, output width, height, channels, seed (0: gradient)
RESIZES = [
    (7, 5, 3, 4, 3, 0), (7, 5, 3, 4, 3, 11), (4, 4, 7, 9, 1, 12), (5, 3, 5, 2, 3, 13),
    (6, 9, 4, 9, 1, 14), (1, 1, 3, 2, 3, 15), (9, 1, 2, 3, 1, 16),
    (299, 299, 224, 224, 3, 17), (640, 480, 224, 224, 3, 18), (101, 77, 32, 32, 3, 19),
    (32, 32, 224, 224, 3, 20), (500, 13, 40, 128, 3, 21), (13, 500, 96, 7, 3, 22),
    (1500, 1000, 227, 227, 1, 23), (224, 224, 224, 224, 3, 24), (448, 448, 224, 224, 3, 0),
    (2999, 3, 5, 3, 1, 25), (3, 2999, 3, 5, 1, 26), (640, 480, 160, 240, 3, 0),
]


def resizes(out):
    out.append("inline constexpr ResizeGolden kResizeGolden[] = {")
    small = []
    for case in RESIZES:
        iw, ih, ow, oh, channels, seed = case
        data = noise(iw, ih, channels, seed) if seed else gradient(iw, ih, channels)
        got = picture(data, iw, ih, channels).resize((ow, oh), Image.BILINEAR).tobytes()
        out.append("    {%s, 0x%016xu}," % (numbers(case), fnv1a(got)))
        if len(got) <= 64:
            small.append((case, got))
    out.append("};")
    out.append("inline const SmallResizeGolden kSmallResizeGolden[] = {")
    for case, got in small:
        out.append("    {%s, {%s}}," % (numbers(case), numbers(got)))
    out.append("};")


def interlaced_png(image):
    """PNG with Adam7, which Pillow reads but does not write."""
    def chunk(name, body):
        crc = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + crc
    rows = [[bytes(image.getpixel((x, y))) for x in range(image.width)]
            for y in range(image.height)]
    data = b""
    for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4),
                           (1, 0, 2, 2), (0, 1, 1, 2)):
        data += b"".join(b"\0" + b"".join(row[x0::dx]) for row in rows[y0::dy])
    header = struct.pack(">IIBBBBB", image.width, image.height, 8, 2, 0, 0, 1)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data, 9)) +
            chunk(b"IEND", b""))


def picture_files():
    # Smooth, with one edge, so that chroma upsampling and the inverse DCT both show.
    width, height = 21, 18
    data = bytearray()
    for y in range(height):
        for x in range(width):
            edge = 90 if x + y > 20 else 0
            data += bytes((12 * x % 256, (9 * y + edge) % 256, 255 - 7 * x - 5 * y + edge // 2))
    rgb = Image.frombytes("RGB", (width, height), bytes(data))
    alpha = rgb.copy()
    alpha.putalpha(rgb.convert("L"))
    yield "420.jpg", rgb, dict(quality=85, subsampling=2, optimize=True)
    yield "422.jpg", rgb, dict(quality=85, subsampling=1, optimize=True)
    yield "444.jpg", rgb, dict(quality=85, subsampling=0, optimize=True)
    yield "progressive.jpg", rgb, dict(quality=85, progressive=True)
    yield "gray.jpg", rgb.convert("L"), dict(quality=85, optimize=True)
    yield "cmyk.jpg", rgb.convert("CMYK"), dict(quality=85, optimize=True)
    yield "rgb.png", rgb, {}
    yield "rgba.png", alpha, {}
    yield "gray_alpha.png", alpha.convert("LA"), {}
    yield "palette.png", rgb.quantize(60), {}
    yield "palette_4_bits_transparent.png", rgb.quantize(11), dict(transparency=3)
    yield "gray_1_bit.png", rgb.convert("1"), {}
    yield "interlaced.png", rgb, None


def write_picture(name, image, options):
    if options is None:
        pathlib.Path(name).write_bytes(interlaced_png(image))
    else:
        image.save(name, **options)


def write_seeds():
    """Each file behind a byte that chooses what the fuzzer does with it."""
    folder = pathlib.Path("../../../fuzz/corpus/fuzz_picture")
    folder.mkdir(parents=True, exist_ok=True)
    turned = Image.Exif()
    turned[274] = 6
    Image.open("rgb.png").save("turned.jpg", exif=turned)
    names = [name for name, _, _ in picture_files()] + ["turned.jpg"]
    for number, name in enumerate(names):
        seed = bytes([37 * number % 256]) + pathlib.Path(name).read_bytes()
        (folder / name.replace(".", "_")).write_bytes(seed)
    pathlib.Path("turned.jpg").unlink()


def decoded(out):
    out.append("inline const FileGolden kFileGolden[] = {")
    for name, image, options in picture_files():
        write_picture(name, image, options)
        rgb = Image.open(name).convert("RGB")
        got = rgb.resize((4, 3), Image.BILINEAR).tobytes()
        gray = rgb.convert("L").resize((4, 3), Image.BILINEAR).tobytes()
        out.append('    {"%s", 0x%016xu,' % (name, fnv1a(rgb.tobytes())))
        out.append("     {%s}," % numbers(got))
        out.append("     {%s}}," % numbers(gray))
    out.append("};")


def main():
    out = ["// SPDX-License-Identifier: Apache-2.0",
           "//",
           "// Written by make_golden.py with Pillow %s. Do not edit." % Image.__version__,
           "// clang-format off"]
    resizes(out)
    decoded(out)
    out.append("// clang-format on")
    write_seeds()
    with open("expected.inc", "w", encoding="ascii") as file:
        for line in out:
            file.write(textwrap.fill(line, 100, subsequent_indent=" " * 8,
                                     drop_whitespace=True) + "\n")


if __name__ == "__main__":
    main()
