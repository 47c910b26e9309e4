"""Pictures as ``data:`` addresses: what shows them gets them with the page, and they are kept at no address."""

from __future__ import annotations

import base64
import io

from PIL import Image

JPEG_QUALITY = 85
"""Of pictures to look at; no score is worked out from them."""


def png_url(picture: Image.Image) -> str:
    """The picture as a PNG, as it is."""
    return _url(picture, "png")


def jpeg_url(picture: Image.Image) -> str:
    """An RGB picture as a JPEG."""
    return _url(picture, "jpeg", quality=JPEG_QUALITY)


def fitted(picture: Image.Image, longest: int) -> Image.Image:
    """The picture, made smaller where its longer side has more pixels than that."""
    scale = longest / max(picture.size)
    if scale >= 1:
        return picture
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def _url(picture: Image.Image, kind: str, **how: int) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **how)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
