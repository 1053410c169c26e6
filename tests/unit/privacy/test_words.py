"""What erase-members prints names counts and files, and nobody."""

from datetime import date

from keyart.privacy.requests import request_of
from keyart.privacy.words import SHOWN, of_erasure, of_proof

ONE = request_of(["member-ann"], b"k", b"s", "ticket-7")
TWO = request_of(["member-ann", "member-ben"], b"k", b"s", "ticket-8")


def test_an_erasure_in_one_line():
    said = of_erasure(ONE, {"events": 1_200, "taste": 1}, [date(2026, 1, 1)], True)
    assert said == (
        "erase-members: request ticket-7, 1 member: removed 1,200 events, 1 taste; cells of 1 days counted again; "
        "the report showed one of them and was made again"
    )
    assert "removed no rows: no table knew them" in of_erasure(TWO, {}, [], False)


def test_a_proof_names_files_and_says_how_many_more():
    named = [(f"/t/{n}", "holds 1 of the members") for n in range(SHOWN + 5)]
    *files, last = of_proof(TWO, ["/t"], {"json": 30}, 2_000_000, 40, named)
    assert files[0] == "/t/0: holds 1 of the members"
    assert files[-1] == f"and {40 - SHOWN} files more"
    assert "decoded 30 files (2.0 MB: 30 json) under /t: 40 hold any of the 2 members, or could" in last
    (clean,) = of_proof(ONE, ["/t"], {"json": 30}, 2_000_000, 0, [])
    assert clean.endswith("under /t: none holds the member")
    assert not [one for one in (*files, last, clean) if "ann" in one or ONE.keys[0] in one]
