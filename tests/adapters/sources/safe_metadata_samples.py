"""Metadata of SAFE products as texts, and readers of them."""

from collections.abc import Callable
from pathlib import Path

from revisit.errors import NotFoundError

PRODUCT = "/a/S2A_MSIL2A_20221206T105431_N0509_R051_T31UFS_20221206T135452.SAFE"
IMAGE = "GRANULE/L2A_T31UFS_A1_20221206T105430/IMG_DATA/R10m/T31UFS_20221206T105431_B02_10m"
SOURCE = "folder:/archive"


def reader(root: Path) -> Callable[[str], bytes]:
    def read(path: str) -> bytes:
        if not (root / path).is_file():
            raise NotFoundError(path)
        return (root / path).read_bytes()

    return read


def from_texts(**files: str) -> Callable[[str], bytes]:
    def read(path: str) -> bytes:
        for name, text in files.items():
            if path.endswith(name.replace("__", ".")):
                return text.encode()
        raise NotFoundError(path)

    return read


def metadata(
    images: list[str],
    granule: str = "S2A_OPER_MSI_L2A_TL_X_T31UFS_N05.09",
    level: str = "2A",
    extra: str = "",
    tag: str = "IMAGE_FILE",
) -> str:
    quantification = "BOA_QUANTIFICATION_VALUE" if level == "2A" else "QUANTIFICATION_VALUE"
    listed = "".join(f"<{tag}>{image}</{tag}>" for image in images)
    return f"""<?xml version="1.0"?><n1:Level-{level}_User_Product xmlns:n1="urn:x">
      <PROCESSING_LEVEL>Level-{level}</PROCESSING_LEVEL><GENERATION_TIME>2022-12-06T13:54:52.000Z</GENERATION_TIME>
      <Granule_List><Granule granuleIdentifier="{granule}">{listed}</Granule></Granule_List>
      <{quantification}>10000</{quantification}>{extra}
      <EXT_POS_LIST>51 4 51 5 50 5 50 4 51 4</EXT_POS_LIST></n1:Level-{level}_User_Product>"""
