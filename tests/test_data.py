"`kata_blog.data` against what goes wrong: bad archives, bad checksums, bad mirrors, no network, no room, two at once, a kill."
import ast, errno, importlib.util, io, json, multiprocessing, os, shutil, signal, subprocess, sys, tarfile, threading, time, zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
import pytest
from kata_blog import data
from kata_blog.core import DataError, file_hash

FILES = {'train/a.txt': b'la', 'test/b.txt': b'do'}
ABOUT = dict(version='1', about='made here', licence='CC0', citation='none')
NOWHERE = 'http://127.0.0.1:9/set.tgz'
MIRROR = os.environ.get('KATA_MIRROR', '')  # before any test takes it away

# ---- made archives, mirrors and homes

def tar(path, members):
    "A tar file; a member is bytes, or a TarInfo type with where it links to."
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, {'.tgz': 'w:gz', '.xz': 'w:xz', '.tar': 'w'}[path.suffix]) as t:
        for name, body in members.items():
            m = tarfile.TarInfo(name)
            if isinstance(body, bytes): m.size = len(body)
            else: m.type, m.linkname = body
            t.addfile(m, io.BytesIO(body) if isinstance(body, bytes) else None)
    return path

def zipped(path, members, link=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as z:
        for name, body in members.items(): z.writestr(name, body)
        if link:
            m = zipfile.ZipInfo(link)
            m.external_attr = 0o120777 << 16
            z.writestr(m, '/etc/passwd')
    return path

def list_mirror(folder, **archives):
    "A `mirror.json` that lists the archives of a folder; a value is (path, more)."
    entries = {n: dict(dict(file=p.name, sha256=file_hash(p), top=['train', 'test']), **more) for n, (p, more) in archives.items()}
    (folder/'mirror.json').write_text(json.dumps(dict(version=1, archives=entries)))
    return folder

@contextmanager
def served(answers):
    "A local server; an answer is bytes, a status, or a function of the handler. Yields its address and what it was asked for."
    asked = []
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            answer = answers.get(self.path, 404)
            if callable(answer): return answer(self)
            self.send_response(answer if isinstance(answer, int) else 200)
            body = b'' if isinstance(answer, int) else answer
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *args): pass
    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.01), daemon=True).start()
    try: yield f'http://127.0.0.1:{server.server_port}', asked
    finally:
        server.shutdown()
        server.server_close()

@pytest.fixture(autouse=True)
def own_world(tmp_path, monkeypatch):
    "An empty cache, no mirror, and a registry that forgets what a test adds."
    monkeypatch.setenv('KATA_DATA', str(tmp_path/'cache'))
    monkeypatch.delenv('KATA_MIRROR', raising=False)
    monkeypatch.setattr(data, '_registry', dict(data._registry))
    monkeypatch.setattr(data, '_used', {})

def register(home, **more):
    "The set `s`, an archive."
    return data.register('s', home=home, **{**ABOUT, 'top': ('train', 'test'), **more})

def by_file(home, sums=None):
    "The set `f`, three files that are fetched by part."
    def files(which=(1, 2, 3)): return [f'{w}/x.txt' for w in which]
    return data.register('f', home=home, files=files, checksum=sums, source='this test' if sums else None, **ABOUT)

@pytest.fixture
def mirrored(tmp_path, monkeypatch):
    "A good mirror of the set `s`, whose home is out of reach."
    folder = list_mirror(tmp_path/'mirror', s=(tar(tmp_path/'mirror'/'s.tar.xz', FILES), dict(differs='less of it')))
    monkeypatch.setenv('KATA_MIRROR', str(folder))
    register(NOWHERE)
    return folder

def quiet(line): pass

def left():
    "The files in the cache, locks aside."
    cache = data.data_dir()
    return sorted(p.relative_to(cache).as_posix() for p in cache.rglob('*') if p.is_file() and not p.name.endswith('.lock'))

def refused(says, name='s', stays=(), **part):
    "Fetching fails with a text that holds all of `says`, and only `stays` is left."
    with pytest.raises(DataError) as e: data.fetch(name, log=quiet, **part)
    for text in says: assert text in str(e.value), str(e.value)
    assert left() == list(stays)
    assert not list(data.data_dir().glob('.*.work'))

# ---- where it looks

