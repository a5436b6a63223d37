"""Writer of .SAFE products in ESA's compact format: the parts that readers need.

Source: Sentinel-2 Products Specification Document, issue 14.
"""

from datetime import datetime
from hashlib import sha3_256
from pathlib import Path

from revisit.demo.acquisitions import EPSG, NORTH_M, TILE, WEST_M, Acquisition
from revisit.demo.scene import Scene, band_grid, footprint
from revisit.domain.bands import BANDS
from revisit.pixels.raster.grid import Grid
from revisit.pixels.raster.jp2 import write_jp2

_BLOCK_SIZES = {10: 1024, 20: 640, 60: 192}
_BAND_IDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
_SCHEMA = "https://psd-14.sentinel2.eo.esa.int/PSD"
_QUALITY_CLASSES = {
    "NODATA_PIXEL": 0,
    "SATURATED_DEFECTIVE_PIXEL": 1,
    "DARK_FEATURES": 2,
    "CLOUD_SHADOW": 3,
    "VEGETATION": 4,
    "NOT_VEGETATED": 5,
    "WATER": 6,
    "UNCLASSIFIED": 7,
    "MEDIUM_PROBA_CLOUDS": 8,
    "HIGH_PROBA_CLOUDS": 9,
    "THIN_CIRRUS": 10,
    "SNOW_ICE": 11,
}


def write_safe(root: Path, scene: Scene) -> None:
    """Write one scene as <product>.SAFE below the root."""
    seen = scene.acquisition
    product = root / f"{seen.name}.SAFE"
    granule = f"GRANULE/L2A_T{TILE}_A{seen.absolute_orbit:06d}_{_format_compact(seen.datatake)}"
    images = []
    for band, layer in scene.layers.items():
        for resolution in (20, 60) if band == "SCL" else (BANDS[band].resolution_m,):
            stem = f"T{TILE}_{_format_compact(seen.datatake)}_{band}_{resolution}m"
            image = f"{granule}/IMG_DATA/R{resolution}m/{stem}"
            images.append(image)
            path = product / f"{image}.jp2"
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse = band == "SCL" and resolution == 60
            write_jp2(
                path,
                layer[1::3, 1::3] if coarse else layer,
                band_grid("B01") if coarse else band_grid(band),
                _BLOCK_SIZES[resolution],
            )
    _write_text(
        product / "MTD_MSIL2A.xml",
        _product_xml(scene, sorted(images, key=lambda image: image.split("IMG_DATA/")[1])),
    )
    _write_text(product / granule / "MTD_TL.xml", _tile_xml(scene))
    strip = f"DATASTRIP/DS_2APS_{_format_compact(seen.generated)}_S{_format_compact(seen.sensing_time)}"
    _write_text(product / strip / "MTD_DS.xml", _datastrip_xml(seen))
    _write_text(product / "manifest.safe", _manifest_xml(product))


