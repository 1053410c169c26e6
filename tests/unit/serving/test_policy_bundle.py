"""A bundle answers as the tables do, has the same bytes every time, and is refused where a byte of it is another."""

import gc
import json
import os
from dataclasses import asdict, replace
from datetime import timedelta
from weakref import ref

import numpy as np
import pyarrow as pa
import pytest

from keyart.errors import InputError, KeyartError
from keyart.policy.exploration import Best, EpsilonGreedy, Softmax, Thompson, Uniform
from keyart.policy.page import resolve_page
from keyart.privacy.decoding import examine
from keyart.privacy.needles import Needles
from keyart.serving.manifest import Manifest, shard_name, sum_of
from keyart.serving.policy_bundle import PolicyBundle, discard, is_good, left_over, older, point, pointed, write_bundle
from keyart.serving.shards import SCHEMA, _entries_of, _title_at, write_shard

KINDS = [Uniform(), Best(), EpsilonGreedy(0.3), Softmax(0.5), Thompson(16, "s")]


def answer(resolver, *asked, **more):
    try:
        return resolver.resolve(*asked, **more)
    except KeyartError as error:
        return type(error), str(error)


def everything(made, epoch):
    users = [*list(made.members)[:40], "f" * 32, "no key at all"]
    return [
        (user, title, region, context, kids, epoch + timedelta(days=day))
        for user in users
        for title in ("A", "B", "C", "gone", "unknown")
        for region in ("SE", "NO", "JP", "?")
        for context in ("*", "evening")
        for kids in (None, True)
        for day in (0, 40)
    ]


@pytest.mark.parametrize("exploration", KINDS, ids=lambda one: one.kind)
@pytest.mark.parametrize("remembered", [1, 10_000])
def test_a_bundle_answers_as_the_rows_do(exploring, exploration, remembered, tmp_path):
    made = exploring(exploration)
    plain = made.resolver()
    opened = PolicyBundle.open(made.write(tmp_path), verify=True, remembered=remembered).resolver
    seen = set()
    for user, title, region, context, kids, epoch in everything(made, made.policy.taste_as_of):
        wanted = answer(plain, user, title, region, context, epoch=epoch, kids=kids)
        found = answer(opened, user, title, region, context, epoch=epoch, kids=kids)
        assert found == wanted
        seen.add(getattr(wanted, "level", wanted[0] if isinstance(wanted, tuple) else None))
    assert {"user", "segment", "region", "parent", "global"} <= seen and len(seen) == 7  # and both ways to refuse


def test_every_member_is_found_and_nobody_else(world, tmp_path):
    lookup = PolicyBundle.open(world.write(tmp_path)).resolver.overrides
    for user, own in world.members.items():
        served = {title: one for title, one in own.items() if title != "unknown"}
        assert dict(lookup(user)) == served and len(lookup(user)) == len(served)
        with pytest.raises(KeyError):
            lookup(user)["C"]
    assert not lookup("0" * 32) and not lookup("f" * 32) and not lookup("") and not lookup("x" * 32)


def test_a_page_of_a_bundle_sets_lookalikes_apart(world, tmp_path):
    bundle = PolicyBundle.open(world.write(tmp_path), most_alike=0.99)
    assert bundle.alike("A1", "A2") and not bundle.alike("A0", "A1") and not bundle.alike("A1", "B1")
    page = resolve_page(
        bundle.resolver, "f" * 32, ["A", "C"], "JP", epoch=world.policy.taste_as_of, alike=lambda one, two: True
    )
    assert len(page.served) == 2


def test_the_same_policy_is_the_same_bytes(world, tmp_path):
    one, two = world.write(tmp_path / "one"), world.write(tmp_path / "two", order=-1)
    names = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(names) == 9
    assert [(one / name).read_bytes() for name in names] == [(two / name).read_bytes() for name in names]
    assert not list(tmp_path.rglob("*.partial"))


def test_a_good_bundle_is_left_alone_and_half_a_one_is_written_again(world, tmp_path):
    path = world.write(tmp_path)
    before = (path / "manifest.json").stat().st_mtime_ns
    world.write(tmp_path)
    assert (path / "manifest.json").stat().st_mtime_ns == before
    (path / "manifest.json").unlink()
    assert not is_good(path)
    assert is_good(world.write(tmp_path)) and not list(tmp_path.glob(".*"))


def test_of_two_runs_of_one_name_the_first_to_end_is_believed_and_neither_takes_the_others_files(world, tmp_path):
    def fill(partial):
        assert world.write(tmp_path) and is_good(tmp_path / "old")  # another run, from its begin to its end
        return world.filled(partial, 4)

    assert not write_bundle(tmp_path, "old", world.policy, {"artworks": 3}, fill)
    assert is_good(tmp_path / "old") and [path.name for path in tmp_path.iterdir()] == ["old"]