def test_cache_comes_before_mirror_and_home(mirrored, monkeypatch):
    folder = data.fetch('s', log=quiet)
    shutil.rmtree(mirrored)
    monkeypatch.setattr(data, '_alone', None)  # not even the lock is taken
    lines = []
    assert data.fetch('s', log=lines.append) == folder and lines == []
    assert (folder/'train/a.txt').read_bytes() == b'la' and left() == ['s-1/.kata.json', 's-1/test/b.txt', 's-1/train/a.txt']

def test_mirror_comes_before_home(mirrored):
    with served({'/set.tgz': 500}) as (home, asked):
        register(f'{home}/set.tgz', version='2')
        data.fetch('s', log=quiet)
        assert asked == []
    assert data.variant('s') == 'less of it'

def test_mirror_by_address(tmp_path, monkeypatch):
    folder = list_mirror(tmp_path/'m', s=(tar(tmp_path/'m'/'s.tar.xz', FILES), {}))
    register(NOWHERE)
    with served({f'/m/{p.name}': p.read_bytes() for p in folder.iterdir()}) as (at, asked):
        monkeypatch.setenv('KATA_MIRROR', f'{at}/m/')
        data.fetch('s', log=quiet)
    assert asked == ['/m/mirror.json', '/m/s.tar.xz'] and data.variant('s') == 'original'

@pytest.mark.parametrize('make, suffix', [(tar, '.tgz'), (tar, '.tar.xz'), (tar, '.tar'), (zipped, '.zip')])
@pytest.mark.parametrize('around', ['', 'set/'])
def test_home_with_and_without_a_folder_around(tmp_path, make, suffix, around):
    body = make(tmp_path/f'set{suffix}', {around + k: v for k, v in FILES.items()}).read_bytes()
    with served({f'/set{suffix}': body}) as (home, _):
        register(f'{home}/set{suffix}')
        folder = data.fetch('s', log=quiet)
    assert sorted(p.name for p in folder.iterdir()) == ['.kata.json', 'test', 'train']

def test_mirror_that_lacks_the_set_sends_home(mirrored, tmp_path):
    with served({'/t.tgz': tar(tmp_path/'t.tgz', FILES).read_bytes()}) as (home, asked):
        data.register('t', home=f'{home}/t.tgz', top=('train',), **ABOUT)
        data.fetch('t', log=quiet)
    assert asked == ['/t.tgz'] and data.data_table()[-1]['source'] == 'home'

def test_mirror_that_lacks_the_set_and_no_network(mirrored):
    data.register('t', home=NOWHERE, top=('train',), **ABOUT)
    refused(['data: t: not in the mirror; not here:', NOWHERE, 'cannot be reached', 'connect to the network'], 't')

def test_path_fetches_nothing(mirrored, tmp_path):
    assert data.path('s') == tmp_path/'cache'/'s-1' and not (tmp_path/'cache').exists()

def test_user_cache_where_KATA_DATA_is_not_set(monkeypatch, tmp_path):
    monkeypatch.delenv('KATA_DATA')
    monkeypatch.setattr(data, 'cache_dir', lambda: tmp_path/'user')
    assert data.path('cifar10').parent == tmp_path/'user'/'data'

def test_a_new_version_is_fetched_beside_the_old(mirrored):
    old = data.fetch('s', log=quiet)
    register(NOWHERE, version='2')
    assert data.variant('s') is None
    assert data.fetch('s', log=quiet) != old and old.exists()

@pytest.mark.parametrize('harm', ['{"held": {', '[1]', '{"held": {"set.tgz": {}}}', '{"held": [1]}', None])
def test_damage_in_the_cache_is_fetched_again(mirrored, harm):
    folder = data.fetch('s', log=quiet)
    if harm is None: shutil.rmtree(folder/'test')
    else: (folder/'.kata.json').write_text(harm)
    data.fetch('s', log=quiet)
    assert data.variant('s') == 'less of it' and left() == ['s-1/.kata.json', 's-1/test/b.txt', 's-1/train/a.txt']

# ---- names

@pytest.mark.parametrize('call', [data.fetch, data.path, data.variant])
def test_unknown_name_offers_the_nearest(call):
    with pytest.raises(DataError, match="unknown data set 'cifar'; did you mean 'cifar10'"): call('cifar')

def test_a_set_that_is_whole_takes_no_part(mirrored):
    refused(["data: s: unknown part 'subjects'"], subjects=[1])

BAD_ENTRIES = {'becomes a folder': dict(name='../s'), 'letters, digits and dots': dict(version='1/2'), 'without source=': dict(checksum='md5:00'),
               "did you mean 'md5'": dict(checksum='md:00', source='x'), 'needs top=': dict(top=()), 'needs files=': dict(home='http://x/s/'),
               'ends in /': dict(files=('a.txt',)), 'is registered already': dict(home='http://x/other.tgz')}

