"""DES cut-outs in four bands on one grid: one galaxy and one star between faint objects, against
aperture magnitudes of the same images; the PSF is unknown and comes from the star."""

import os

import numpy as np
from astropy.io import fits

from configuration import write_config
from runs import Program, scratch
from survey import Checks, csv, need_data, numbers, table, write_csv

BANDS = "griz"
data = need_data("survey_cutouts")
reference = csv(os.path.join(need_data("ps1_real"), "sep_reference.csv"))
