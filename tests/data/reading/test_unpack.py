"""Packed files are recognized by their content and unpacked within limits."""

import bz2
import gzip
import io
import lzma
import os
import socket
import zipfile

import pytest
import zstandard

from tuneoff.data.reading import read_rows, unpack
from tuneoff.errors import DataError

CONTENT = b'{"source": "a", "target": "b"}\n'
ROW = {"source": "a", "target": "b"}


def make_zip(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return file.getvalue()


PACKED = {
    "gz": gzip.compress(CONTENT, mtime=0),
    "bz2": bz2.compress(CONTENT),
    "xz": lzma.compress(CONTENT),
    "zst": zstandard.compress(CONTENT),
    "zip": make_zip(a__jsonl=CONTENT),
}


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("name", ["a.jsonl.{}", "a.{}", "A.JSONL.{}", "a.jsonl", "a"])
def test_a_packed_file_is_unpacked_whatever_its_name(read_dicts, kind, name):
    assert read_dicts(name.format(kind.upper()), PACKED[kind]) == [ROW]


def test_the_members_of_an_archive_follow_one_another(read_dicts):
    content = make_zip(a__jsonl=CONTENT, b__jsonl=CONTENT.replace(b"a", b"x", 1), __MACOSX__x=b"junk")
    assert len(read_dicts("a.zip", content)) == 2


def test_the_names_of_members_divide_an_archive_into_splits(write, options):
    path = write("a.zip", make_zip(train__jsonl=CONTENT * 3, dev__jsonl=CONTENT, test__jsonl=CONTENT * 2))
    splits = read_rows(options(source="files", files=path))
    assert {name: rows.count for name, rows in splits.items()} == {"train": 3, "validation": 1, "test": 2}


def test_the_readme_of_an_archive_is_no_data(write, options):
    path = write("a.zip", make_zip(README__md=b"# A data set", train__jsonl=CONTENT, test__jsonl=CONTENT))
    assert set(read_rows(options(source="files", files=path))) == {"train", "test"}


def test_a_packed_file_in_an_archive_is_unpacked(read_dicts):
    assert read_dicts("a.zip", make_zip(a__jsonl__gz=PACKED["gz"])) == [ROW]


def test_several_gzip_streams_in_one_file_are_all_read(read_dicts):
    assert len(read_dicts("a.gz", PACKED["gz"] * 2)) == 2


def test_several_zstandard_frames_in_one_file_are_all_read(read_dicts):
    assert len(read_dicts("a.zst", PACKED["zst"] * 2)) == 2


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst", "zip"])
def test_a_cut_file_is_named(read_dicts, kind):
    with pytest.raises(DataError, match=r"a\.jsonl.* (complete|damaged)"):
        read_dicts("a.jsonl", PACKED[kind][:-6])


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst", "zip"])
def test_what_unpacks_to_far_more_than_its_size_is_refused(read_dicts, monkeypatch, kind):
    monkeypatch.setattr(unpack, "FREE_BYTES", 10**6)
    monkeypatch.setattr(unpack, "BLOCK_BYTES", 10**5)
    bomb = bytes(20_000_000)
    packed = {
        "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstandard.compress,
        "zip": lambda content: make_zip(a=content),
    }[kind](bomb)  # fmt: skip
    with pytest.raises(DataError, match=r"unpacks to more than .* GiB, the limit"):
        read_dicts("a.jsonl", packed)


def test_nothing_unpacked_is_left_behind(read_dicts, tmp_path):
    read_dicts("a.jsonl.gz", PACKED["gz"])
    assert not list((tmp_path / "tuneoff-cache").iterdir())


def test_an_encrypted_archive_is_named(read_dicts):
    content = bytearray(make_zip(a__jsonl=CONTENT))
    start = content.index(b"PK\x01\x02")
    content[start + 8] |= 1
    with pytest.raises(DataError, match=r"a\.zip is encrypted"):
        read_dicts("a.zip", bytes(content))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n \n", "has no rows|is empty"),
        ("a.csv.gz", gzip.compress(b"", mtime=0), "is empty once unpacked"),
        ("a.zip", make_zip(), "zip archive without a file"),
        ("a.csv", b"\x00" * 500, "is not text"),
        ("a.jsonl", b"\x80\x04\x95\x10", "is a pickled object. Pickled files can run code"),
        ("a.pt", make_zip(data__pkl=b"x"), "file of PyTorch. Pickled"),
        ("a.pdf", b"%PDF-1.7\n%...", "is a PDF document. Export its text"),
        ("a.csv", b"\x89PNG\r\n\x1a\n" + b"\x00" * 50, "is a PNG picture"),
        ("a.json", b"<!DOCTYPE html><html>404</html>", "is an HTML page, perhaps the error page of a download"),
        ("a.db", b"SQLite format 3\x00" + b"\x00" * 50, "is an SQLite database. Export its rows"),
        ("a.parquet", b"version https://git-lfs.github.com/spec/v1\noid x\n", "pointer of Git LFS.* git lfs pull"),
        ("a.docx", make_zip(**{"[Content_Types]__xml": b"x", "word/a__xml": b"x"}), "is a document, not a table"),
        ("a.tar", b"\x00" * 257 + b"ustar" + b"\x00" * 300, "is a tar archive"),
        ("a.parquet", b"PAR1" + b"\x00" * 60, "cannot be read"),
        ("a.arrow", b"ARROW1\x00\x00" + b"\x00" * 60, "cannot be read"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600, "cannot be read"),
        ("a.xlsx", b"PK\x03\x04" + b"junk" * 50, "damaged zip archive or workbook"),
    ],
)  # fmt: skip
def test_what_is_no_data_is_named_for_what_it_is(read_dicts, name, content, message):
    with pytest.raises(DataError, match=message):
        read_dicts(name, content)


def test_random_bytes_are_refused(read_dicts):
    import random

    for seed in range(20):
        with pytest.raises(DataError):
            read_dicts("a.bin", random.Random(seed).randbytes(3000))


def refuse(options, path, message):
    from tuneoff.data.reading import read_rows

    with pytest.raises(DataError, match=message):
        read_rows(options(source="files", files=str(path)))


@pytest.mark.timeout(20)
def test_a_named_pipe_is_refused_and_does_not_hang(tmp_path, options):
    os.mkfifo(tmp_path / "pipe.csv")
    refuse(options, tmp_path / "pipe.csv", "is a named pipe, not a file")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/stdin"])
def test_a_device_is_refused_and_does_not_hang(options, device):
    refuse(options, device, "is a (device|named pipe|socket), not a file|is empty")


def test_a_socket_is_refused(tmp_path, options, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.csv")
        refuse(options, "s.csv", "is a socket, not a file")


def test_a_missing_file_is_refused(tmp_path, options):
    refuse(options, tmp_path / "gone.csv", r"gone\.csv does not exist. Relative paths start from")


def test_a_link_that_leads_nowhere_is_refused(tmp_path, options):
    (tmp_path / "link.csv").symlink_to(tmp_path / "gone.csv")
    refuse(options, tmp_path / "link.csv", r"link\.csv does not exist")