@pytest.mark.parametrize('says', BAD_ENTRIES)
def test_a_bad_entry_is_refused(says):
    register('http://x/s.tgz')
    with pytest.raises(DataError, match=says): data.register(**{'name': 's', 'home': 'http://x/s.tgz', 'top': ('a',), **ABOUT, **BAD_ENTRIES[says]})
    assert data.datasets()['s'].home == 'http://x/s.tgz' and '../s' not in data.datasets()

@pytest.mark.skipif(importlib.util.find_spec('fastai') is None, reason='needs fastai')
def test_cifar10_has_the_check_that_comes_with_fastai():
    d = data.datasets()['cifar10']
    checks = Path(importlib.util.find_spec('fastai').origin).parent/'data'/'download_checks.py'
    size, md5 = ast.literal_eval(checks.read_text())[d.home]
    assert d.checksum == f'fastai:{size}:{md5}'

# ---- bad archives: nothing lands outside, nothing stays

LINKS = {'symlink': (tarfile.SYMTYPE, '../../outside'), 'symlink inside': (tarfile.SYMTYPE, 'a.txt'), 'absolute symlink': (tarfile.SYMTYPE, '/etc/passwd'),
         'hard link': (tarfile.LNKTYPE, 'train/a.txt'), 'device': (tarfile.CHRTYPE, ''), 'pipe': (tarfile.FIFOTYPE, '')}

@pytest.mark.parametrize('kind', LINKS)
def test_links_and_devices_are_refused(mirrored, kind):
    list_mirror(mirrored, s=(tar(mirrored/'s.tar.xz', {**FILES, 'train/odd': LINKS[kind]}), {}))
    refused(["data: s: s.tar.xz holds 'train/odd', a link or device", 'nothing of it was kept'])

def test_a_link_in_a_zip_is_refused(mirrored):
    list_mirror(mirrored, s=(zipped(mirrored/'s.zip', FILES, link='train/odd'), {}))
    refused(["holds 'train/odd', a link or device"])

@pytest.mark.parametrize('make, suffix', [(tar, '.tar.xz'), (zipped, '.zip')])
@pytest.mark.parametrize('name', ['../evil', '../../../evil', 'ROOT/evil', 'train/../../evil', '..\\evil', '\\evil', 'C:evil'])
def test_names_that_climb_out_are_refused(mirrored, tmp_path, make, suffix, name):
    name = name.replace('ROOT', str(tmp_path))  # an absolute path, and a harmless one should this test ever fail
    list_mirror(mirrored, s=(make(mirrored/f's{suffix}', {**FILES, name: b'x'}), {}))
    refused([f'data: s: s{suffix} holds', 'would land outside its folder'])
    assert not list(tmp_path.rglob('*evil*'))

@pytest.mark.parametrize('make, suffix', [(tar, '.tgz'), (tar, '.tar.xz'), (tar, '.tar'), (zipped, '.zip')])
@pytest.mark.parametrize('frac', [0.0, 0.15, 0.6, 0.98])
def test_a_cut_off_archive_is_refused_and_not_pinned(tmp_path, make, suffix, frac):
    whole = make(tmp_path/f'set{suffix}', {k: os.urandom(9000) for k in FILES}).read_bytes()
    answers = {f'/set{suffix}': whole[:int(len(whole.rstrip(b'\0')) * frac)]}  # the padding of a plain tar file is no data
    with served(answers) as (home, _):
        register(f'{home}/set{suffix}')
        refused([f'set{suffix} is cut off', 'fetch it again'])
        answers[f'/set{suffix}'] = whole
        data.fetch('s', log=quiet)

def test_an_archive_cut_between_two_files_is_refused(tmp_path):
    whole = tar(tmp_path/'set.tar', {'train/a.txt': b'la', 'test/b.txt': b'do', 'test/c.txt': b're'}).read_bytes()
    with served({'/set.tar': whole[:4 * tarfile.BLOCKSIZE]}) as (home, _):  # a header and a block for each of two files
        register(f'{home}/set.tar')
        refused(['it ends without an end mark'])

