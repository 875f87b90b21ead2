"Commands that are killed, starved, doubled or deceived: nothing is lost or torn, and the next command works. `make stress` tries each far more often."
import random
import pytest
import stress

@pytest.fixture(scope='module')
def blog(tmp_path_factory): return stress.make_project(tmp_path_factory.mktemp('dots'))

@pytest.mark.parametrize('part', stress.PARTS)
def test_nothing_is_lost_or_torn_and_the_next_command_works(blog, part):
    rows = list(stress.rows(blog, part, random.Random(0), 5))
    if not rows: pytest.skip('no disk can be mounted here')
    assert sum(n for _, n, _, _ in rows) and not [f for _, _, torn, stuck in rows for f in torn + stuck]
