"""From bytes to an upright RGB picture, and from that to thumbnails."""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageOps, UnidentifiedImageError

from headway.jobs.kinds.images_index.sources import UnreadableError

THUMB_SIDE = 192
THUMB_QUALITY = 82
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
# the size is checked before anything is decoded, and named
Image.MAX_IMAGE_PIXELS = None


def decode(content: bytes, *, most_pixels: int, side: int) -> tuple[Image.Image, tuple[int, int]]:
    """The picture upright (EXIF) as RGB, and its own width and height. Raises UnreadableError.

    JPEGs may be decoded at a part of their size, as long as the shorter side stays at least `side` px.
    """
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content), formats=FORMATS) as image:
            warnings.simplefilter("ignore")
            if image.width * image.height > most_pixels:
                raise UnreadableError(f"has {image.width} x {image.height} pixels: more than most_megapixels")
            size = image.size
            image.draft("RGB", (side, side))
            drafted = image.size
            upright = ImageOps.exif_transpose(image)
    except UnreadableError:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableError("is no picture of a format that is read") from error
    except Exception as error:  # decoders raise whatever they like on bytes that are none of theirs
        raise UnreadableError(f"cannot be decoded: {error}") from error
    turned = (upright.width > upright.height) != (drafted[0] > drafted[1])
    return _as_rgb(upright), (size[1], size[0]) if turned else size


def thumbnail(image: Image.Image, side: int = THUMB_SIDE) -> bytes:
    """A JPEG whose longer side is at most `side` px."""
    small = image.copy() if max(image.size) <= side else image.resize(_within(image, side), Image.Resampling.BILINEAR)
    written = io.BytesIO()
    small.save(written, "JPEG", quality=THUMB_QUALITY)
    return written.getvalue()


def scaled_to(image: Image.Image, side: int) -> Image.Image:
    """The picture with its longer side at most `side` px."""
    if max(image.size) <= side:
        return image
    return image.resize(_within(image, side), Image.Resampling.BILINEAR, reducing_gap=2.0)


def _within(image: Image.Image, side: int) -> tuple[int, int]:
    scale = side / max(image.size)
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def _as_rgb(image: Image.Image) -> Image.Image:
    """RGB; what is transparent becomes white, 16-bit greys keep their range."""
    if image.mode.startswith("I;16") or image.mode == "I":
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
