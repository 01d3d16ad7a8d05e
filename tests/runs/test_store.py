"""A store is used only if it creates exclusively, says what is wrong, and bears failures for a while."""

import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem
from s3fs import S3FileSystem

from tests.s3_server import KEYS, S3Server
from tuneoff.errors import RunError
from tuneoff.runs import store as stores
from tuneoff.runs.share_url import get_scratch_folder, is_url, read_url
from tuneoff.runs.store import Store, StoreError, open_store, require_store


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "START_SECONDS", 0.5)
    monkeypatch.setattr(stores, "RETRY_SECONDS", 0.5)
    monkeypatch.setattr(stores, "WAIT_SECONDS", (0.05, 0.1))


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        request.getfixturevalue("s3")
    return open_store("s3://tests/mine" if request.param == "s3" else f"file://{tmp_path}/mine")


def test_objects_are_put_got_listed_and_removed(store: Store, tmp_path: Path) -> None:
    assert (store.read("a/1"), store.list_names("a"), store.list_names("")) == (None, [], [])
    store.write("a/1", b"one")
    store.write("a/1", b"two")
    store.write("a/2", b"")
    (tmp_path / "file").write_bytes(bytes(range(256)) * 4096)
    store.upload(tmp_path / "file", "b/large")
    assert (store.read("a/1"), store.list_names("a"), store.list_names("")) == (b"two", ["1", "2"], ["a", "b"])
    assert store.download("b/large", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()
    assert not store.download("b/none", tmp_path / "none")
    store.remove("a/2")
    store.remove("a/2")
    assert store.list_names("a") == ["1"]
    store.remove_folder("a")
    store.remove_folder("none")
    assert store.list_names("") == ["b"]


def test_what_another_process_has_put_is_seen_at_once(store: Store, tmp_path: Path) -> None:
    other = open_store(store.url)
    assert store.list_names("a") == []
    other.write("a/1", b"one")
    assert store.list_names("a") == ["1"]
    other.remove("a/1")
    assert (store.list_names("a"), store.read("a/1")) == ([], None)


def test_an_object_is_created_once(store: Store) -> None:
    assert store.create("a", b"mine")
    assert not store.create("a", b"another's")
    assert store.read("a") == b"mine"


def test_a_creation_whose_answer_was_lost_is_known_as_ours(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    files = store._files
    opened = files.open

    def open_twice(path: str, mode: str) -> Any:
        if mode == "xb":
            monkeypatch.setattr(files, "open", opened)
            with opened(path, mode) as file:
                file.write(b"mine")
            raise TimeoutError("the answer was lost")
        return opened(path, mode)

    monkeypatch.setattr(files, "open", open_twice)
    assert store.create("a", b"mine")


def test_a_store_that_creates_exclusively_is_taken_and_the_trial_leaves_nothing(store: Store) -> None:
    store.require_exclusive()
    assert store.list_names(stores.PROBES) == []


def test_a_server_that_ignores_conditions_is_refused(s3: S3Server) -> None:
    s3.ignores_conditions = True
    with pytest.raises(StoreError, match=r"does not create objects exclusively: 8 of 8 .*two workers could own"):
        require_store("s3://tests/mine")


def test_a_look_followed_by_a_write_is_refused(tmp_path: Path) -> None:
    """As fsspec itself has it for file systems that know no better: two may both find nothing there."""

    class LookingFiles(LocalFileSystem):
        def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
            if mode == "xb":
                if self.exists(path):
                    raise FileExistsError(path)
                time.sleep(0.1)
                mode = "wb"
            return super().open(path, mode, **options)

    with pytest.raises(StoreError, match="does not create objects exclusively"):
        Store(LookingFiles(auto_mkdir=True), str(tmp_path), "looking://").require_exclusive()


def test_a_store_that_fails_for_a_moment_is_borne(s3: S3Server) -> None:
    store = open_store("s3://tests/mine")
    store.retry_seconds = 20.0
    s3.is_down = True
    timer = threading.Timer(1.0, lambda: setattr(s3, "is_down", False))
    timer.start()
    store.write("a", b"one")
    assert store.read("a") == b"one"
    timer.join()


def test_a_store_that_goes_on_failing_ends_with_its_reason_and_no_secret(s3: S3Server) -> None:
    store = open_store("s3://tests/mine")
    s3.is_down = True
    with pytest.raises(StoreError, match=r"Cannot write s3://tests/mine/a \(.*\)\. Check the address") as told:
        store.write("a", b"one")
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in str(told.value)


def test_a_bucket_that_is_not_there_is_named(s3: S3Server) -> None:
    with pytest.raises(StoreError, match=r"Cannot create s3://other/mine/.*Create the bucket first, or correct"):
        require_store("s3://other/mine")


def test_without_permission_the_message_says_which_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError("AccessDenied")

    store = open_store(f"file://{tmp_path}/mine")
    monkeypatch.setattr(store._files, "open", refuse)
    with pytest.raises(StoreError, match="needs permission to read, write, list and remove"):
        store.create("a", b"")


def test_an_address_that_does_not_answer_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(S3FileSystem, "_cache", {})
    with pytest.raises(StoreError, match=r"Check the address, the key in the environment, and the network"):
        require_store("s3://tests/mine")


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match=r"s3://tests/mine needs a package .*pip install 's3fs"):
        open_store("s3://tests/mine")


def test_an_unknown_kind_of_store_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(StoreError, match=r"s4://tests/mine cannot be opened: .*There are s3://, gs://"):
        open_store("s4://tests/mine")


@pytest.mark.parametrize(
    "place", ["s3://bucket/mine", "file:///shared/mine", "gs://bucket/a/b", "abfs://c@account/mine"]
)
def test_a_url_is_told_from_a_path(place: str) -> None:
    assert is_url(place)
    assert read_url(f"{place}/") == place
    assert not is_url(f"./{place.replace('://', '/')}")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("/shared/mine", r"is not a URL\. Write one such as"),
        ("s3://key:hunter2secret@bucket/mine", r"The URL s3://bucket/mine was given with a password"),
        ("s3://bucket/mine?secret=hunter2secret", r"The URL s3://bucket/mine was given with a password"),
        ("s3://bucket/mine#hunter2secret", r"The URL s3://bucket/mine was given with a password"),
        ("simplecache::s3://bucket/mine", r"is not a URL"),
        ("memory://mine/a", "other machines do not see"),
        ("s3://bucket", r"names no place for this run\. Add a name, such as s3://bucket/mine"),
    ],
)
def test_a_url_that_does_not_fit_is_refused_without_its_secret(given: str, message: str) -> None:
    with pytest.raises(RunError, match=message) as told:
        read_url(given)
    assert "hunter2secret" not in str(told.value)


def test_each_url_has_a_scratch_folder_of_its_own() -> None:
    assert get_scratch_folder("s3://a/b") != get_scratch_folder("s3://a/c")