@pytest.mark.parametrize('make, suffix', [(tar, '.tgz'), (tar, '.tar.xz'), (zipped, '.zip')])
def test_a_changed_byte_is_refused(tmp_path, make, suffix):
    body = bytearray(make(tmp_path/f'set{suffix}', {k: os.urandom(9000) for k in FILES}).read_bytes())
    body[len(body)//2] ^= 255
    with served({f'/set{suffix}': bytes(body)}) as (home, _):
        register(f'{home}/set{suffix}')
        refused([f'set{suffix} is cut off, or is no archive that can be read'])

def test_an_archive_of_something_else_is_refused(mirrored):
    list_mirror(mirrored, s=(tar(mirrored/'s.tar.xz', {'cats/a.txt': b'x', 'dogs/a.txt': b'x'}), {}))
    refused(['holds cats, dogs', 'needed at its root: train, test'])

# ---- checksums

def test_wrong_checksum_in_the_mirror(mirrored):
    tar(mirrored/'s.tar.xz', {**FILES, 'train/c.txt': b'more'})
    refused([str(mirrored), 's.tar.xz has', 'mirror.json says', 'copy it anew'])

def test_wrong_checksum_in_a_mirror_by_address(mirrored, monkeypatch):
    with served({'/mirror.json': (mirrored/'mirror.json').read_bytes(), '/s.tar.xz': b'other'}) as (at, _):
        monkeypatch.setenv('KATA_MIRROR', at)
        refused([at, 's.tar.xz has 5 bytes', 'copy it anew'])

@pytest.mark.parametrize('kind', ['sha256', 'md5', 'fastai'])
def test_checksum_of_the_home(tmp_path, kind):
    good, other = tar(tmp_path/'set.tgz', FILES), tar(tmp_path/'other'/'set.tgz', {**FILES, 'train/c.txt': b'more'})
    answers, lines = {'/set.tgz': other.read_bytes()}, []
    with served(answers) as (home, _):
        register(f'{home}/set.tgz', checksum=data.digest(good, kind), source='a paper')
        refused([f'set.tgz from its home is {data.digest(other, kind)}', f'a paper says {data.digest(good, kind)}'])
        answers['/set.tgz'] = good.read_bytes()
        data.fetch('s', log=lines.append)
    # the third kind says nothing of the bytes after the first megabyte
    assert any('pinned' in line for line in lines) == (kind == 'fastai')

def test_digests_of_abc(tmp_path):
    (tmp_path/'abc').write_text('abc')  # as in RFC 1321 and FIPS 180-2
    assert data.digest(tmp_path/'abc', 'md5') == 'md5:900150983cd24fb0d6963f7d28e17f72'
    assert data.digest(tmp_path/'abc') == 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    with pytest.raises(DataError, match="unknown kind of checksum 'md'"): data.digest(tmp_path/'abc', 'md')

def test_fastai_checksum_is_length_and_first_megabyte(tmp_path):
    big, same_start = tmp_path/'big', tmp_path/'same'
    big.write_bytes(b'a' * (2**20 + 1))
    same_start.write_bytes(b'a' * 2**20 + b'b')
    assert data.digest(big, 'fastai') == data.digest(same_start, 'fastai') == 'fastai:1048577:7202826a7791073fe2787f0c94603278'  # md5sum of 2**20 times a

def test_what_was_pinned_is_not_changed_in_silence(tmp_path):
    answers, lines = {'/set.tgz': tar(tmp_path/'set.tgz', FILES).read_bytes()}, []
    with served(answers) as (home, _):
        register(f'{home}/set.tgz')
        shutil.rmtree(data.fetch('s', log=lines.append))
        shutil.rmtree(data.fetch('s', log=lines.append))  # the same again is fine, and said once
        assert sum('no full checksum of set.tgz is published; pinned' in line for line in lines) == 1
        answers['/set.tgz'] = tar(tmp_path/'set.tgz', {**FILES, 'train/a.txt': b'lo'}).read_bytes()
        refused(['at the first fetch it had', 'delete', '.s-1.pins.json'], stays=['.s-1.pins.json'])
        (data.data_dir()/'.s-1.pins.json').unlink()
        assert (data.fetch('s', log=quiet)/'train/a.txt').read_bytes() == b'lo'

@pytest.mark.parametrize('text', ['{', '[]'])
def test_broken_pins_are_not_passed_over(tmp_path, text):
    with served({'/set.tgz': tar(tmp_path/'set.tgz', FILES).read_bytes()}) as (home, _):
        register(f'{home}/set.tgz')
        (tmp_path/'cache').mkdir()
        (tmp_path/'cache'/'.s-1.pins.json').write_text(text)
        refused(['.s-1.pins.json is damaged', 'delete it only if'], stays=['.s-1.pins.json'])

# ---- sets of files

SUMS = {f'{w}/x.txt': f'sha256:{s}' for w, s in [  # of the texts 1, 2 and 3
    (1, '6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b'), (2, 'd4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35'),
    (3, '4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce')]}

def part_mirror(tmp_path, monkeypatch, files, **more):
    made = tar(tmp_path/'m'/'f.tgz', files)
    monkeypatch.setenv('KATA_MIRROR', str(list_mirror(tmp_path/'m', f=(made, dict(top=sorted({n[0] for n in files}), **more)))))

def test_files_by_part():
    with served({f'/f/{w}/x.txt': str(w).encode() for w in (1, 2, 3)}) as (at, asked):
        by_file(f'{at}/f/', lambda: SUMS)
        folder = data.fetch('f', which=[2], log=quiet)
        assert asked == ['/f/2/x.txt'] and data.data_table()[-1]['state'] == '1/3'
        data.fetch('f', log=quiet)
        assert asked == ['/f/2/x.txt', '/f/1/x.txt', '/f/3/x.txt'] and data.data_table()[-1]['state'] == 'fetched'
    assert (folder/'3/x.txt').read_text() == '3' and data.variant('f') == 'original'

def test_a_wrong_file_is_refused_and_the_others_stay():
    with served({'/1/x.txt': b'1', '/2/x.txt': b'two', '/3/x.txt': b'3'}) as (at, _):
        by_file(f'{at}/', SUMS)
        refused(['2/x.txt from its home is sha256:', 'this test says ' + SUMS['2/x.txt']], 'f', stays=['f-1/.kata.json', 'f-1/1/x.txt'])

def test_files_without_checksums_are_pinned():
    answers = {'/1/x.txt': b'1'}
    with served(answers) as (at, _):
        by_file(f'{at}/')
        shutil.rmtree(data.fetch('f', which=[1], log=quiet))
        answers['/1/x.txt'] = b'one'
        refused(['1/x.txt has sha256', 'its home serves something else now'], 'f', stays=['.f-1.pins.json'], which=[1])

def test_a_missing_file_is_named_with_the_answer_and_what_else_is_missing():
    with served({'/1/x.txt': b'1', '/2/x.txt': 503}) as (at, _):
        by_file(f'{at}/', SUMS)
        refused(['2 of its files not here, next 2/x.txt', 'answers 503'], 'f', stays=['f-1/.kata.json', 'f-1/1/x.txt'])

def test_a_file_that_is_not_in_the_note_does_not_count():
    with served({'/1/x.txt': b'1'}) as (at, _):
        by_file(f'{at}/', SUMS)
        (data.path('f')/'1').mkdir(parents=True)
        (data.path('f')/'1/x.txt').write_text('half of')
        assert (data.fetch('f', which=[1], log=quiet)/'1/x.txt').read_text() == '1'

def test_part_from_the_mirror_and_the_rest_from_home(tmp_path, monkeypatch):
    part_mirror(tmp_path, monkeypatch, {'1/x.txt': b'1', '2/x.txt': b'short', '1/readme': b'not of the set'}, differs='2 is short')
    with served({'/3/x.txt': b'3'}) as (at, asked):
        by_file(f'{at}/', SUMS)
        data.fetch('f', which=[3], log=quiet)  # not in the mirror's top: its archive is not opened
        assert left() == ['f-1/.kata.json', 'f-1/3/x.txt']
        data.fetch('f', log=quiet)
        assert asked == ['/3/x.txt']
    # a file that equals the published checksum is an original, whatever the mirror says in general
    assert (data.variant('f', which=[1, 3]), data.variant('f', which=[2]), data.variant('f')) == ('original', '2 is short', '2 is short')
    assert data.data_table()[-1]['source'] == 'home, mirror' and not (data.path('f')/'1/readme').exists()

def test_used_tells_the_variant_of_the_files_that_were_used(tmp_path, monkeypatch):
    part_mirror(tmp_path, monkeypatch, {'1/x.txt': b'1', '2/x.txt': b'short'}, differs='2 is short')
    by_file('http://127.0.0.1:9/', SUMS)
    data.fetch('f', which=[1], log=quiet)
    assert data.used() == [dict(name='f', version='1', variant='original')]
    data.fetch('f', which=[2], log=quiet)
    assert data.used() == [dict(name='f', version='1', variant='2 is short')]

def test_an_original_is_not_replaced_by_the_mirrors_variant(tmp_path, monkeypatch):
    with served({'/2/x.txt': b'2'}) as (at, _):
        by_file(f'{at}/', SUMS)
        data.fetch('f', which=[2], log=quiet)
    part_mirror(tmp_path, monkeypatch, {'1/x.txt': b'1', '2/x.txt': b'short'}, differs='2 is short')
    assert (data.fetch('f', which=[1], log=quiet)/'2/x.txt').read_text() == '2' and data.variant('f') == 'original'

def test_a_mirror_that_hides_a_difference_is_refused(tmp_path, monkeypatch):
    part_mirror(tmp_path, monkeypatch, {'1/x.txt': b'one'})
    by_file('http://127.0.0.1:9/', SUMS)
    refused(["1/x.txt in the mirror's f.tgz has sha256", 'names no difference'], 'f')

@pytest.mark.parametrize('part, says', [(dict(subjects=[110]), 'subjects holds 110'), (dict(runs='R01'), "runs holds 'R'"), (dict(runs=[True]), 'runs holds True'),
                                        (dict(subjects=0), 'subjects holds 0'), (dict(subject=[1]), "did you mean 'subjects'")])
def test_eegmmidb_has_only_the_parts_that_exist(part, says):
    refused([says], 'eegmmidb', **part)

def test_eegmmidb_without_MNE(monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    refused(["pip install 'kata_blog[eeg]'"], 'eegmmidb', subjects=[1])

def test_eegmmidb_with_an_MNE_that_lacks_the_list(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: importlib.machinery.ModuleSpec(name, None, origin=str(tmp_path/'__init__.py')))
    refused(['eegbci_checksums.txt does not exist in this version of MNE'], 'eegmmidb', subjects=[1])

@pytest.mark.skipif(importlib.util.find_spec('mne') is None, reason='needs mne')
def test_MNE_knows_every_file_of_eegmmidb():
    sums, files = data._mne_checksums(), data._eegmmidb_files()
    assert len(files) == 109 * 14 and set(files) <= set(sums)
    assert {len(s) for s in sums.values()} == {len('sha256:') + 64}

# ---- bad mirrors

ZEROS = '0' * 64
BROKEN = {'{"version": 1,': 'no JSON', '[]': 'form 1', '{"version": 2, "archives": {}}': 'form 1', '{"version": 1}': 'form 1',
          '{"version": 1, "archives": {"s": []}}': 'archives.s is []', '{"version": 1, "archives": {"s": {"file": "/etc/passwd"}}}': "archives.s.file is '/etc/passwd'",
          '{"version": 1, "archives": {"s": {"file": "s.tar.xz", "sha256": "x"}}}': "archives.s.sha256 is 'x'",
          f'{{"version": 1, "archives": {{"s": {{"file": "s.tar.xz", "sha256": "{ZEROS}", "top": "train"}}}}}}': "archives.s.top is 'train'",
          f'{{"version": 1, "archives": {{"s": {{"file": "s.tar.xz", "sha256": "{ZEROS}", "top": ["../.."]}}}}}}': "archives.s.top is ['../..']",
          f'{{"version": 1, "archives": {{"s": {{"file": "s.tar.xz", "sha256": "{ZEROS}", "top": ["a"], "differs": 3}}}}}}': 'archives.s.differs is 3'}

@pytest.mark.parametrize('text', BROKEN)
def test_broken_mirror_json(mirrored, text):
    (mirrored/'mirror.json').write_text(text)
    refused(['mirror.json', BROKEN[text], 'copy the mirror anew'])

def test_mirror_json_that_is_no_text(mirrored):
    (mirrored/'mirror.json').write_bytes(b'\xff\xfe\x00')
    refused(['mirror.json: no JSON'])

def test_mirror_without_its_list(mirrored):
    (mirrored/'mirror.json').unlink()
    refused([f'{mirrored}/mirror.json does not exist', 'set KATA_MIRROR'])

def test_mirror_without_its_archive(mirrored):
    (mirrored/'s.tar.xz').unlink()
    refused([f'{mirrored}/s.tar.xz does not exist'])

def test_a_mirror_that_does_not_answer_is_no_reason_to_go_home(monkeypatch, tmp_path):
    with served({'/set.tgz': tar(tmp_path/'set.tgz', FILES).read_bytes()}) as (home, asked):
        register(f'{home}/set.tgz')
        monkeypatch.setenv('KATA_MIRROR', 'http://127.0.0.1:9')
        refused(['http://127.0.0.1:9/mirror.json cannot be reached'])
        assert asked == []

# ---- network and disk

def test_no_network():
    register(NOWHERE)
    refused(['data: s: not here:', f'{NOWHERE} cannot be reached', 'set KATA_MIRROR'])

def test_an_answer_that_breaks_off():
    def half(handler):
        handler.send_response(200)
        handler.send_header('Content-Length', '1000')
        handler.end_headers()
        handler.wfile.write(b'x' * 10)
    with served({'/set.tgz': half}) as (home, _):
        register(f'{home}/set.tgz')
        refused(['broke off'])

@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EDQUOT])
def test_no_room_left(mirrored, monkeypatch, code):
    def full(src, dst, size):
        dst.write(src.read(1))
        raise OSError(code, os.strerror(code))
    monkeypatch.setattr(data.shutil, 'copyfileobj', full)
    refused([str(data.data_dir()), 'has no room left', 'KATA_DATA'])

