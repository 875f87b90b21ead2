"What the workflows may do: pinned actions, least permissions, and commands that exist."
import re
from pathlib import Path
import pytest, yaml

ROOT = Path(__file__).parents[1]
FOLDER = ROOT/'.github/workflows'
PINNED = re.compile(r'[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$')
WRITES = {('publish.yml', 'deploy'): {'pages': 'write', 'id-token': 'write'}}  # every other job reads the contents and no more

def read(name):
    found = yaml.safe_load((FOLDER/name).read_text())
    return found | {'on': found.pop(True)}  # YAML 1.1 reads `on` as a truth

def steps(workflow): return [s for job in workflow['jobs'].values() for s in job['steps']]

def faults(text, name='publish.yml'):
    "What is wrong with a workflow, in words."
    flow = yaml.safe_load(text)
    flow['on'] = flow.pop(True)
    found = [f'not pinned by commit and version: {m}' for m in re.findall(r'^[ -]*uses: *(.*)$', text, re.MULTILINE) if not PINNED.match(m)]
    if flow.get('permissions') != {'contents': 'read'}: found.append('the workflow may more than read')
    if 'pull_request_target' in flow['on']: found.append('strangers\' code would run with our permissions')
    for job, what in flow['jobs'].items():
        if what.get('permissions', {}) != WRITES.get((name, job), {}): found.append(f'{job} has permissions of its own: {what.get("permissions")}')
        if 'timeout-minutes' not in what: found.append(f'{job} may run for hours')
    for step in steps(flow):
        if 'actions/checkout@' in step.get('uses', '') and step.get('with', {}).get('persist-credentials') is not False: found.append('checkout leaves its credentials behind')
        if '${{' in step.get('run', ''): found.append('an expression inside a shell script: a name of a branch could be a command')
    return found

@pytest.mark.parametrize('path', sorted(FOLDER.glob('*.yml')), ids=lambda p: p.name)
def test_a_workflow_is_pinned_and_may_little(path): assert faults(path.read_text(), path.name) == []

@pytest.mark.parametrize('old,new,said', [
    ('@cd2ce8fcbc39b97be8ca5fce6e763baed58fa128 # v5.0.0', '@v5', 'not pinned'), ('permissions:\n  contents: read', 'permissions: write-all', 'more than read'),
    ('  pull_request:\n', '  pull_request_target:\n', 'strangers'), ('      id-token: write\n', '      id-token: write\n      contents: write\n', 'permissions of its own'),
    ('persist-credentials: false', 'persist-credentials: true', 'credentials'), ('    timeout-minutes: 20\n', '', 'for hours'), ('make site\n', 'make site ${{ github.head_ref }}\n', 'expression')])
def test_what_would_be_wrong_is_found(old, new, said):
    text = (FOLDER/'publish.yml').read_text()
    assert old in text and any(said in f for f in faults(text.replace(old, new)))

def test_publishing_starts_by_push_by_hand_and_by_the_clock_and_only_from_main():
    flow = read('publish.yml')
    assert set(flow['on']) == {'push', 'pull_request', 'schedule', 'workflow_dispatch'} and flow['on']['push'] == {'branches': ['main']} and flow['on']['schedule'][0]['cron']
    published = "github.event_name != 'pull_request' && github.ref == 'refs/heads/main'"
    assert flow['jobs']['deploy']['if'] == published and flow['jobs']['deploy']['needs'] == 'build'
    by_action = {s['uses'].split('@')[0]: s for s in steps(flow) if 'uses' in s}
    assert by_action['actions/upload-pages-artifact']['if'] == published and by_action['actions/upload-artifact']['if'] == "github.event_name == 'pull_request'"
    assert by_action['actions/upload-pages-artifact']['with']['path'] == by_action['actions/upload-artifact']['with']['path'] == '_site'

def test_one_setting_chooses_the_renderer():
    flow = read('publish.yml')
    assert flow['env'] == {'RENDERER': 'pandoc'}
    asked = [m for s in steps(flow) for m in re.findall(r"env\.RENDERER == '(\w+)'", s.get('if', ''))]
    assert sorted(asked) == ['pandoc', 'quarto']

@pytest.mark.parametrize('path', sorted(FOLDER.glob('*.yml')), ids=lambda p: p.name)
def test_each_target_that_is_made_exists(path):
    makefile = (ROOT/'Makefile').read_text()
    made = [t for s in steps(read(path.name)) for t in re.findall(r'^make (\S+)', s.get('run', ''), re.MULTILINE)]
    assert all(re.search(rf'^{re.escape(t)}:', makefile, re.MULTILINE) for t in made)
