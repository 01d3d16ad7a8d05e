import importlib.util

import datasets
import pytest
from datasets import Dataset, DatasetDict

from tuneoff.data.reading import read_rows
from tuneoff.errors import DataError


def take_all(rows):
    return [(row["source"], row["target"]) for row in rows.take(range(rows.count))]


@pytest.fixture
def table(rows):
    return lambda start, stop: Dataset.from_list(rows(start, stop))


@pytest.fixture
def hub_folder(tmp_path, table, write_jsonl, rows):
    """A folder as the hub would hold it: a card that names the files of each config and split."""
    folder = tmp_path / "hub"
    folder.mkdir()
    table(0, 4).to_parquet(folder / "part.parquet")
    write_jsonl("hub/held-out.jsonl", rows(4, 6))
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: short\n  data_files:\n  - {split: train, path: part.parquet}\n---\n# Rows\n",
    )
    return folder


def test_a_local_folder_with_a_data_card_is_read_like_the_hub(hub_folder, options):
    splits = read_rows(options(source="hub", path=str(hub_folder), splits={"validation": None, "test": None}))
    assert take_all(splits["train"])[0] == ("text 0", "answer 0")


def test_each_split_may_have_another_name(tmp_path, write_jsonl, rows, options):
    (tmp_path / "hub").mkdir()
    for name, (start, stop) in {"fit": (0, 3), "check": (3, 5)}.items():
        write_jsonl(f"hub/{name}.jsonl", rows(start, stop))
    (tmp_path / "hub" / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n"
        "  - {split: fit, path: fit.jsonl}\n  - {split: check, path: check.jsonl}\n---\n"
    )
    names = {"train": "fit", "validation": None, "test": "check"}
    splits = read_rows(options(source="hub", path=str(tmp_path / "hub"), splits=names))
    assert {split: take_all(rows)[0][0] for split, rows in splits.items()} == {"train": "text 0", "test": "text 3"}


def test_an_unknown_config_is_refused_with_the_known_ones(hub_folder, options):
    with pytest.raises(DataError, match=r"'long' not found\. Available: \['short'\]"):
        read_rows(options(source="hub", path=str(hub_folder), config="long"))


def test_the_error_for_a_missing_split_says_how_to_take_it_out_of_train(hub_folder, options):
    with pytest.raises(DataError, match=r"no split 'validation'.* Available: train.* splits: \{validation: null\}"):
        read_rows(options(source="hub", path=str(hub_folder)))


def test_a_missing_folder_is_not_looked_up_on_the_hub(options):
    with pytest.raises(DataError, match=r"\./nowhere is not a folder"):
        read_rows(options(source="hub", path="./nowhere"))


def test_the_error_for_an_unreachable_hub_offers_three_cures(options, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"'some/where' could not be reached .* cache.* HF_HUB_OFFLINE=1 .* local file"):
        read_rows(options(source="hub", path="some/where"))


def test_progress_bars_are_enabled_again_after_reading(hub_folder, options):
    shown = not datasets.are_progress_bars_disabled()
    read_rows(options(source="hub", path=str(hub_folder), splits={"validation": None, "test": None}))
    assert shown is not datasets.are_progress_bars_disabled()


def test_saved_splits_are_found_by_name(tmp_path, table, options):
    DatasetDict(train=table(0, 3), validation=table(3, 4), test=table(4, 5)).save_to_disk(tmp_path / "saved")
    splits = read_rows(options(source="saved", path=str(tmp_path / "saved")))
    assert {split: rows.count for split, rows in splits.items()} == {"train": 3, "validation": 1, "test": 1}


def test_a_single_saved_dataset_is_the_train_split(tmp_path, table, options):
    table(0, 3).save_to_disk(tmp_path / "saved")
    assert list(read_rows(options(source="saved", path=str(tmp_path / "saved")))) == ["train"]


def test_a_folder_that_was_not_saved_by_datasets_is_named(tmp_path, options):
    with pytest.raises(DataError, match=r"cannot be read: .*neither a `Dataset` directory nor"):
        read_rows(options(source="saved", path=str(tmp_path)))


def test_each_split_may_have_a_file(write_jsonl, rows, options):
    files = {"train": write_jsonl("a.jsonl", rows(0, 3)), "test": write_jsonl("b.jsonl", rows(3, 5))}
    splits = read_rows(options(source="jsonl", files=files))
    assert {split: rows.count for split, rows in splits.items()} == {"train": 3, "test": 2}


