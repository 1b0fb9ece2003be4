"""Compares HDF5 products bit for bit: every dataset and attribute outside /provenance, external
links followed. As a program: products.py A B  (files, or run directories) exits 1 with the first
differences."""

import pathlib
import sys

import h5py
import numpy


def _walk(group, prefix, out):
    for name in sorted(group):
        path = f"{prefix}/{name}"
        if path == "/provenance":
            continue
        item = group[name]  # follows soft and external links
        out[path] = item
        if isinstance(item, h5py.Group):
            _walk(item, path, out)


def _attributes(item):
    return {name: numpy.asarray(value) for name, value in item.attrs.items()}


def _same_array(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def _differences_of(path, a, b):
    if isinstance(a, h5py.Group) != isinstance(b, h5py.Group):
        yield f"{path}: a group in one file only"
        return
    one, two = _attributes(a), _attributes(b)
    for name in sorted(set(one) | set(two)):
        if name not in one or name not in two or not _same_array(one[name], two[name]):
            yield f"{path}@{name}: {one.get(name)} and {two.get(name)}"
    if isinstance(a, h5py.Dataset) and not _same_array(a[()], b[()]):
        yield f"{path}: values differ ({a.dtype} {a.shape} and {b.dtype} {b.shape})"


def differences(one, two):
    """Differences of two HDF5 files, as lines of text."""
    with h5py.File(one, "r") as a, h5py.File(two, "r") as b:
        objects_a, objects_b = {"/": a}, {"/": b}
        _walk(a, "", objects_a)
        _walk(b, "", objects_b)
        lines = []
        for path in sorted(set(objects_a) ^ set(objects_b)):
            lines.append(f"{path}: only in {one if path in objects_a else two}")
        for path in sorted(set(objects_a) & set(objects_b)):
            lines.extend(_differences_of(path, objects_a[path], objects_b[path]))
        return lines


def run_differences(one, two):
    """Differences of the products of two run directories."""
    one, two = pathlib.Path(one), pathlib.Path(two)
    names = [{str(p.relative_to(folder)) for p in folder.rglob("*.h5")} for folder in (one, two)]
    lines = [f"{name}: in one directory only" for name in sorted(names[0] ^ names[1])]
    for name in sorted(names[0] & names[1]):
        lines.extend(f"{name}{line}" for line in differences(one / name, two / name))
    return lines


if __name__ == "__main__":
    folders = all(pathlib.Path(p).is_dir() for p in sys.argv[1:3])
    found = (run_differences if folders else differences)(*sys.argv[1:3])
    print("\n".join(found[:20]) or "equal")
    sys.exit(1 if found else 0)
