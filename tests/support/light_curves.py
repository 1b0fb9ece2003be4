"""Light curves and networks for tests of the flares pipeline."""

import json

import h5py
import numpy as np
from astropy.io import fits

LAYERS = ("conv1d", "max_pooling1d", "dropout", "conv1d_1", "max_pooling1d_1", "dropout_1", "flatten",
          "dense", "dropout_2", "dense_1")
CADENCE = 120.0 / 86400.0


def write_light_curve(path, tic, sector, flux, time=None, quality=None, cards=None, error=None):
    """A file in the SPOC layout; errors are 1 in 1000 of the median unless given."""
    n = len(flux)
    time = 1500.0 + CADENCE * np.arange(n) if time is None else time
    error = error if error is not None else np.full(n, 1e-3 * (np.nanmedian(flux) if np.any(np.isfinite(flux)) else 1.0))
    primary = fits.PrimaryHDU()
    for name, value in {"TELESCOP": "TESS", "TICID": tic, "SECTOR": sector, "CAMERA": 1, "CCD": 2,
                        "RA_OBJ": 10.0, "DEC_OBJ": -20.0, "TESSMAG": 11.0, **(cards or {})}.items():
        primary.header[name] = value
    columns = [fits.Column("TIME", "D", array=time), fits.Column("CADENCENO", "J", array=np.arange(n)),
               fits.Column("PDCSAP_FLUX", "E", array=flux), fits.Column("PDCSAP_FLUX_ERR", "E", array=error),
               fits.Column("QUALITY", "J", array=np.zeros(n, int) if quality is None else quality)]
    table = fits.BinTableHDU.from_columns(columns, name="LIGHTCURVE")
    table.header["TIMEDEL"] = CADENCE
    fits.HDUList([primary, table]).writeto(path, overwrite=True)


def spoc_name(tic, sector):
    return f"tess2020000000000-s{sector:04d}-{tic:016d}-0123-s_lc.fits"


def model_config():
    def layer(kind, **config):
        return {"class_name": kind, "config": config}

    def convolution(filters, taps):
        return layer("Conv1D", filters=filters, kernel_size=[taps], strides=[1], padding="same",
                     data_format="channels_last", dilation_rate=[1], activation="relu", use_bias=True)

    pool = layer("MaxPooling1D", strides=[2], pool_size=[2], padding="valid", data_format="channels_last")
    dropout = layer("Dropout", rate=0.1)
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": [
        convolution(16, 7), pool, dropout, convolution(64, 3), pool, dropout,
        layer("Flatten", data_format="channels_last"), layer("Dense", units=32, activation="relu"), dropout,
        layer("Dense", units=1, activation="sigmoid")]}}


def write_network(path, seed=1, dense_rows=3200):
    """Weights drawn at random in the layout of Keras 2."""
    draw = np.random.default_rng(seed)
    shapes = {"conv1d": (7, 1, 16), "conv1d_1": (3, 16, 64), "dense": (dense_rows, 32), "dense_1": (32, 1)}
    with h5py.File(path, "w") as f:
        f.attrs["backend"] = "tensorflow"
        f.attrs["keras_version"] = "2.2.4-tf"
        f.attrs["model_config"] = json.dumps(model_config())
        root = f.create_group("model_weights")
        root.attrs["layer_names"] = np.array([name.encode() for name in LAYERS])
        for name in LAYERS:
            group = root.create_group(name)
            shape = shapes.get(name)
            names = [f"{name}/kernel:0", f"{name}/bias:0"] if shape else []
            group.attrs["weight_names"] = np.array([n.encode() for n in names], dtype="S32")
            if shape:
                kernel = draw.normal(0, 1 / np.sqrt(np.prod(shape[:-1])), shape)
                group.create_dataset(names[0], data=kernel.astype("<f4"))
                group.create_dataset(names[1], data=np.zeros(shape[-1], "<f4"))
