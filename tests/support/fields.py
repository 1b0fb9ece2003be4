"""A simulated photometry survey of several fields, which are copies of one."""


def survey_of_fields(program, folder, count, size="tiny"):
    """The fields f1, f2, ...; path of the configuration folder/night.toml."""
    program.run("simulate", "photometry", "--out", folder / "field", "--size", size)
    images = folder / "field" / "images.list"
    # Relative names would be relative to the configuration.
    images.write_text("".join(f"{folder}/field/{name}\n" for name in images.read_text().split("\n")
                              if name and name[0] != "#"))
    fields = "".join(f'[[fields]]\ntile_name = "f{n}"\ninput_catalog = "field/catalog.csv"\n'
                     'image_list_file = "field/images.list"\ngaiaxp_synphot_csv = "field/gaia.csv"\n'
                     for n in range(1, count + 1))
    shared = (folder / "field" / "photometry.toml").read_text().split("[image_scaling]")[1]
    config = folder / "night.toml"
    config.write_text(fields + "[image_scaling]" + shared)
    return config
