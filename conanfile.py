"""The Conan package: the headers.

    conan create . -s compiler.cppstd=20
    conan create . -s compiler.cppstd=20 -o "&:system_eigen=True"   # Eigen where pkg-config finds it, not from Conan Center
"""

import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy, load
from conan.tools.gnu import PkgConfig
from conan.tools.layout import basic_layout

required_conan_version = ">=2.0"


class KroneckerConan(ConanFile):
    name = "kronecker"
    description = "A language model's input embedding without the table"
    license = "Apache-2.0"
    homepage = "https://arxiv.org/abs/2605.29459"
    topics = ("embedding", "language-model", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"system_eigen": [True, False]}
    default_options = {"system_eigen": False}
    exports_sources = "include/*", "LICENSE"
    no_copy_source = True

    def set_version(self):
        header = load(self, os.path.join(self.recipe_folder, "include", "kronecker", "version.hpp"))
        self.version = ".".join(re.findall(r"#define KRONECKER_VERSION_\w+ (\d+)", header))

    def layout(self):
        basic_layout(self)

    def requirements(self):
        if not self.options.system_eigen:
            self.requires("eigen/[>=3.4 <6]", transitive_headers=True)

    def validate(self):
        check_min_cppstd(self, 20)

    def package_id(self):
        self.info.clear()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        copy(self, "*", os.path.join(self.source_folder, "include"), os.path.join(self.package_folder, "include"))

    def package_info(self):
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
        if self.options.system_eigen:
            self.cpp_info.includedirs += PkgConfig(self, "eigen3").includedirs