def test_what_broken_runs_left_is_found_after_a_day_and_nothing_else(world, tmp_path):
    path = world.write(tmp_path)
    point(tmp_path, path.name)
    (world.write(tmp_path, "half") / "manifest.json").unlink()
    world.write(tmp_path, "killed").rename(tmp_path / ".killed.0123abcd.partial")
    (world.write(tmp_path, "mine") / "manifest.json").unlink()
    (tmp_path / "mine" / "notes.txt").write_text("no bundle's file")
    (tmp_path / "photos" / "images").mkdir(parents=True)
    (tmp_path / "linked").symlink_to(tmp_path / "half")
    assert left_over(tmp_path) == [] and older(tmp_path, 1) == []
    for one in tmp_path.rglob("*"):
        os.utime(one, (1_000_000, 1_000_000), follow_symlinks=False)
    found = left_over(tmp_path)
    assert [one.name for one in found] == [".killed.0123abcd.partial", "half"]
    os.utime(tmp_path / "half" / "overrides")  # a worker writes there
    assert left_over(tmp_path) == found[:1]
    for one in (*found, path, path):  # twice: another run was quicker
        discard(one)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["current", "linked", "mine", "photos"]


def test_what_cannot_be_removed_is_a_line(world, tmp_path, monkeypatch):
    def refuses(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("shutil.rmtree", refuses)
    path = tmp_path / "gone"
    path.mkdir()
    with pytest.raises(InputError, match="cannot be removed"):
        discard(path)
    assert not path.exists()  # not half a bundle under its name


def test_a_run_that_fails_leaves_nothing(world, tmp_path):
    def fails(partial):
        (partial / "shelves.arrow").write_bytes(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_bundle(tmp_path, "p", world.policy, {}, fails)
    assert not list(tmp_path.iterdir())
    for name in ("..", "a/b", "", ".hidden", "a" * 200):
        with pytest.raises(InputError, match="cannot be a bundle's name"):
            write_bundle(tmp_path, name, world.policy, {}, fails)


@pytest.mark.parametrize("name", ["shelves.arrow", "looks.arrow", "catalogue.json", "overrides/00001.arrow", "images/"])
@pytest.mark.parametrize("where", [0.02, 0.5, 0.98])
def test_a_changed_byte_is_found_wherever_it_is(world, tmp_path, name, where):
    folder = world.write(tmp_path)
    path = folder / name if not name.endswith("/") else next((folder / name).iterdir())
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        PolicyBundle.open(folder, verify=True)


@pytest.mark.parametrize("name", ["shelves.arrow", "looks.arrow", "catalogue.json", "overrides/00003.arrow"])
def test_a_file_cut_short_or_gone_is_seen_without_reading_it(world, tmp_path, name):
    folder = world.write(tmp_path)
    (folder / name).write_bytes((folder / name).read_bytes()[:-1])
    with pytest.raises(InputError, match="bytes instead of"):
        PolicyBundle.open(folder)
    (folder / name).unlink()
    with pytest.raises(InputError, match="missing"):
        PolicyBundle.open(folder)


def test_a_missing_image_is_missed(world, tmp_path):
    folder = world.write(tmp_path)
    next((folder / "images").iterdir()).unlink()
    with pytest.raises(InputError, match="0 of 1 images"):
        PolicyBundle.open(folder, verify=True)


def rewritten(folder, change):
    """A manifest whose own checksum is right: what somebody writes who knows the format."""
    path = folder / "manifest.json"
    said = json.loads(path.read_text())
    said.pop("sha256")
    change(said)
    from keyart.serving import manifest

    path.write_text(json.dumps(said | {"sha256": manifest._guard(said)}))


def named(name):
    def change(said):
        said["files"][name] = said["files"].pop("overrides/00000.arrow")

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (named("../outside"), "differs in '../outside'"),
        (named("/etc/passwd"), "differs in '/etc/passwd'"),
        (named("overrides/../../outside"), "differs in"),
        (lambda said: said["files"].pop("shelves.arrow"), "differs in 'shelves.arrow'"),
        (lambda said: said.update(shards=5), "differs in 'overrides/00004.arrow'"),
        (lambda said: said.update(format_version=1), "format version 1, this keyart reads 3"),
        (lambda said: said.update(format="another"), "not of a policy bundle"),
        (lambda said: said.pop("policy"), "lacks what a bundle must say"),
        (lambda said: said["policy"].update(policy_id="../../x"), "lacks what a bundle must say"),
        (lambda said: said["policy"].update(spec="{}"), "lacks what a bundle must say"),
        (lambda said: said.update(files=[1]), "lacks what a bundle must say"),
    ],
)
def test_a_foreign_or_hostile_manifest_is_refused(world, tmp_path, change, says):
    folder = world.write(tmp_path)
    (tmp_path / "outside").write_bytes((folder / "overrides/00000.arrow").read_bytes())
    rewritten(folder, change)
    with pytest.raises(InputError, match=says) as refused:
        PolicyBundle.open(folder)
    assert "\n" not in str(refused.value)


