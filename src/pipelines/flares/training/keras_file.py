"""Weight files of the flare network as Keras 2 lays them out (written) and Keras 2 or 3 (read)."""

import json

import h5py
import numpy as np

from network import Weights

LAYERS = ("conv1d", "max_pooling1d", "dropout", "conv1d_1", "max_pooling1d_1", "dropout_1", "flatten", "dense",
          "dropout_2", "dense_1")


def model_config():
    """The architecture as Keras 2 states it."""
    def convolution(name, filters, taps):
        return {"class_name": "Conv1D", "config": {
            "name": name, "dtype": "float32", "filters": filters, "kernel_size": [taps], "strides": [1],
            "padding": "same", "data_format": "channels_last", "dilation_rate": [1], "activation": "relu",
            "use_bias": True}}

    def pool(name):
        return {"class_name": "MaxPooling1D", "config": {
            "name": name, "dtype": "float32", "strides": [2], "pool_size": [2], "padding": "valid",
            "data_format": "channels_last"}}

    def dropout(name):
        return {"class_name": "Dropout", "config": {"name": name, "dtype": "float32", "rate": 0.1}}

    def dense(name, units, activation):
        return {"class_name": "Dense", "config": {
            "name": name, "dtype": "float32", "units": units, "activation": activation, "use_bias": True}}

    layers = [convolution("conv1d", 16, 7), pool("max_pooling1d"), dropout("dropout"),
              convolution("conv1d_1", 64, 3), pool("max_pooling1d_1"), dropout("dropout_1"),
              {"class_name": "Flatten", "config": {"name": "flatten", "dtype": "float32",
                                                   "data_format": "channels_last"}},
              dense("dense", 32, "relu"), dropout("dropout_2"), dense("dense_1", 1, "sigmoid")]
    layers[0]["config"]["batch_input_shape"] = [None, 200, 1]
    return json.dumps({"class_name": "Sequential", "config": {"name": "sequential", "layers": layers}})


def write_weights(path, weights, attributes):
    arrays = {"conv1d": (weights.first, weights.first_bias), "conv1d_1": (weights.second, weights.second_bias),
              "dense": (weights.dense, weights.dense_bias), "dense_1": (weights.output, weights.output_bias)}
    with h5py.File(path, "w") as file:
        file.attrs["backend"] = "tensorflow"
        file.attrs["keras_version"] = "2.2.4-tf"
        file.attrs["model_config"] = model_config()
        for name, value in attributes.items():
            file.attrs[name] = value
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = np.array([name.encode() for name in LAYERS])
        for name in LAYERS:
            layer = root.create_group(name)
            names = [f"{name}/{part}:0" for part in ("kernel", "bias")] if name in arrays else []
            layer.attrs["weight_names"] = np.array([text.encode() for text in names])
            for text, values in zip(names, arrays.get(name, ())):
                layer.create_dataset(text, data=np.ascontiguousarray(values, dtype="<f4"), track_times=False)


def read_weights(path):
    """@return the weights of a Keras file of either dialect, layers by their order"""
    text = lambda value: value.decode() if isinstance(value, bytes) else value
    with h5py.File(path, "r") as file:
        root = file["model_weights"]
        arrays = [root[text(layer)][text(name)][()] for layer in root.attrs["layer_names"]
                  for name in root[text(layer)].attrs["weight_names"]]
    return Weights(*arrays)