def _product_xml(scene: Scene, images: list[str]) -> str:
    seen = scene.acquisition
    dotted = f"{seen.baseline[:2]}.{seen.baseline[2:]}"
    files = "\n".join(f"          <IMAGE_FILE>{image}</IMAGE_FILE>" for image in images)
    ring = " ".join(f"{lat} {lon}" for lon, lat in footprint(seen))
    offsets = "\n".join(
        f'        <BOA_ADD_OFFSET band_id="{number}">{seen.offset}</BOA_ADD_OFFSET>'
        for number in range(len(_BAND_IDS))
    )
    stated = (
        f"\n      <BOA_ADD_OFFSET_VALUES_LIST>\n{offsets}\n      </BOA_ADD_OFFSET_VALUES_LIST>"
        if seen.offset
        else ""
    )
    bands = "\n".join(_band_xml(number, band) for number, band in enumerate(_BAND_IDS))
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-2A_User_Product xmlns:n1="{_SCHEMA}/User_Product_Level-2A.xsd">
  <n1:General_Info>
    <Product_Info>
      <PRODUCT_START_TIME>{_format_time(seen.datatake)}</PRODUCT_START_TIME>
      <PRODUCT_STOP_TIME>{_format_time(seen.datatake)}</PRODUCT_STOP_TIME>
      <PRODUCT_URI>{seen.name}.SAFE</PRODUCT_URI>
      <PROCESSING_LEVEL>Level-2A</PROCESSING_LEVEL>
      <PRODUCT_TYPE>S2MSI2A</PRODUCT_TYPE>
      <PROCESSING_BASELINE>{dotted}</PROCESSING_BASELINE>
      <GENERATION_TIME>{_format_time(seen.generated)}</GENERATION_TIME>
      <PREVIEW_IMAGE_URL>Not applicable</PREVIEW_IMAGE_URL>
      <PREVIEW_GEO_INFO>Not applicable</PREVIEW_GEO_INFO>
      <Datatake datatakeIdentifier="{_datatake_id(seen)}_N{dotted}">
        <SPACECRAFT_NAME>Sentinel-2{seen.platform[2]}</SPACECRAFT_NAME>
        <DATATAKE_TYPE>INS-NOBS</DATATAKE_TYPE>
        <DATATAKE_SENSING_START>{_format_time(seen.datatake)}</DATATAKE_SENSING_START>
        <SENSING_ORBIT_NUMBER>{seen.relative_orbit}</SENSING_ORBIT_NUMBER>
        <SENSING_ORBIT_DIRECTION>DESCENDING</SENSING_ORBIT_DIRECTION>
      </Datatake>
      <Query_Options completeSingleTile="true">
        <PRODUCT_FORMAT>SAFE_COMPACT</PRODUCT_FORMAT>
      </Query_Options>
      <Product_Organisation>
        <Granule_List>
          <Granule datastripIdentifier="{_pdi_id(seen, "DS")}"
                   granuleIdentifier="{_pdi_id(seen, "TL")}" imageFormat="JPEG2000">
{files}
          </Granule>
        </Granule_List>
      </Product_Organisation>
    </Product_Info>
    <Product_Image_Characteristics>
      <Special_Values>
        <SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT>
        <SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX>
      </Special_Values>
      <Special_Values>
        <SPECIAL_VALUE_TEXT>SATURATED</SPECIAL_VALUE_TEXT>
        <SPECIAL_VALUE_INDEX>65535</SPECIAL_VALUE_INDEX>
      </Special_Values>
      <Image_Display_Order>
        <RED_CHANNEL>3</RED_CHANNEL>
        <GREEN_CHANNEL>2</GREEN_CHANNEL>
        <BLUE_CHANNEL>1</BLUE_CHANNEL>
      </Image_Display_Order>
      <QUANTIFICATION_VALUES_LIST>
        <BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>
        <AOT_QUANTIFICATION_VALUE unit="none">1000.0</AOT_QUANTIFICATION_VALUE>
        <WVP_QUANTIFICATION_VALUE unit="cm">1000.0</WVP_QUANTIFICATION_VALUE>
      </QUANTIFICATION_VALUES_LIST>{stated}
      <Spectral_Information_List>
{bands}
      </Spectral_Information_List>
    </Product_Image_Characteristics>
  </n1:General_Info>
  <n1:Geometric_Info>
    <Product_Footprint>
      <Product_Footprint>
        <Global_Footprint>
          <EXT_POS_LIST>{ring} </EXT_POS_LIST>
        </Global_Footprint>
      </Product_Footprint>
      <RASTER_CS_TYPE>POINT</RASTER_CS_TYPE>
      <PIXEL_ORIGIN>1</PIXEL_ORIGIN>
    </Product_Footprint>
    <Coordinate_Reference_System>
      <GEO_TABLES version="1">EPSG</GEO_TABLES>
      <HORIZONTAL_CS_TYPE>GEOGRAPHIC</HORIZONTAL_CS_TYPE>
    </Coordinate_Reference_System>
  </n1:Geometric_Info>
  <n1:Quality_Indicators_Info>
    <Cloud_Coverage_Assessment>{scene.cloud_cover:.6f}</Cloud_Coverage_Assessment>
  </n1:Quality_Indicators_Info>
</n1:Level-2A_User_Product>
"""


def _band_xml(number: int, band: str) -> str:
    physical = band.replace("B0", "B")
    return (
        f'        <Spectral_Information bandId="{number}" physicalBand="{physical}">\n'
        f"          <RESOLUTION>{BANDS[band].resolution_m}</RESOLUTION>\n"
        f'          <Wavelength><CENTRAL unit="nm">{BANDS[band].wavelength_nm}</CENTRAL></Wavelength>\n'
        f"        </Spectral_Information>"
    )


def _tile_xml(scene: Scene) -> str:
    seen = scene.acquisition
    zenith, azimuth = seen.sun_angles
    sizes = "\n".join(_size_xml(band_grid(band)) for band in ("B02", "B05", "B01"))
    places = "\n".join(_position_xml(band_grid(band)) for band in ("B02", "B05", "B01"))
    quality = "\n".join(
        f"      <{name}_PERCENTAGE>{scene.class_percent[number]:.6f}</{name}_PERCENTAGE>"
        for name, number in _QUALITY_CLASSES.items()
    )
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-2A_Tile_ID xmlns:n1="{_SCHEMA}/S2_PDI_Level-2A_Tile_Metadata.xsd">
  <n1:General_Info>
    <TILE_ID metadataLevel="Brief">{_pdi_id(seen, "TL")}</TILE_ID>
    <DATASTRIP_ID metadataLevel="Standard">{_pdi_id(seen, "DS")}</DATASTRIP_ID>
    <DOWNLINK_PRIORITY metadataLevel="Standard">NOMINAL</DOWNLINK_PRIORITY>
    <SENSING_TIME metadataLevel="Standard">{_format_time(seen.sensing_time)}</SENSING_TIME>
  </n1:General_Info>
  <n1:Geometric_Info>
    <Tile_Geocoding metadataLevel="Brief">
      <HORIZONTAL_CS_NAME>WGS84 / UTM zone {EPSG - 32600}N</HORIZONTAL_CS_NAME>
      <HORIZONTAL_CS_CODE>EPSG:{EPSG}</HORIZONTAL_CS_CODE>
{sizes}
{places}
    </Tile_Geocoding>
    <Tile_Angles metadataLevel="Standard">
      <Mean_Sun_Angle>
        <ZENITH_ANGLE unit="deg">{zenith:.6f}</ZENITH_ANGLE>
        <AZIMUTH_ANGLE unit="deg">{azimuth:.6f}</AZIMUTH_ANGLE>
      </Mean_Sun_Angle>
    </Tile_Angles>
  </n1:Geometric_Info>
  <n1:Quality_Indicators_Info metadataLevel="Standard">
    <Image_Content_QI>
      <CLOUDY_PIXEL_PERCENTAGE>{scene.cloud_cover:.6f}</CLOUDY_PIXEL_PERCENTAGE>
{quality}
    </Image_Content_QI>
  </n1:Quality_Indicators_Info>
</n1:Level-2A_Tile_ID>
"""