@pytest.mark.skipif(sys.platform != 'linux' or os.geteuid() != 0, reason='only root may mount a small disk')
@pytest.mark.parametrize('source', ['mirror', 'home'])
def test_no_room_left_on_a_real_small_disk(tmp_path, monkeypatch, source):
    disk = tmp_path/'disk'
    disk.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', disk], capture_output=True).returncode: pytest.skip('no disk can be mounted here')
    try:
        made = tar(tmp_path/'m'/'set.tgz', {'train/a': os.urandom(400_000)})
        monkeypatch.setenv('KATA_DATA', str(disk/'cache'))
        with served({'/set.tgz': made.read_bytes()}) as (home, _):
            register(f'{home}/set.tgz', top=('train',))
            if source == 'mirror': monkeypatch.setenv('KATA_MIRROR', str(list_mirror(made.parent, s=(made, dict(top=['train'])))))
            refused([str(disk), 'has no room left'])
    finally: subprocess.run(['umount', disk], check=True)

def test_a_place_that_cannot_be_written(mirrored, tmp_path, monkeypatch):
    (tmp_path/'file').write_text('')
    monkeypatch.setenv('KATA_DATA', str(tmp_path/'file'/'cache'))
    with pytest.raises(DataError, match='cannot be used .*set KATA_DATA'): data.fetch('s', log=quiet)