def test_a_manifest_with_a_changed_byte_is_refused(world, tmp_path):
    path = world.write(tmp_path) / "manifest.json"
    path.write_text(path.read_text().replace("salt-old", "salt-0ld"))
    with pytest.raises(InputError, match="damaged"):
        Manifest.read(path.parent)
    path.write_text("{")
    with pytest.raises(InputError, match="damaged"):
        Manifest.read(path.parent)
    path.unlink()
    with pytest.raises(InputError, match="no policy bundle"):
        Manifest.read(path.parent)


@pytest.mark.parametrize("name", ["overrides/00000.arrow", "looks.arrow"])
def test_arrow_files_of_other_columns_are_refused(world, tmp_path, name):
    folder = world.write(tmp_path)
    content = (folder / "shelves.arrow").read_bytes()
    (folder / name).write_bytes(content)

    def change(said):
        one = sum_of(folder / name)
        said["files"][name] = {"bytes": one.bytes, "sha256": one.sha256}

    rewritten(folder, change)
    with pytest.raises(InputError, match="no such file of a bundle"):
        PolicyBundle.open(folder)


def test_pointers_are_followed_and_do_not_leave_their_folder(world, other, tmp_path):
    old, new = world.write(tmp_path), other.write(tmp_path)
    with pytest.raises(InputError, match="neither a bundle nor a pointer"):
        pointed(tmp_path)
    point(tmp_path, "old")
    assert pointed(tmp_path) == pointed(tmp_path / "current") == pointed(old) == old
    assert older(tmp_path, 2) == [] and older(tmp_path, 1) == [new]
    point(tmp_path, "new")
    assert pointed(tmp_path) == new and older(tmp_path, 1) == [old]
    for name in ("../old", "/etc", "", "a\nb", "x" * 300):
        (tmp_path / "current").write_text(name)
        with pytest.raises(InputError, match="cannot be a bundle beside it"):
            pointed(tmp_path)