def _size_xml(pixel_grid: Grid) -> str:
    return (
        f'      <Size resolution="{pixel_grid.resolution_m:.0f}">\n'
        f"        <NROWS>{pixel_grid.height}</NROWS>\n"
        f"        <NCOLS>{pixel_grid.width}</NCOLS>\n      </Size>"
    )


def _position_xml(pixel_grid: Grid) -> str:
    side = f"{pixel_grid.resolution_m:.0f}"
    return (
        f'      <Geoposition resolution="{side}">\n'
        f"        <ULX>{WEST_M}</ULX>\n        <ULY>{NORTH_M}</ULY>\n"
        f"        <XDIM>{side}</XDIM>\n        <YDIM>-{side}</YDIM>\n      </Geoposition>"
    )


def _datastrip_xml(acquisition: Acquisition) -> str:
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-2A_DataStrip_ID xmlns:n1="{_SCHEMA}/S2_PDI_Level-2A_Datastrip_Metadata.xsd">
  <n1:General_Info>
    <Datatake_Info datatakeIdentifier="{_datatake_id(acquisition)}">
      <SPACECRAFT_NAME>Sentinel-2{acquisition.platform[2]}</SPACECRAFT_NAME>
      <SENSING_ORBIT_NUMBER>{acquisition.relative_orbit}</SENSING_ORBIT_NUMBER>
    </Datatake_Info>
  </n1:General_Info>
</n1:Level-2A_DataStrip_ID>
"""


def _manifest_xml(product: Path) -> str:
    objects = "\n".join(
        _data_object_xml(path, str(path.relative_to(product)))
        for path in sorted(product.rglob("*"))
        if path.is_file()
    )
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<xfdu:XFDU xmlns:xfdu="urn:ccsds:schema:xfdu:1"
           version="esa/safe/sentinel/1.1/sentinel-2/msi/archive_l2a_user_product">
  <dataObjectSection>
{objects}
  </dataObjectSection>
</xfdu:XFDU>
"""


def _data_object_xml(path: Path, name: str) -> str:
    kind = "text/xml" if path.suffix == ".xml" else "application/octet-stream"
    content = path.read_bytes()
    return (
        f'    <dataObject ID="{path.stem}">\n      <byteStream mimeType="{kind}" size="{len(content)}">\n'
        f'        <fileLocation href="./{name}" locatorType="URL"/>\n'
        f'        <checksum checksumName="SHA3-256">{sha3_256(content).hexdigest()}</checksum>\n'
        f"      </byteStream>\n    </dataObject>"
    )


def _pdi_id(acquisition: Acquisition, kind: str) -> str:
    middle = (
        f"S{_format_compact(acquisition.sensing_time)}"
        if kind == "DS"
        else f"A{acquisition.absolute_orbit:06d}_T{TILE}"
    )
    generated, baseline = _format_compact(acquisition.generated), acquisition.baseline
    return (
        f"{acquisition.platform}_OPER_MSI_L2A_{kind}_2APS_{generated}_{middle}_N{baseline[:2]}.{baseline[2:]}"
    )


def _datatake_id(acquisition: Acquisition) -> str:
    datatake = _format_compact(acquisition.datatake)
    return f"G{acquisition.platform}_{datatake}_{acquisition.absolute_orbit:06d}"


def _format_compact(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%S}"


def _format_time(moment: datetime) -> str:
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
