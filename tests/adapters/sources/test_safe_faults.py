"""Metadata of SAFE products that is broken, hostile or incomplete."""

import pytest

from adapters.sources.safe_metadata_samples import IMAGE, PRODUCT, SOURCE, from_texts, metadata
from revisit.adapters.sources import safe, strict_xml
from revisit.errors import NotFoundError, PermanentError


@pytest.mark.parametrize(
    "image",
    [
        "../../../etc/passwd_B02_10m",
        "/etc/passwd_B02_10m",
        "GRANULE/../../x_B02_10m",
        "/vsicurl/http://127.0.0.1/x_B02_10m",
        "https://127.0.0.1/x_B02_10m",
        "GRANULE/x\\..\\y_B02_10m",
        "GRANULE/%2e%2e/x_B02_10m",
        "HTML/x_B02_10m",
        "GRANULE/a?x=/_B02_10m",
        "NETCDF:GRANULE/x_B02_10m",
        "&lt;VRTDataset&gt;/_B02_10m",
    ],
)
def test_an_image_outside_the_product_is_refused(image):
    with pytest.raises(PermanentError, match="outside the product"):
        safe.bands_of(PRODUCT, from_texts(MTD_MSIL2A__xml=metadata([IMAGE, image])))


BOMB = (
    '<!DOCTYPE lolz [<!ENTITY lol "lol">'
    + "".join(f'<!ENTITY lol{i} "{f"&lol{i - 1 if i > 1 else str()};" * 10}">' for i in range(1, 10))
    + "]><lolz>&lol9;</lolz>"
)
PAYLOADS = {
    "billion laughs": BOMB,
    "quadratic blow-up": f'<!DOCTYPE a [<!ENTITY a "{"x" * 50_000}">]><a>{"&a;" * 50_000}</a>',
    "external entity": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "external document type": '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/evil.dtd"><a/>',
    "parameter entity": '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:9/evil.dtd"> %x;]><a/>',
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_an_xml_bomb_is_refused(payload):
    with pytest.raises(PermanentError, match="document type or entities"):
        safe.bands_of(PRODUCT, from_texts(MTD_MSIL2A__xml=payload))


def test_deep_and_huge_and_broken_xml_is_refused():
    with pytest.raises(PermanentError, match="nested deeper than 64"):
        strict_xml.parse(b"<a>" * 100_000, "MTD.xml")
    assert strict_xml.parse(b"<a>" * 64 + b"</a>" * 64, "MTD.xml").tag == "a"
    with pytest.raises(PermanentError, match="more than 20,000,000"):
        strict_xml.parse(b"<a>" + b" " * 20_000_000 + b"</a>", "MTD.xml")
    for broken in (b"", b"<a>", b"not xml", b"\xff\xfe<", b'<?xml version="1.0" encoding="nonsense"?><a/>'):
        with pytest.raises(PermanentError, match="is not XML"):
            strict_xml.parse(broken, "MTD.xml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("10000</BOA", "0</BOA"), "not a number above 0"),
        (("10000</BOA", "nan</BOA"), "not a number above 0"),
        (("BOA_QUANTIFICATION_VALUE", "OTHER"), "states no quantification"),
        (("Level-2A", "Level-3A"), "neither L1C nor L2A"),
        (("T31UFS_N05.09", "TXXXXX"), None),
        (("51 4 51 5 50 5 50 4 51 4", "51 4 51 5 50 5 50 4 51 nowhere"), "not a list of numbers"),
        (("51 4 51 5 50 5 50 4 51 4", "951 4 51 5 50 5 50 4 951 4"), "not a closed ring"),
        (("2022-12-06T13:54:52.000Z", "yesterday"), "not an instant"),
        (("<Granule ", "<Other "), None),
    ],
)
def test_invalid_metadata_is_rejected_with_the_reason(change, message):
    text = metadata([IMAGE]).replace(*change)
    if change[0] == "<Granule ":
        text, message = text.replace("</Granule>", "</Other>"), "lists no granule"
    if message is None:
        assert safe.product_of(PRODUCT, from_texts(MTD_MSIL2A__xml=text), SOURCE).tile == "31UFS"
        return
    with pytest.raises(PermanentError, match=message):
        safe.product_of(PRODUCT, from_texts(MTD_MSIL2A__xml=text), SOURCE)


def test_offsets_that_leave_bands_out_are_refused():
    one = metadata([IMAGE], extra='<BOA_ADD_OFFSET band_id="1">-1000</BOA_ADD_OFFSET>')
    with pytest.raises(PermanentError, match="states offsets of B02, but none of B01, B03"):
        safe.bands_of(PRODUCT, from_texts(MTD_MSIL2A__xml=one))
    with pytest.raises(PermanentError, match="BOA_ADD_OFFSET of band_id '77'"):
        safe.bands_of(
            PRODUCT,
            from_texts(
                MTD_MSIL2A__xml=metadata([IMAGE], extra='<BOA_ADD_OFFSET band_id="77">-1000</BOA_ADD_OFFSET>')
            ),
        )


def test_offsets_are_assigned_by_the_band_ids_of_the_metadata():
    extra = "".join(f'<BOA_ADD_OFFSET band_id="{i}">{-1000 - i}</BOA_ADD_OFFSET>' for i in range(13))
    images = [IMAGE, IMAGE.replace("B02", "B08"), IMAGE.replace("B02_10m", "B8A_20m").replace("R10m", "R20m")]
    bands = safe.bands_of(PRODUCT, from_texts(MTD_MSIL2A__xml=metadata(images, extra=extra)))
    assert {name: round(file.offset, 4) for name, file in bands.items()} == {
        "B02": -0.1001,
        "B08": -0.1007,
        "B8A": -0.1008,
    }


def test_digits_of_another_script_are_not_a_number():
    odd = metadata(
        [IMAGE],
        extra='<Spectral_Information bandId="\u00b2" physicalBand="B2"/><Special_Values>'
        "<SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>\u00b2</SPECIAL_VALUE_INDEX></Special_Values>",
    )
    assert safe.bands_of(PRODUCT, from_texts(MTD_MSIL2A__xml=odd))["B02"].nodata == 0


def test_a_product_without_metadata_is_not_found():
    with pytest.raises(NotFoundError, match=r"holds no MTD_MSIL2A\.xml"):
        safe.bands_of(PRODUCT, from_texts())