def test_files_that_go_or_cannot_be_read_are_a_line(world, tmp_path, monkeypatch):
    folder = world.write(tmp_path)
    manifest = Manifest.read(folder)
    (folder / "catalogue.json").unlink()  # removed by a publish between the manifest and the file
    with pytest.raises(InputError, match="cannot be read"):
        manifest.verify(folder)

    def refuses(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.stat", refuses)
    with pytest.raises(InputError, match="Permission denied"):
        pointed(tmp_path)


@pytest.mark.parametrize("name", ["../manifest.json", "..", "a" * 64, "A" * 64, "/etc/passwd", ""])
def test_only_images_of_the_bundle_are_read(world, tmp_path, name):
    assert PolicyBundle.open(world.write(tmp_path)).image(name) is None


def test_a_proof_of_erasure_finds_members_in_a_bundle(world, tmp_path):
    folder = world.write(tmp_path, shards=1)
    key = sorted(world.members)[7]
    path = folder / "overrides/00000.arrow"
    with path.open("rb") as file:
        found = examine(path.name, file, Needles(["nobody-here", "a-member-by-name"], ["0" * 32, key]))
    assert found.error == "" and found.members == {1}


def test_a_bundle_goes_with_its_last_reference(world, tmp_path):
    """Its maps and all that was remembered: no collector has to look for it."""
    gc.disable()
    try:
        bundle = PolicyBundle.open(world.write(tmp_path))
        for user, title, region, context, kids, epoch in everything(world, world.policy.taste_as_of)[:500]:
            answer(bundle.resolver, user, title, region, context, epoch=epoch, kids=kids)
        assert bundle.resolver.overrides(next(iter(world.members)))
        left = [ref(bundle), ref(bundle.resolver), ref(bundle.resolver.shelves), ref(bundle.resolver.overrides)]
        del bundle
        assert [one() for one in left] == [None] * 4
    finally:
        gc.enable()


@pytest.mark.parametrize("members", [0, 1, 2, 77])
def test_searches_find_what_is_there(members):
    rng = np.random.default_rng(members)
    keys = np.sort(np.array([rng.bytes(16).hex() for _ in range(members)], dtype="S32"))
    digits, offsets = keys.view(np.uint8).reshape(-1, 32), np.arange(members + 1) * 3
    for place, key in enumerate(keys.tolist()):
        assert _entries_of(digits, offsets, np.frombuffer(key, np.uint8)) == (place, 3 * place, 3 * place + 3)
        for other in (key[:-1], key + b"0", key[:-1] + b"g"):
            assert _entries_of(digits, offsets, np.frombuffer(other, np.uint8)) == (-1, 0, 0)
    titles = np.sort(rng.choice(200, 3 * members, replace=members > 60)).astype(np.uint32)
    for begin, end in [(0, len(titles)), (members, 2 * members), (5, 5), (-3, 10_000), (10_000, 20_000)]:
        here = titles[max(0, begin) : max(0, end)].tolist()
        for code in range(-1, 202):
            place = _title_at(titles, begin, end, code)
            assert place == (max(0, begin) + here.index(code) if code in here else -1)


def test_opening_touches_no_member(world, tmp_path):
    """What an open bundle holds in memory does not grow with the members: arrays are views of the map."""
    lookup = PolicyBundle.open(world.write(tmp_path, shards=1)).resolver.overrides
    shard = lookup._shards[0]
    for values in (shard.keys, shard.offsets, shard.titles, shard.artworks, shard.gains, shard.reasons, shard.segment):
        assert isinstance(values, np.ndarray) and not values.flags.owndata and not values.flags.writeable


@pytest.mark.parametrize(
    "name", ["shelves.arrow", "looks.arrow", "catalogue.json", "overrides/00001.arrow", "manifest.json", "images"]
)
def test_a_bundle_whose_links_lead_out_is_refused(world, tmp_path, name):
    folder = world.write(tmp_path / "bundles")
    (folder / name).rename(tmp_path / "outside")
    (folder / name).symlink_to(tmp_path / "outside")
    with pytest.raises(InputError, match="leads out of the bundle"):
        PolicyBundle.open(folder)


def test_an_image_that_is_a_link_is_not_served(world, tmp_path):
    folder = world.write(tmp_path / "bundles")
    (tmp_path / "private").write_text("private")
    (folder / "images" / ("b" * 64)).symlink_to(tmp_path / "private")
    bundle = PolicyBundle.open(folder)
    assert bundle.image("b" * 64) is None
    assert bundle.image(next(iter(bundle.images.values()))) is not None


@pytest.mark.parametrize("shards", [0, -1, 10**12])
def test_a_manifest_of_endless_shards_is_refused_at_once(world, tmp_path, shards):
    folder = world.write(tmp_path / "bundles")
    rewritten(folder, lambda said: said.update(shards=shards))
    with pytest.raises(InputError, match=f"tells of {shards} shards"):
        PolicyBundle.open(folder)


@pytest.mark.parametrize(("column", "more"), [("artworks", 1_000), ("segment", 200)])
def test_codes_that_lead_out_of_the_bundle_are_seen(world, tmp_path, column, more):
    folder = world.write(tmp_path / "bundles")
    made = world.shards(4)[1]
    write_shard(folder / shard_name(1), replace(made, **{column: getattr(made, column) + more}))
    sums = sum_of(folder / shard_name(1))
    rewritten(folder, lambda said: said["files"].update({shard_name(1): asdict(sums)}))
    with pytest.raises(InputError, match="speaks of what the bundle does not hold"):
        PolicyBundle.open(folder, verify=True)


def test_compressed_columns_are_not_unpacked(world, tmp_path):
    """A few kilobytes would become 80 megabytes, or as many gigabytes."""
    folder = world.write(tmp_path / "bundles")
    path = folder / shard_name(1)
    packed = pa.ipc.IpcWriteOptions(compression="zstd")
    zeros = pa.array(np.zeros(20_000_000, np.float32))
    values = {"titles": pa.array([0], pa.uint32()), "artworks": pa.array([0], pa.uint32()), "reasons": pa.array([0])}
    lists = {name: pa.LargeListArray.from_arrays([0, 1], one.cast(pa.uint32())) for name, one in values.items()}
    lists["gains"] = pa.LargeListArray.from_arrays([0, len(zeros)], zeros)
    lists["segment"] = pa.array([0], pa.uint8())
    columns = [pa.array([b"0" * 32], SCHEMA.field("user_key").type), *(lists[name] for name in SCHEMA.names[1:])]
    with pa.ipc.new_file(path, SCHEMA, options=packed) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=SCHEMA))
    assert path.stat().st_size < 20_000
    rewritten(folder, lambda said: said["files"].update({shard_name(1): asdict(sum_of(path))}))
    before = pa.total_allocated_bytes()
    with pytest.raises(InputError, match="is compressed, which no file of a bundle is"):
        PolicyBundle.open(folder)
    assert pa.total_allocated_bytes() - before < 1_000_000