# ---- several processes

SPAWN = multiprocessing.get_context('spawn')

def fetch_in(queue, home, cache):
    "Run in another process: fetch, and send the lines and how it ended."
    os.environ['KATA_DATA'] = cache
    register(home)
    lines = []
    try:
        data.fetch('s', log=lines.append)
        lines.append('fetched')
    except DataError as e: lines.append(str(e))
    queue.put(lines)

def start(queue, home, tmp_path):
    process = SPAWN.Process(target=fetch_in, args=(queue, home, str(tmp_path/'cache')))
    process.start()
    return process

class Slow:
    "An answer that sends half, and the rest when told to go on."
    def __init__(self, body): self.body, self.started, self.go = body, threading.Event(), threading.Event()
    def __call__(self, handler):
        handler.send_response(200)
        handler.send_header('Content-Length', str(len(self.body)))
        handler.end_headers()
        half = len(self.body)//2
        handler.wfile.write(self.body[:half])
        handler.wfile.flush()
        self.started.set()
        self.go.wait(10)
        try: handler.wfile.write(self.body[half:])
        except OSError: pass  # nobody listens any more

def test_two_at_once_the_second_waits_and_finds_the_data(tmp_path):
    slow, queue, lines = Slow(tar(tmp_path/'set.tgz', {k: os.urandom(300_000) for k in FILES}).read_bytes()), SPAWN.Queue(), []
    def log(line):
        lines.append(line)
        slow.go.set()  # it waits: now the first may go on
    with served({'/set.tgz': slow}) as (home, asked):
        first = start(queue, f'{home}/set.tgz', tmp_path)
        assert slow.started.wait(10)
        register(f'{home}/set.tgz')
        data.fetch('s', log=log)
        first.join(10)
    assert queue.get(timeout=5)[-1] == 'fetched'
    assert lines == ['data: another process is fetching s; waiting for it'] and asked == ['/set.tgz']

