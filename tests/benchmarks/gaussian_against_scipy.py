#!/usr/bin/env python3
"""The Gaussian convolution against scipy.ndimage.gaussian_filter (truncate 4, single precision), in turn
on one core. Usage: gaussian_against_scipy.py <gaussian_benchmark> [sigma]"""
import re
import subprocess
import sys
import time

try:
    import numpy
    from scipy.ndimage import gaussian_filter
except ImportError as missing:
    sys.exit(f"no comparison: {missing}")

WIDTH, HEIGHT = 3072, 1024
program = sys.argv[1]
sigma = float(sys.argv[2]) if len(sys.argv) > 2 else 60.0
image = numpy.random.default_rng(1).exponential(100.0, (HEIGHT, WIDTH)).astype(numpy.float32)
ratios = []
for _ in range(3):
    out = subprocess.run([program, str(WIDTH), str(HEIGHT), "-s", str(sigma), "-r", "3"], check=True,
                         capture_output=True, text=True).stdout
    ours = float(re.search(r"reach \d+\) ([0-9.e-]+) s/Mpx", out).group(1))
    start = time.process_time()
    gaussian_filter(image, sigma, truncate=4.0)
    theirs = (time.process_time() - start) / (1e-6 * WIDTH * HEIGHT)
    ratios.append(theirs / ours)
    print(f"sigma {sigma:g}: ours {ours:.5f}, scipy {theirs:.5f} s/Mpx, ratio {ratios[-1]:.0f}")
print(f"median ratio {sorted(ratios)[1]:.0f}")
