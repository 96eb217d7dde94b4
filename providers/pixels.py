"""The pixels of pictures, by way of Pillow. All of it is slow: call it in a worker thread."""

from __future__ import annotations

import io
import warnings

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from providers.errors import safe_detail
from providers.jpeg import takes_too_long
from providers.parameters import EXIF_IFD, KEYWORD, UNICODE, USER_COMMENT, read_parameters
from providers.pictures import (
    Describe,
    PictureTooLarge,
    UnusablePicture,
    broken_picture,
    flagged_picture,
)

MAX_SIDE = 4096
FORMATS = ("PNG", "JPEG", "WEBP")
# What Pillow raises for a picture that it cannot decode.
UNDECODABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
# What is tried in turn for a picture that is too large as PNG.
SMALLER = (("WEBP", 90), ("WEBP", 75), ("WEBP", 50), ("JPEG", 60), ("JPEG", 30), ("JPEG", 10))

# Of large pictures and of broken metadata: the size is checked in any case, and the rest does no harm.
# Once and for the whole process, for filters do not belong to threads.
warnings.filterwarnings("ignore", module=r"PIL\.")


def encode_png(image: Image.Image, parameters: str = "") -> bytes:
    """Encode as PNG, with the text of the parameters in it."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3, pnginfo=as_png_text(parameters))
    return buffer.getvalue()


def open_picture(data: bytes, formats: tuple[str, ...]) -> Image.Image:
    """Open a picture, to be closed after use, its pixels not decoded yet: check its size before they are.

    The formats are told apart by content. Raises, like the decoding, one of UNDECODABLE.
    """
    if takes_too_long(data):
        raise ValueError("a JPEG with more scans or segments than any picture needs")
    return Image.open(io.BytesIO(data), formats=formats)


def has_transparency(image: Image.Image) -> bool:
    """Whether the picture's format says that some of it may be transparent."""
    return image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info


def as_png_text(text: str) -> PngInfo:
    """The text as a chunk for a PNG that is to be saved."""
    info = PngInfo()
    if text:
        info.add_text(KEYWORD, text)  # as iTXt where Latin-1 does not do
    return info


def as_exif(text: str) -> Image.Exif:
    """The text as EXIF data for a JPEG or WebP that is to be saved."""
    exif = Image.Exif()
    if text:
        exif.get_ifd(EXIF_IFD)[USER_COMMENT] = UNICODE + text.encode("utf-16-be")
    return exif


def shrink_to(png: bytes, limit: int) -> tuple[bytes, str]:
    """See `providers.pictures.shrink_to`."""
    exif = as_exif(read_parameters(png) or "")
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        image.load()
        for kind, quality in SMALLER:
            buffer = io.BytesIO()
            pixels = image.convert("RGB") if kind == "JPEG" and image.mode != "RGB" else image
            pixels.save(buffer, kind, quality=quality, exif=exif)
            if buffer.tell() <= limit:
                return buffer.getvalue(), "webp" if kind == "WEBP" else "jpg"
    raise PictureTooLarge(f"{len(png):,} bytes do not fit into {limit:,}")


def to_png(data: bytes, describe: Describe | None = None, *, secret: str = "") -> tuple[bytes, int, int]:
    """See `providers.pictures.to_png`."""
    try:
        image = _decode(data)
    except UnidentifiedImageError:
        beginning = ascii(safe_detail(data[:2048].decode("utf-8", "replace"), secret)[:80])
        raise broken_picture(f"the vendor sent no picture but: {beginning}") from None
    except Image.DecompressionBombError:
        raise _too_large("more than 178 million") from None
    except UNDECODABLE as error:
        raise broken_picture(f"the picture cannot be decoded: {type(error).__name__}") from None
    if _is_blank(image):
        raise flagged_picture("the picture has one colour only")
    image.info.clear()
    width, height = image.size
    return encode_png(image, describe(width, height) if describe else ""), width, height


def _decode(data: bytes) -> Image.Image:
    """The pixels, as RGB or RGBA. Raises one of UNDECODABLE, and UnusablePicture."""
    with open_picture(data, FORMATS) as image:
        if max(image.size) > MAX_SIDE:
            raise _too_large(f"{image.width} x {image.height}")
        if getattr(image, "n_frames", 1) != 1:
            raise broken_picture("the picture is animated")
        image.load()
        return image.convert("RGBA" if has_transparency(image) else "RGB")


def _too_large(pixels: str) -> UnusablePicture:
    most = f"{MAX_SIDE} x {MAX_SIDE} is the most that is taken"
    return broken_picture(
        f"the picture has {pixels} pixels", f"The model sent a picture of {pixels} pixels; {most}."
    )


def _is_blank(image: Image.Image) -> bool:
    """Whether the picture has one colour, give or take what JPEG makes of it."""

    def has_one_colour(pixels: Image.Image) -> bool:
        bands = (band.histogram() for band in pixels.split())
        used = ([value for value, count in enumerate(band) if count] for band in bands)
        return all(values[-1] - values[0] <= 8 for values in used)

    return has_one_colour(image.resize((16, 16), Image.Resampling.NEAREST)) and has_one_colour(image)
