import pyarrow.parquet as pq
import pytest

from recsys.qilin.schema import EXPOSURE_NEEDS, NEEDS, OPTIONAL, SCHEMAS


@pytest.mark.parametrize("config", SCHEMAS)
def test_schema_is_that_of_the_real_files(config, sample):
    (path,) = (sample / config).glob("*.parquet")
    assert pq.read_schema(path).equals(SCHEMAS[config], check_metadata=False)


def test_what_is_needed_exists():
    assert NEEDS.keys() == SCHEMAS.keys()
    assert NEEDS.keys() > OPTIONAL
    for config, needs in NEEDS.items():
        assert set(needs) <= set(SCHEMAS[config].names)
        for column in EXPOSURE_NEEDS.keys() & needs.keys():
            fields = [field.name for field in SCHEMAS[config].field(column).type.value_type]
            assert set(EXPOSURE_NEEDS[column]) <= set(fields)


def test_nothing_that_leaks_a_label_is_read():
    fields = {field for names in EXPOSURE_NEEDS.values() for field in names}
    assert not fields & {"page_time", "like", "collect", "comment", "share"}
