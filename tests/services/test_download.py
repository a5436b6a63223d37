"""Downloads of products from interrupted servers, folders and lying servers, checked by real checksums."""

import hashlib
import json
import re
import shutil
import threading
from base64 import b64encode
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from data import shared_data
from products import add_to_catalog, product
from revisit.adapters.local.backend import local_backend
from revisit.adapters.sources import open_source, safe_files
from revisit.adapters.sources.download import download_file
from revisit.cli.app import app
from revisit.domain.bands import SourceFile
from revisit.errors import InvalidInputError, NotFoundError, PermanentError, TransientError
from revisit.services.products.download import download_product, get_product, list_files

SAFE = "cdse_31UFS/S2B_MSIL2A_20220125T105229_N0400_R051_T31UFS_20220125T151458.SAFE"
ID = Path(SAFE).stem


class Server:
    """Serves files of a folder with ranges and cuts off a given number of responses after some bytes."""

    def __init__(self, root: Path) -> None:
        self.root, self.cuts, self.after, self.asked, self.hashes, self.etag = root, 0, 0, [], True, True
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_): ...

            def do_GET(self):
                server.answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        file = self.root / handler.path.lstrip("/")
        self.asked.append((file.name, handler.headers.get("Range")))
        if not file.is_file():
            handler.send_response(404)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        content = file.read_bytes()
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"' if self.etag else None
        first = 0
        if (found := re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))) and handler.headers.get(
            "If-Range", etag
        ) == etag:
            first = int(found[1])
        handler.send_response(416 if first >= len(content) else 206 if first else 200)
        if first:
            handler.send_header(
                "Content-Range",
                f"bytes */{len(content)}"
                if first >= len(content)
                else f"bytes {first}-{len(content) - 1}/{len(content)}",
            )
        handler.send_header("Content-Length", str(max(len(content) - first, 0)))
        if etag:
            handler.send_header("ETag", etag)
        if self.hashes:
            md5 = b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
            handler.send_header("x-goog-hash", f"crc32c=AAAAAA==,md5={md5}")
        handler.end_headers()
        if self.cuts and len(content) - first > self.after and file.name != "manifest.safe":
            self.cuts -= 1
            handler.wfile.write(content[first : first + self.after])
            handler.wfile.flush()
            handler.close_connection = True
            handler.connection.close()
            return
        handler.wfile.write(content[first:])

    def stop(self) -> None:
        self._server.shutdown()


@pytest.fixture
def server(tmp_path):
    root = tmp_path / "served"
    root.mkdir()
    made = Server(root)
    yield made
    made.stop()


def at_once(_: float) -> None:
    """No waiting in tests."""


def test_what_is_cut_off_in_the_middle_is_gone_on_with(server, tmp_path):
    content = bytes(range(256)) * 4000
    (server.root / "B02.jp2").write_bytes(content)
    server.cuts, server.after = 3, 300_000
    counted = []
    file = SourceFile(
        "B02.jp2",
        f"{server.url}/B02.jp2",
        len(content),
        f"md5:{hashlib.md5(content, usedforsecurity=False).hexdigest()}",
    )
    assert download_file(file, tmp_path / "to" / "B02.jp2", counted.append, at_once)
    assert (tmp_path / "to" / "B02.jp2").read_bytes() == content
    assert server.asked == [
        ("B02.jp2", None),
        ("B02.jp2", "bytes=300000-"),
        ("B02.jp2", "bytes=600000-"),
        ("B02.jp2", "bytes=900000-"),
    ]
    assert sum(counted) == len(content)
    assert [one.name for one in (tmp_path / "to").iterdir()] == ["B02.jp2"]
    assert download_file(file, tmp_path / "to" / "B02.jp2", sleep=at_once) is False
    assert len(server.asked) == 4, "a complete file is not requested again"


def test_a_second_run_resumes_the_first(server, tmp_path):
    content = b"0123456789" * 50_000
    (server.root / "x").write_bytes(content)
    file, target = SourceFile("x", f"{server.url}/x"), tmp_path / "x"
    server.cuts, server.after = 7, 0
    with pytest.raises(TransientError, match="run the download again to resume"):
        download_file(file, target, sleep=at_once)
    server.cuts, server.after = 1, 200_000
    assert download_file(file, target, sleep=at_once)
    assert target.read_bytes() == content
    assert server.asked[-1] == ("x", "bytes=200000-")
    part = target.with_name("x.part")
    shutil.copy(target, part)
    target.with_name("x.part.json").write_text(
        json.dumps({"version": f'"{hashlib.sha256(content).hexdigest()[:16]}"'})
    )
    target.unlink()
    assert download_file(file, target, sleep=at_once), "a part that is whole is only given its name"
    assert target.read_bytes() == content