def test_the_second_goes_on_where_the_first_failed(tmp_path):
    slow, queue = Slow(b'no archive'), SPAWN.Queue()
    answers = {'/set.tgz': slow}
    with served(answers) as (home, asked):
        first = start(queue, f'{home}/set.tgz', tmp_path)
        assert slow.started.wait(10)
        answers['/set.tgz'] = tar(tmp_path/'set.tgz', FILES).read_bytes()
        register(f'{home}/set.tgz')
        data.fetch('s', log=lambda line: slow.go.set())
        first.join(10)
    assert 'is cut off' in queue.get(timeout=5)[-1] and len(asked) == 2 and data.variant('s') == 'original'

@pytest.mark.skipif(sys.platform == 'win32', reason='needs SIGKILL')
def test_a_killed_fetch_is_cleaned_up_by_the_next(tmp_path):
    body, lines, queue = tar(tmp_path/'set.tgz', {k: os.urandom(600_000) for k in FILES}).read_bytes(), [], SPAWN.Queue()
    slow = Slow(body)
    answers = {'/set.tgz': slow}
    with served(answers) as (home, _):
        process = start(queue, f'{home}/set.tgz', tmp_path)
        half, until = tmp_path/'cache'/'.s-1.work'/'home'/'set.tgz', time.monotonic() + 10
        while time.monotonic() < until and not (half.exists() and half.stat().st_size): time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.join(10)
        slow.go.set()
        register(f'{home}/set.tgz')
        assert left() == ['.s-1.work/home/set.tgz'] and data.variant('s') is None  # only a temporary thing, no data set
        answers['/set.tgz'] = body
        data.fetch('s', log=lines.append)
    assert not any('waiting' in line for line in lines)
    assert left() == ['.s-1.pins.json', 's-1/.kata.json', 's-1/test/b.txt', 's-1/train/a.txt']

