from spack_repo.builtin.build_systems.cmake import CMakePackage

from spack.package import *


class Sep(CMakePackage):
    """Source Extraction and Photometry: the core algorithms of Source Extractor as a C library."""

    homepage = "https://github.com/kbarbary/sep"
    git = "https://github.com/kbarbary/sep.git"

    license("LGPL-3.0-or-later")

    version("1.2.1", tag="v1.2.1")

    depends_on("c", type="build")
    # It asks for CMake 2.6, which CMake 4 no longer grants.
    depends_on("cmake@:3", type="build")
