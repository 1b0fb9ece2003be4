import os

from spack_repo.builtin.build_systems.cmake import CMakePackage

from spack.package import *

# The clone that this recipe stands in is what it builds.
_CLONE = os.path.realpath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 6))


class Skyloom(CMakePackage):
    """MPI-parallel survey astronomy: calibrated images to catalogues of fluxes, positions and
    shapes, restartable at any moment on any number of ranks."""

    git = "file://" + _CLONE

    license("GPL-3.0-or-later")

    version("main", branch="main")

    variant("native", default=False, description="Compile for the instruction set of this machine")
    variant("tests", default=False, description="Build the tests")

    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("cmake@3.25:", type="build")
    depends_on("pkgconfig", type="build")

    depends_on("mpi@3.1:")
    depends_on("hdf5@1.10: +mpi")
    depends_on("petsc@3.18: +mpi +double ~complex")
    depends_on("blas")
    depends_on("lapack")
    # One rank per core: a threaded BLAS would take the others' cores.
    depends_on("openblas threads=none", when="^[virtuals=blas] openblas")
    depends_on("cfitsio@4:")
    depends_on("wcslib@7:")
    depends_on("sep@1.2:")
    depends_on("boost@1.74: +serialization")
    depends_on("tomlplusplus@3.3:")
    depends_on("cli11@2.1:")
    depends_on("fmt@9:")
    depends_on("spdlog@1.10: +fmt_external")
    depends_on("nlohmann-json@3.11:")
    depends_on("zlib-api")
    depends_on("openssl@3:")
    depends_on("curl@7.66:")
    depends_on("catch2@2.13:2", type="build", when="+tests")
    depends_on("benchmark", type="build", when="+tests")

    conflicts("%gcc@:11", msg="skyloom is C++20")

    # The charts of the report; otherwise the build asks npm for them.
    resource(
        name="uplot",
        url="https://registry.npmjs.org/uplot/-/uplot-1.6.32.tgz",
        sha256="4b8a8191e425658e3ea8c8c1314b0fc679c861ee3a1af2b20c7b16ba50b5133d",
        placement="uplot",
    )

    def cmake_args(self):
        return [
            self.define_from_variant("SKYLOOM_NATIVE", "native"),
            self.define_from_variant("SKYLOOM_TESTS", "tests"),
            self.define("SKYLOOM_UPLOT_DIR", join_path(self.stage.source_path, "uplot")),
        ]

    @run_after("install")
    @on_package_attributes(run_tests=True)
    def check_program(self):
        Executable(self.prefix.bin.skyloom)("--version")
