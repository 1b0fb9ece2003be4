"""Borders leave no trace: one field cut into 1, 4 and 64 patches, same PSFs, gives equal fluxes."""
import os

import numpy as np

from runs import Program, scratch as scratch_folder
from survey import Checks, table

CUTS = {1: (1, 1), 4: (2, 1), 64: (2, 4)}  # patches: cells per axis, patches per cell and axis
check = Checks()


def fluxes(program, survey, config, patches):
    """Columns of the sources of one run."""
    cells, per_cell = CUTS[patches]
    run = os.path.join(survey, f"{config}_{patches}.run")
    program.run("photometry", "run", os.path.join(survey, config + ".toml"), "--out", run,
                "--set", f"epsf.epsf_ngrid={cells}", "--set", f"epsf.ngrid={per_cell}",
                "--set", "patch_run.no_patch_overview=true", ranks=min(2, patches), timeout=600)
    return table(os.path.join(run, "photometry.h5"), "catalogue")


def differences(one, two, bands):
    """Flux differences in errors, (source, band), of the sources fitted in both."""
    both = (one["stype_fit"] != "") & (two["stype_fit"] != "")
    assert np.array_equal(one["ID"], two["ID"]) and both.sum() > 300
    return np.array([(two[f"FLUX_{b}_fit"] - one[f"FLUX_{b}_fit"])[both] / one[f"FLUXERR_{b}_fit"][both]
                     for b in bands]).T


def report(name, shift):
    worst = np.abs(shift).max(axis=1)
    print(f"      {name}: {100 * np.mean(worst < 0.1):.2f} % of {len(worst)} sources within 0.1 of the error in every "
          f"band, {100 * np.mean(np.abs(shift) < 0.1):.2f} % of the fluxes; rms {np.sqrt(np.mean(shift**2)):.4f}, "
          f"median {np.median(shift):+.4f}")
    return worst


shifts = {}
with scratch_folder() as folder:
    program = Program(os.environ["SKYLOOM"], folder)
    for seed in (1, 2):
        survey = os.path.join(folder, f"survey{seed}")
        program.run("simulate", "photometry", "--out", survey, "--size", "small", "--seed", seed)
        free = open(os.path.join(survey, "photometry_true_psf.toml")).read()
        with open(os.path.join(survey, "held.toml"), "w") as f:
            # The simulated sky is 0.
            f.write("\n".join(line + '\nsky = "0"' if line.startswith("psf = ") else line for line in free.split("\n")))
        for sky, config in (("known", "held"), ("fitted", "photometry_true_psf")):
            whole = fluxes(program, survey, config, 1)
            bands = sorted(name[5:-4] for name in whole if name.startswith("FLUX_") and name.endswith("_fit"))
            for patches in (4, 64):
                cut = fluxes(program, survey, config, patches)
                shifts.setdefault((sky, patches), []).append(differences(whole, cut, bands))

for (sky, patches), values in shifts.items():
    shift = np.concatenate(values)
    worst = report(f"sky {sky}, {patches} patches", shift)
    middle = np.median(shift)
    check(abs(middle) < 0.02, f"sky {sky}, {patches} patches and 1: median {middle:+.4f} of the error, 0.02 allowed")
    check(np.mean(worst < 0.1) >= 0.99, f"sky {sky}, {patches} patches and 1: {100 * np.mean(worst < 0.1):.2f} % of "
          "the sources within 0.1 of the error in every band, 99 % asked")
check.finish()
