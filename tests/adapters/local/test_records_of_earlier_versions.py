"""Records of a data folder that an earlier version wrote."""

from products import FIELD, NOW, product
from revisit.adapters.local.backend import DATABASE, local_backend
from revisit.adapters.local.integrity_check import check_data
from revisit.adapters.local.sqlite import Database
from revisit.domain.job import Job
from revisit.domain.recipe import Recipe


def test_records_written_with_another_index_are_found_by_todays_fields(tmp_path):
    job = Job("job_1", product(1), FIELD, Recipe(indices=("NDVI",)), NOW, owner="ann")
    local_backend(tmp_path).commit(lambda commit: commit.put(job), completes_event=False)
    with Database(tmp_path / DATABASE).transaction() as connection:
        connection.execute("DELETE FROM record_index WHERE field = 'owner'")
        connection.execute(
            "INSERT INTO record_index (kind, field, value, id) VALUES ('job', 'once', 'x', 'job_1')"
        )
        connection.execute(
            "INSERT INTO record (kind, id, body) VALUES ('job', 'damaged', '{'), ('newer', 'unknown', '{}')"
        )
        connection.execute("UPDATE setting SET value = '{}' WHERE name = 'found by'")
    for _ in range(2):
        assert local_backend(tmp_path).records.find(Job, owner="ann") == [job]
    result = check_data(tmp_path)
    assert not [line for line in result if "job_1" in line], "nor by what it was found by once"