def test_parquet_is_read_from_a_path_with_brackets(tmp_path, table, options):
    table(0, 2).to_parquet(tmp_path / "a[1].parquet")
    splits = read_rows(options(source="parquet", files=str(tmp_path / "a[1].parquet")))
    assert take_all(splits["train"]) == [("text 0", "answer 0"), ("text 1", "answer 1")]


def test_a_broken_parquet_file_is_named(write, options):
    with pytest.raises(DataError, match=r"a\.parquet is plain text, not what"):
        read_rows(options(source="parquet", files=write("a.parquet", b"no parquet at all")))


def test_a_file_with_only_a_header_is_refused(write, options):
    with pytest.raises(DataError, match=r"a\.csv has no rows"):
        read_rows(options(source="csv", files=write("a.csv", "source,target\n")))


def test_aclsum_has_100_50_and_100_papers(options):
    splits = read_rows(options(source="aclsum", aspect="outcome"))
    assert {split: rows.count for split, rows in splits.items()} == {"train": 100, "validation": 50, "test": 100}


def test_aclsum_pairs_an_abstract_with_the_summary_of_one_aspect(options):
    source, target = take_all(read_rows(options(source="aclsum", aspect="outcome"))["test"])[0]
    assert (source[:20], target[:28]) == ("Handling terminology", "The proposed analogy solvers")


def test_without_aclsum_the_error_says_how_to_get_it(options, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'tuneoff\[demo\]'"):
        read_rows(options(source="aclsum"))


def test_usual_names_of_splits_are_recognized_with_a_note(tmp_path, table, options):
    DatasetDict(training=table(0, 3), dev=table(3, 4), test=table(4, 5)).save_to_disk(tmp_path / "saved")
    splits = read_rows(options(source="saved", path=str(tmp_path / "saved")))
    assert {split: rows.count for split, rows in splits.items()} == {"train": 3, "validation": 1, "test": 1}
    assert splits["validation"].notes == (f"Split 'dev' of {tmp_path / 'saved'} is validation.",)


def test_a_split_that_the_recipe_names_is_not_guessed(tmp_path, table, options):
    DatasetDict(train=table(0, 3), dev=table(3, 4), test=table(4, 5)).save_to_disk(tmp_path / "saved")
    with pytest.raises(DataError, match=r"no split 'validation' for validation\..* Available: train, dev, test"):
        read_rows(options(source="saved", path=str(tmp_path / "saved"), splits={"validation": "validation"}))


def test_a_saved_folder_is_recognized_among_files(tmp_path, table, options):
    DatasetDict(train=table(0, 3), validation=table(3, 4), test=table(4, 5)).save_to_disk(tmp_path / "saved")
    assert list(read_rows(options(source="files", files=str(tmp_path / "saved")))) == ["train", "validation", "test"]


def test_arrow_and_feather_files_are_read_whatever_their_names(tmp_path, table, options):
    import pyarrow.feather

    arrow = table(0, 2).data.table
    pyarrow.feather.write_feather(arrow, tmp_path / "packed.csv")  # with LZ4
    with pyarrow.OSFile(str(tmp_path / "stream.bin"), "wb") as file, pyarrow.ipc.new_stream(file, arrow.schema) as out:
        out.write_table(arrow)
    for name in ("packed.csv", "stream.bin"):
        assert take_all(read_rows(options(source="files", files=str(tmp_path / name)))["train"])[0][0] == "text 0"


def test_a_packed_parquet_file_leaves_nothing_in_the_cache(tmp_path, table, options):
    import gzip

    table(0, 2).to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.gz").write_bytes(gzip.compress((tmp_path / "a.parquet").read_bytes()))
    rows = read_rows(options(source="files", files=str(tmp_path / "a.gz")))["train"]
    assert take_all(rows) == [("text 0", "answer 0"), ("text 1", "answer 1")]
    assert not list((tmp_path / "tuneoff-cache").iterdir())


def test_a_large_text_file_does_not_stay_in_memory(write, options, monkeypatch):
    from tuneoff.data.reading import row_store

    monkeypatch.setattr(row_store, "MEMORY_BYTES", 1000)
    rows = read_rows(options(source="files", files=write("a.csv", "source,target\n" + "a,b\n" * 5000 + "c,d\n")))[
        "train"
    ]
    assert [row["source"] for row in rows.take([5000, 0, 4999])] == ["c", "a", "a"]