def test_a_file_that_changed_meanwhile_is_downloaded_from_the_start(server, tmp_path):
    (server.root / "x").write_bytes(b"old " * 100_000)
    file, target = SourceFile("x", f"{server.url}/x"), tmp_path / "x"
    server.cuts, server.after = 1, 1000

    def change(_: float) -> None:
        (server.root / "x").write_bytes(b"new!" * 100_000)

    assert download_file(file, target, sleep=change)
    assert target.read_bytes() == b"new!" * 100_000


def test_a_file_without_an_etag_is_downloaded_from_the_start(server, tmp_path):
    (server.root / "x").write_bytes(b"abcd" * 100_000)
    server.cuts, server.after, server.etag = 1, 1000, False
    assert download_file(SourceFile("x", f"{server.url}/x"), tmp_path / "x", sleep=at_once)
    assert (tmp_path / "x").read_bytes() == b"abcd" * 100_000
    assert server.asked == [("x", None), ("x", None)]


@pytest.mark.parametrize(
    ("size", "checksum", "sentence"),
    [
        (7, None, "its source says 7"),
        (None, "sha3-256:" + "0" * 64, "checksum"),
        (None, "md5:" + "0" * 32, "checksum"),
    ],
)
def test_what_is_not_what_the_source_says_is_refused_and_removed(server, tmp_path, size, checksum, sentence):
    (server.root / "x").write_bytes(b"12345")
    with pytest.raises(PermanentError, match=sentence):
        download_file(SourceFile("x", f"{server.url}/x", size, checksum), tmp_path / "x", sleep=at_once)
    assert not (tmp_path / "x").exists()


def test_a_busy_server_is_tried_six_times_with_growing_delays(server, tmp_path):
    def busy(handler):
        server.asked.append(handler.path)
        handler.send_response(503)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.answer, waited = busy, []
    with pytest.raises(TransientError, match="503"):
        download_file(SourceFile("x", f"{server.url}/x"), tmp_path / "x", sleep=waited.append)
    assert waited == [1, 2, 4, 8, 16] and len(server.asked) == 6


def test_what_googles_storage_states_is_checked(server, tmp_path):
    (server.root / "x").write_bytes(b"12345")
    real, server.hashes = server.answer, True

    def lying(handler):
        (server.root / "x").write_bytes(b"12345")
        handler.send_response(200)
        for name, value in {
            "Content-Length": "5",
            "x-goog-hash": f"md5={b64encode(bytes(16)).decode()}",
        }.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(b"12345")

    server.answer = lying
    with pytest.raises(PermanentError, match="checksum"):
        download_file(SourceFile("x", f"{server.url}/x"), tmp_path / "x", sleep=at_once)
    server.answer = real
    assert download_file(SourceFile("x", f"{server.url}/x"), tmp_path / "x", sleep=at_once)


def test_the_manifests_of_real_products_name_their_files_and_what_is_there_has_the_checksums_they_state():
    counted = checked = wrong = 0
    for manifest in sorted(shared_data("safe", "cdse_31UFS").glob("*/manifest.safe")):
        folder = manifest.parent
        stated = {
            file.path: file
            for file in safe_files.list_manifest(
                "https://example.org/x", lambda path, folder=folder: (folder / path).read_bytes()
            )
        }
        counted += len(stated)
        bands = {file.band for file in stated.values()}
        assert {"B02", "B8A", "B12"} <= bands
        for there in safe_files.list_folder(folder, lambda path: path):
            if there.checksum:
                name, _, digits = there.checksum.partition(":")
                content = Path(there.href).read_bytes()
                assert (
                    hashlib.new(name.replace("-", "_"), content, usedforsecurity=False).hexdigest() == digits
                )
                assert there.size == len(content)
                wrong += stated[there.path].size != len(content)
                checked += 1
    assert (counted > 1000, checked >= 13) == (True, True)
    assert wrong, "sizes are not to be relied on where a checksum is stated"


def test_a_manifest_that_leads_elsewhere_is_refused():
    for href in (
        "../../etc/passwd",
        "/etc/passwd",
        "a/../../b",
        "https://example.org/x",
        "a\\b",
        ".hidden/x",
    ):
        manifest = (
            f'<x><byteStream size="1"><fileLocation href="{href}"/>'
            f'<checksum checksumName="MD5">{"0" * 32}</checksum></byteStream></x>'
        ).encode()
        with pytest.raises(PermanentError, match="not a path in the product"):
            safe_files.list_manifest("https://example.org/x", lambda _, manifest=manifest: manifest)