def test_an_interrupt_leaves_nothing(mirrored, monkeypatch):
    def stop(*args): raise KeyboardInterrupt
    monkeypatch.setattr(data.shutil, 'copyfileobj', stop)
    with pytest.raises(KeyboardInterrupt): data.fetch('s', log=quiet)
    assert left() == []

# ---- what it tells others

def test_table_is_plain_data(mirrored):
    data.fetch('s', log=quiet)
    rows = {r['name']: r for r in json.loads(json.dumps(data.data_table()))}
    assert {'cifar10', 'eegmmidb', 's'} <= set(rows)
    assert (rows['s']['state'], rows['s']['source'], rows['s']['variant']) == ('fetched', 'mirror', 'less of it')
    assert (rows['eegmmidb']['state'], rows['eegmmidb']['source'], rows['eegmmidb']['variant']) == ('missing', None, None)

def test_lines_hold_no_path_of_this_machine(mirrored):
    lines = []
    data.fetch('s', log=lines.append)
    assert lines == ['data: s from the mirror (less of it)']

def test_import_is_light():
    code = 'import sys, kata_blog.data; print([m for m in ("torch", "numpy", "pooch", "requests", "filelock", "mne") if m in sys.modules])'
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.strip() == '[]'

# ---- the real thing

@pytest.mark.realdata
def test_real_cifar10(monkeypatch):
    monkeypatch.setenv('KATA_MIRROR', MIRROR)
    folder = data.fetch('cifar10')
    for split, count in [('train', 5000), ('test', 1000)]:
        classes = [p for p in (folder/split).iterdir() if p.is_dir()]
        assert len(classes) == 10 and all(sum(1 for _ in c.iterdir()) == count for c in classes)
    assert data.variant('cifar10') == 'JPEG re-encoding of the original images'

@pytest.mark.realdata
def test_real_eegmmidb(monkeypatch):
    monkeypatch.setenv('KATA_MIRROR', MIRROR)
    folder = data.fetch('eegmmidb', subjects=[1], runs=[3, 7])
    assert (folder/'S001/S001R03.edf').stat().st_size == 2_596_896
    assert data.variant('eegmmidb', subjects=1, runs=range(3, 15)) == 'original'
    assert data.variant('eegmmidb', subjects=1, runs=1) == 'subject S001 only; R01 and R02 hold 60 of 61 seconds'
    asked = []
    monkeypatch.setattr(data, '_from_home', lambda d, missing, work, log: asked.extend(missing))
    data.fetch('eegmmidb', subjects=[1, 2], runs=[3])
    assert asked == ['S002/S002R03.edf']

@pytest.mark.realdata
def test_real_fsdd(monkeypatch):
    monkeypatch.setenv('KATA_MIRROR', MIRROR)
    names = {p.name for p in (data.fetch('fsdd')/'recordings').iterdir()}
    speakers = 'george', 'jackson', 'lucas', 'nicolas', 'theo', 'yweweler'
    assert names == {f'{digit}_{who}_{i}.wav' for digit in range(10) for who in speakers for i in range(50)}
    assert data.variant('fsdd') == 'original'
