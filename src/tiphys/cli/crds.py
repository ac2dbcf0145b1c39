"""What goes into deploy/crds.yaml?"""

import sys

import yaml

from tiphys.api.crds import crd_manifests

HEADER = "# Generated from the types in src/tiphys/api by `make crds`; do not edit.\n"


def text() -> str:
    """Give the definitions of our kinds as one YAML file."""
    return HEADER + yaml.safe_dump_all(crd_manifests(), sort_keys=False, width=140)


if __name__ == "__main__":
    sys.stdout.write(text())