def indexed(server: Server, backend, name: str = ID):
    """A real product as Google's index would tell of it, served from here."""
    shutil.copytree(
        shared_data("safe", *SAFE.split("/")), server.root / "tiles" / "31" / "U" / "FS" / f"{name}.SAFE"
    )
    source = f"google-index:{server.url}/index.csv.gz"
    made = product(25, tile="31UFS", id=name, source=source, href=f"{server.url}/tiles/31/U/FS/{name}.SAFE")
    add_to_catalog(backend, made)
    return made


def test_the_files_of_a_real_product_are_downloaded_and_missing_ones_reported(server, tmp_path):
    backend = local_backend(tmp_path / "data")
    made = indexed(server, backend)
    server.cuts, server.after = 2, 20_000
    found = []
    came = download_product(
        backend,
        get_product(backend, made.id),
        tmp_path / "to",
        download_file,
        on_progress=lambda file, more: found.append((file.path, more)),
    )
    original = shared_data("safe", *SAFE.split("/"))
    there = {str(path.relative_to(original)) for path in original.rglob("*") if path.is_file()}
    assert {str(path.relative_to(came.folder)) for path in came.folder.rglob("*") if path.is_file()} == there
    assert all((came.folder / path).read_bytes() == (original / path).read_bytes() for path in there)
    assert all((came.folder / name).is_dir() for name in ("AUX_DATA", "HTML", "rep_info"))
    assert (came.files, came.downloaded, len(came.missing)) == (87, len(there), 87 - len(there))
    assert sum(more for _, more in found) == sum((original / path).stat().st_size for path in there)
    with pytest.raises(NotFoundError, match="B02_10m"):
        download_product(backend, made, tmp_path / "to", download_file, ["B02"])


def test_bands_are_chosen_in_their_own_resolution(server, tmp_path):
    backend = local_backend(tmp_path / "data")
    made = indexed(server, backend)
    chosen = list_files(backend, made, ["B02", "B8A", "SCL", "B02"])
    assert [file.path.rpartition("/")[2] for file in chosen] == [
        "T31UFS_20220125T105229_B02_10m.jp2",
        "T31UFS_20220125T105229_B8A_20m.jp2",
        "T31UFS_20220125T105229_SCL_20m.jp2",
    ]
    with pytest.raises(InvalidInputError, match=r"has no B10; it has B01, B02"):
        list_files(backend, made, ["B10"])


def test_the_command_copies_from_a_folder_and_goes_on_where_it_was_cut_off(tmp_path):
    archive = tmp_path / "archive"
    real = shared_data("safe", "S2A_MSIL1C_20180101T105441_N0206_R051_T31TDH_20180101T124911.SAFE")
    shutil.copytree(real, archive / real.name)
    for name in ("AUX_DATA", "rep_info", "GRANULE/L1C_T31TDH_X/QI_DATA"):
        (archive / real.name / name).mkdir(parents=True, exist_ok=True)
    (archive / real.name / "HTML").mkdir(exist_ok=True)
    (archive / real.name / "HTML" / "unnamed.css").touch()
    source = open_source(f"folder:{archive}")
    found = source.list_products({}, lambda ids: np.ones(len(ids), bool), datetime.now(UTC)).batches
    backend = local_backend(tmp_path / "data")
    for table in found:
        backend.catalog().add(table)
    call = ["--data", str(tmp_path / "data"), "download", real.stem, "--to", str(tmp_path / "to")]
    first = CliRunner().invoke(app, [*call, "--json"])
    assert first.exit_code == 0, first.output
    copied = archive / real.name
    everything = sorted(str(path.relative_to(copied)) for path in copied.rglob("*"))
    there = [path for path in everything if (copied / path).is_file()]
    assert json.loads(first.stdout)["products"][0] == {
        "product": real.stem,
        "folder": str(tmp_path / "to" / real.name),
        "files": len(there),
        "brought": len(there),
        "missing": [],
    }
    brought = tmp_path / "to" / real.name
    assert sorted(str(path.relative_to(brought)) for path in brought.rglob("*")) == everything
    again = CliRunner().invoke(app, [*call, "--bands", "B01", "--json"])
    assert json.loads(again.stdout)["products"][0]["brought"] == 0
    refused = CliRunner().invoke(app, ["--data", str(tmp_path / "data"), "download", "nothing"])
    assert isinstance(refused.exception, NotFoundError) or refused.exit_code == 2
