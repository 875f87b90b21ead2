"What many tests use. Those that read real data run only where `KATA_MIRROR` names a mirror of it."
import os
import pytest

def pytest_collection_modifyitems(items):
    if os.environ.get('KATA_MIRROR'): return
    skip = pytest.mark.skip(reason='reads real data: set KATA_MIRROR to a mirror')
    for item in items:
        if 'realdata' in item.keywords: item.add_marker(skip)

@pytest.fixture
def kata(capfd):
    "Call kata: exit code and all that it printed."
    def call(*words):
        from kata_blog.press.cli import main
        try: code = main([str(w) for w in words])
        except SystemExit as e: code = e.code
        said = capfd.readouterr()
        return code, said.out + said.err
    return call
