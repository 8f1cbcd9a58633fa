"""A segment's life: it begins with a number, is filled, is full, is sealed; nothing else happens."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from rigorous_recorder._live.backing import MemoryImage
from rigorous_recorder._live.column import Column
from rigorous_recorder._live.layout import Layout
from rigorous_recorder._live.segment import UNNUMBERED, Segment, SegmentStateError, SyncedState
from rigorous_recorder._live.segments import Segments
from rigorous_recorder._store.memory_store import MemoryBackend
from rigorous_recorder._values.kinds import FLOAT, INT

STEP = Column("step", INT)
LAYOUT = Layout((STEP,), 8, 64, {})
WIDER = Layout((STEP, Column("loss", FLOAT)), 8, 64, {})


def made_spare(layout: Layout = LAYOUT, lease: MemoryBackend | None = None) -> Segment:
    return Segment(layout, lease or MemoryBackend(), MemoryImage)


def made_empty(lease: MemoryBackend | None = None) -> Segment:
    segment = made_spare(lease=lease)
    segment.begin(3)
    return segment


def made_filling(lease: MemoryBackend | None = None) -> Segment:
    segment = made_empty(lease)
    segment.buffers.write(5, [(segment.target(STEP), 7)])
    return segment


def made_full(lease: MemoryBackend | None = None) -> Segment:
    segment = made_filling(lease)
    segment.finish()
    return segment


def made_moved() -> Segment:
    segment = made_filling()
    segment.copy_to(made_spare(WIDER))
    segment.mark_moved()
    return segment


def made_sealed() -> Segment:
    segment = made_full()
    segment.mark_sealed()
    return segment


def made_withdrawn() -> Segment:
    segment = made_empty()
    segment.mark_withdrawn()
    return segment


STATES: dict[str, Callable[[], Segment]] = {
    "spare": made_spare,
    "empty": made_empty,
    "filling": made_filling,
    "full": made_full,
    "moved": made_moved,
    "sealed": made_sealed,
    "withdrawn": made_withdrawn,
}
TRANSITIONS: dict[str, tuple[Callable[[Segment], object], set[str]]] = {
    "begin": (lambda s: s.begin(9), {"spare"}),
    "copy_to": (lambda s: s.copy_to(made_spare(WIDER)), {"empty", "filling"}),
    "mark_moved": (Segment.mark_moved, {"empty", "filling"}),
    "finish": (Segment.finish, {"empty", "filling"}),
    "mark_sealed": (Segment.mark_sealed, {"full"}),
    "mark_withdrawn": (Segment.mark_withdrawn, {"empty"}),
    "mark_synced": (
        lambda s: s.mark_synced(SyncedState(s.version, s.rows)),
        {"empty", "filling", "full", "sealed"},
    ),
}


def described(segment: Segment) -> tuple[object, ...]:
    return segment.is_filling, segment.is_full, segment.version, segment.synced


def test_each_change_of_a_segment_is_done_in_its_own_states_alone() -> None:
    """Anywhere else it is an error, which names what is and what was needed, and changes nothing."""
    for (state, make), (name, (change, allowed)) in itertools.product(
        STATES.items(), TRANSITIONS.items()
    ):
        segment = make()
        before = described(segment)
        if state in allowed:
            change(segment)
        else:
            with pytest.raises(SegmentStateError, match=f"^segment {segment.number} "):
                change(segment)
            assert described(segment) == before, (state, name)


def test_no_segment_is_filled_under_a_second_number() -> None:
    """Or a copy of its file would show the rows of one segment under the number of another."""
    segment = made_spare()
    assert segment.number == UNNUMBERED
    segment.begin(4)
    with pytest.raises(
        SegmentStateError, match="^segment 4 is being filled; this needs one that has"
    ):
        segment.begin(5)
    other = made_empty()
    with pytest.raises(SegmentStateError):
        segment.copy_to(other)
    assert (segment.number, other.number) == (4, 3)


def test_rows_move_with_their_number_to_a_wider_segment() -> None:
    """The one that they come from takes no more of them."""
    old, new = made_filling(), made_spare(WIDER)
    segments = Segments("records", MemoryBackend())
    segments.use(old)
    old.copy_to(new)
    segments.use(new)
    assert segments.live is new
    assert (old.is_filling, new.is_filling) == (False, True)
    assert (new.number, new.batch(copy=True).to_pydict()) == (3, {"_node": [5], "step": [7]})


def test_the_queue_seals_what_is_full_and_no_more() -> None:
    """Each is sealed once, in order, under its own number; a withdrawn one is in no list."""
    backend = MemoryBackend()
    segments = Segments("records", backend)
    made = [made_full(backend), made_full(backend), made_filling(backend)]
    for segment in made:
        segments.use(segment)
    assert segments.seal()
    assert [part.batch.num_rows for part in backend.sealed["records"]] == [1, 1]
    assert [each.is_full for each in made] == [False, False, False]
    assert segments.live is made[-1]
    made[-1].finish()
    empty = made_empty()
    segments.use(empty)
    segments.withdraw(empty)
    assert (segments.live, segments.full_rows) == (None, 1)
