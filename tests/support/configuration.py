"""Writes configurations of photometry from Python values."""


def _text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_text, value)) + "]"
    if isinstance(value, str):
        return '"' + value + '"'
    return repr(value)


def _table(name, values):
    return [name] + [f"{key} = {_text(value)}" for key, value in values.items()]


def write_config(path, inputs, images, **tables):
    """A configuration with [inputs], one [[inputs.images]] per image and the other tables."""
    lines = _table("[inputs]", inputs)
    for image in images:
        lines += _table("[[inputs.images]]", image)
    for name, values in tables.items():
        lines += _table(f"[{name}]", values)
    with open(path, "w") as f:
        f.write("\n".join(lines) + "\n")
