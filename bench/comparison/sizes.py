"""What a package and all that it requires take on disk, as pip has installed them. Usage: python sizes.py PACKAGE …"""

import importlib.metadata as metadata
import os
import sys

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

sizes = {}


def add(name, extras=()):
    if canonicalize_name(name) in sizes:
        return
    package = metadata.distribution(name)
    files = (str(package.locate_file(file)) for file in package.files or [])
    sizes[canonicalize_name(name)] = sum(os.path.getsize(file) for file in files if os.path.exists(file))
    for line in package.requires or []:
        required = Requirement(line)
        environments = [{"extra": extra} for extra in extras or [""]]
        if required.marker is None or any(map(required.marker.evaluate, environments)):
            add(required.name, required.extras)


for name in sys.argv[1:]:
    add(name)
print(f"{' '.join(sys.argv[1:])}: {len(sizes)} packages, {sum(sizes.values()) / 1e6:,.0f} MB")
