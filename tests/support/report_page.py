"""Reads what a report page shows."""

import base64
import json
import re

import numpy as np


def page(path):
    """The data of a report.html."""
    html = path.read_text()
    data = re.search(r'id="report-data">(.*?)</script>', html, re.S).group(1)
    return json.loads(data)


def blocks(data, kind=None):
    """All blocks, or those of one type, in order."""
    return [b for section in data["sections"] for b in section["blocks"]
            if kind is None or b["type"] == kind]


def pixels(data, picture):
    """Values of a picture, row 0 first; NaN where blank."""
    codes = np.frombuffer(base64.b64decode(data["pixels"][picture["codes"]]), "<u2")
    values = picture["centre"] + picture["soft"] * np.sinh(
        picture["first"] + picture["step"] * codes.astype(float))
    values[codes == 65535] = np.nan
    return values.reshape(picture["height"], picture["width"])


def problems(data):
    return [b["text"] for b in blocks(data, "text") if b["problem"]]
